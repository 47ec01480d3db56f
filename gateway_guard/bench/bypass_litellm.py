"""LiteLLM's own proxy with the guard in it, as operators start it, before a model of ours."""

from __future__ import annotations

import json
import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from gateway_guard.bench.bypass_model import BROKEN
from gateway_guard.bench.bypass_ways import KEYS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

MODELS: Final = {
    "a/b": ("openai/gpt-4o", "/v1"),
    "broken": ("openai/gpt-4.1", BROKEN),
    "m": ("openai/gpt-4o-mini", "/v1"),
    "instruct": ("text-completion-openai/gpt-3.5-turbo-instruct", "/v1"),
    "embed": ("openai/text-embedding-3-small", "/v1"),
    "claude": ("anthropic/claude-sonnet-4-5", ""),
    "gem": ("gemini/gemini-2.0-flash", "/v1beta/models/gem"),
}
"""Names of models, what they are to LiteLLM, and where they are at the upstream."""

_PASSED_THROUGH: Final = ("ANTHROPIC", "OPENAI", "GEMINI", "COHERE", "MISTRAL", "HOSTED_VLLM")
_KEY: Final = "sk-of-the-proxy"
_OUT_OF_REACH: Final = "1000"
_VARIABLES: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MASTER_KEY": "sk-a-master-key-of-the-bench",
    "LITELLM_WORKER_STARTUP_HOOKS": "gateway_guard.mounts.litellm:install",
    "GATEWAY_GUARD_SECRET": "bench",
    "GATEWAY_GUARD_WATCH_LOGIT": _OUT_OF_REACH,
    "GATEWAY_GUARD_THROTTLE_LOGIT": _OUT_OF_REACH,
    "GATEWAY_GUARD_BLOCK_LOGIT": _OUT_OF_REACH,
}

accepted: Final[list[str]] = []
"""Keys that this process's proxy has accepted, in their order."""


def is_installed() -> bool:
    """Tell whether there is LiteLLM's proxy."""
    return all(find_spec(name) is not None for name in ("litellm", "apscheduler", "orjson"))


async def accept(request: object, api_key: str) -> object:
    """Accept every key of the bench's that LiteLLM finds.

    Raises:
        ValueError: it has found none.

    """
    del request
    if not api_key.startswith(KEYS):
        message = "no key"
        raise ValueError(message)
    accepted.append(api_key)
    return import_module("litellm.proxy._types").UserAPIKeyAuth(api_key=api_key)


def litellm_app(upstream: str, folder: Path) -> Starlette:
    """Return LiteLLM's application, to be served by this process, which it configures."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_GUARD_")]:
        del os.environ[name]
    config = folder / "config.yaml"
    config.write_text(config_of(upstream), "utf-8")
    os.environ.update(_VARIABLES, CONFIG_FILE_PATH=str(config))
    for name in _PASSED_THROUGH:
        os.environ.update({f"{name}_API_BASE": upstream, f"{name}_API_KEY": _KEY})
    app: Any = import_module("litellm.proxy.proxy_server").app
    app.root_path = ROOT
    proxy: Starlette = app
    return proxy


def config_of(upstream: str) -> str:
    """Return a configuration of LiteLLM's with all models at one upstream."""
    common = {"api_key": _KEY, "max_retries": 0}
    models = [
        {
            "model_name": name,
            "litellm_params": common | {"model": model, "api_base": upstream + path},
        }
        for name, (model, path) in MODELS.items()
    ]
    general = {"custom_auth": f"{__name__}.accept"}
    return json.dumps(
        {
            "model_list": models,
            "general_settings": general,
            "router_settings": {"num_retries": 0},
            "litellm_settings": {"num_retries": 0},
        }
    )
