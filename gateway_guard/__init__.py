"""gateway-guard: notice in minutes that a model's outputs are being harvested, and stop it."""

from gateway_guard.actions import Action
from gateway_guard.enforcement import Verdict
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.settings import Settings

__all__ = ["Action", "GuardMiddleware", "Settings", "Verdict"]
