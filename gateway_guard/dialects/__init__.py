"""Wire bytes to exchanges and back: one small module for each way of speaking to a model."""

from gateway_guard.dialects.encoding import decoder_for
from gateway_guard.dialects.registry import DIALECTS, dialect_for, fetched_at, read_request

__all__ = ["DIALECTS", "decoder_for", "dialect_for", "fetched_at", "read_request"]
