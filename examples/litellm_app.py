#!/usr/bin/env python3
"""LiteLLM's proxy with the guard in it, from a module of one's own.

Run it (``pip install 'litellm[proxy]'`` first) with LiteLLM's own configuration::

    CONFIG_FILE_PATH=config.yaml uvicorn examples.litellm_app:app

Without a module of one's own, LiteLLM's command and image can stay as they are::

    LITELLM_WORKER_STARTUP_HOOKS=gateway_guard.mounts.litellm:install litellm --config config.yaml
"""

import uvicorn
from litellm.proxy.proxy_server import app

from gateway_guard import GuardMiddleware
from gateway_guard.mounts.litellm import guard_settings

app.add_middleware(GuardMiddleware, settings=guard_settings())


if __name__ == "__main__":
    uvicorn.run(app)
