"""From the end of an answer to the ledger's queue: who is told what was served to whom."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from gateway_guard.arguments import extra
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.ledger.served import Served, answer_digest
from gateway_guard.memory import derived
from gateway_guard.settings import deployment_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.askers import Asker
    from gateway_guard.events import Taking
    from gateway_guard.exchange import AnswerText
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.ledger.served import Part
    from gateway_guard.ledger.writer import LedgerWriter
    from gateway_guard.settings import Settings


class Handover:
    """Hands texts over to a writer, each with the ids of those that it was served to."""

    def __init__(self, writer: LedgerWriter, key: bytes, clock: Callable[[], float]) -> None:
        """Write with ``writer``; ``key`` keys ids, ``clock`` gives wall-clock seconds."""
        self.writer = writer
        self._key = key
        self._clock = clock

    def take(self, asker: Asker, text: AnswerText) -> None:
        """Take what one answer says: each of its choices, and its reasoning apart."""
        id_ = None if text.id is None else answer_digest(text.id, self._key)
        served = Served("", self._clock(), *asker, answer_id=id_)
        for said in text.visible:
            self._offer(served, said, "answer")
        if text.reasoning:
            self._offer(served, text.reasoning, "reasoning")

    def close(self) -> None:
        """Have everything written."""
        self.writer.close()

    def _offer(self, served: Served, text: str, part: Part) -> None:
        self.writer.offer(served.saying(text, part))


def open_ledger(
    settings: Settings,
    takers: list[Taking],
    instruments: Instrumentation,
    clock: Callable[[], float],
) -> Handover | None:
    """Have what takes the texts of answers join the takers; ``None`` where there is no ledger.

    Raises:
        ConfigurationError: what a ledger needs is not installed, or its directory cannot be used.

    """
    if settings.ledger is None:
        return None
    with extra("ledger", "GATEWAY_GUARD_LEDGER"):
        writing = import_module("gateway_guard.ledger.writer")
    key = derived(deployment_secret(settings), b"ledger")
    options = writing.Options.of(settings)
    try:
        writer = writing.LedgerWriter(settings.ledger, key, options, instruments, clock=clock)
    except OSError as error:
        message = f"{settings.ledger} cannot be written: {error.strerror}"
        hint = "make GATEWAY_GUARD_LEDGER a directory that this process may write"
        raise ConfigurationError(message, hint=hint) from None
    handover = Handover(cast("LedgerWriter", writer), key, clock)
    takers.append(handover.take)
    return handover
