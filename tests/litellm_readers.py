"""LiteLLM's own readers of bodies and keys, imported without its asking the network for prices."""

from __future__ import annotations

import os
from importlib import import_module

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

ProxyException = import_module("litellm.proxy._types").ProxyException
get_api_key = import_module("litellm.proxy.auth.user_api_key_auth").get_api_key

read_request_body = import_module("litellm.proxy.common_utils.http_parsing_utils").read_request_body
