"""What an operator can set of the ledger."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from gateway_guard.settings.fields import Directory, PositiveDuration, Run, Size
from gateway_guard.settings.units import parse_duration, parse_size


class LedgerSettings(BaseSettings):
    """The part of ``Settings`` that the ledger reads; durations in seconds, sizes in bytes."""

    ledger: Directory = Field(
        default=None,
        description="directory for fingerprints of what was served, and to whom; needs "
        "`gateway-guard[ledger]`",
    )
    ledger_run: Run = Field(
        default=24,
        description="every verbatim run of so many words of an answer is found later; characters "
        "in scripts without spaces",
    )
    ledger_answer_bytes: Size = Field(
        default=parse_size("4KiB"),
        description="fingerprints kept of one answer; of a longer one only longer runs are found",
    )
    ledger_queue: Size = Field(
        default=parse_size("32MiB"),
        description="texts of answers that wait to be fingerprinted; what comes on top is counted "
        "and left out",
    )
    ledger_flush_seconds: PositiveDuration = Field(
        default=parse_duration("30s"),
        description="how often a segment is written: a crash loses what came since",
    )
    ledger_keep: PositiveDuration = Field(
        default=parse_duration("400d"), description="days of the ledger older than this are deleted"
    )
    ledger_size: Size = Field(
        default=parse_size("100GiB"), description="beyond this its oldest days are deleted"
    )
