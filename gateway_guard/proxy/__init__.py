"""The reference reverse proxy that the guard is mounted in, with httpx's API behind it."""

from gateway_guard.proxy.app import create_proxy
from gateway_guard.proxy.options import ProxyOptions

__all__ = ["ProxyOptions", "create_proxy"]
