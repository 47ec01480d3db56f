"""What can go wrong with a measurement."""

from __future__ import annotations

from gateway_guard.exceptions import GatewayGuardError


class MeasurementError(GatewayGuardError):
    """What was to be measured did not do its work, so no figure is worth anything."""
