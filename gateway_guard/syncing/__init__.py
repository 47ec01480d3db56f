"""What this process and a store tell each other, beside the requests."""

from gateway_guard.syncing.pulse import Pulse
from gateway_guard.syncing.starting import start_syncer
from gateway_guard.syncing.syncer import Syncer

__all__ = ["Pulse", "Syncer", "start_syncer"]
