"""From an exchange to its features: numbers and hashes only; no text leaves this folder."""

from gateway_guard.features.reader import Draft, FeatureReader
from gateway_guard.features.types import Anchors, Cue, CueHit, Features, Reply

__all__ = ["Anchors", "Cue", "CueHit", "Draft", "FeatureReader", "Features", "Reply"]
