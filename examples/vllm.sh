#!/bin/sh
# vLLM with the guard in it (`pip install vllm gateway-guard` first); all options are vLLM's own.
exec vllm serve "${MODEL:-HuggingFaceTB/SmolLM2-135M-Instruct}" \
    --middleware gateway_guard.GuardMiddleware "$@"
