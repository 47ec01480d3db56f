"""Settings: every ``GATEWAY_GUARD_*`` variable, and what a deployment keeps for itself."""

from gateway_guard.settings.deployment import (
    deployment_secret,
    first_started_at,
    previous_secret,
    secret_survives,
)
from gateway_guard.settings.environment import nearest, variable
from gateway_guard.settings.fields import KEY_SOURCE_PRESETS, UNIX
from gateway_guard.settings.loading import Variable, describe_variables, load_settings
from gateway_guard.settings.units import format_duration, format_size, parse_duration, parse_size
from gateway_guard.settings.variables import Settings

__all__ = [
    "KEY_SOURCE_PRESETS",
    "UNIX",
    "Settings",
    "Variable",
    "deployment_secret",
    "describe_variables",
    "first_started_at",
    "format_duration",
    "format_size",
    "load_settings",
    "nearest",
    "parse_duration",
    "parse_size",
    "previous_secret",
    "secret_survives",
    "variable",
]
