#!/bin/sh
# SGLang with the guard in it (`pip install sglang gateway-guard` first): being installed is enough.
SGLANG_PLUGINS=gateway-guard exec sglang serve \
    --model-path "${MODEL:-HuggingFaceTB/SmolLM2-135M-Instruct}" "$@"
