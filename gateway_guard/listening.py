"""What is said on one websocket, and what the engine is told of it."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING

from gateway_guard.dialects.density import is_dense
from gateway_guard.dialects.lenient import UNREADABLE, normalise
from gateway_guard.dialects.sockets import session_for, voice_for
from gateway_guard.enforcement import Decision
from gateway_guard.exchange import AnswerText, Outcome

if TYPE_CHECKING:
    from starlette.types import Message

    from gateway_guard.assembly import Guard
    from gateway_guard.dialects.base import Voice
    from gateway_guard.dialects.sessions import Asking, Session
    from gateway_guard.pending import Ticket
    from gateway_guard.principal import Principal

MOST_MESSAGE_BYTES = 2**20
"""A message of a client that is longer passes without being read."""

_MOST_REPLY_BYTES = 2**23
_OK, _REDIRECT = 200, 300
_BEGINNINGS, _ENDINGS = (b"{", b"["), (b"}", b"]")


class Listener:
    """Reads both sides of one websocket; what it raises is contained by the caller."""

    __slots__ = (
        "_guard",
        "_path",
        "_principal",
        "_query",
        "_session",
        "_spent_seconds",
        "_tickets",
    )

    def __init__(self, guard: Guard, principal: Principal, path: str, query: bytes) -> None:
        """Listen to what ``principal`` says at a decoded path."""
        self._guard = guard
        self._principal = principal
        self._path = path
        self._query = query
        self._session: Session | None = None
        self._tickets: dict[Asking, Ticket] = {}
        self._spent_seconds = 0.0

    @property
    def voice(self) -> Voice:
        """Return how the client is answered."""
        return self._session or voice_for(self._path)

    def hear(self, message: Message) -> Decision | None:
        """Read what the client says; return the decision that keeps it from the application."""
        begun, (data, text) = perf_counter(), _data_of(message)
        try:
            return self._hear(data, text=text)
        finally:
            self._spent_seconds += perf_counter() - begun

    def watch(self, message: Message) -> Decision | None:
        """Read what the application has sent; return the decision that puts an end to it."""
        begun, (data, text) = perf_counter(), _data_of(message)
        try:
            return self._watch(data, text=text)
        finally:
            self._spent_seconds += perf_counter() - begun

    def settle_all(self) -> None:
        """Settle what is under way when the socket is closed."""
        for asking in list(self._tickets):
            with self._guard.contained():
                self._settle(asking)

    def tell_refusal(self, decision: Decision, request_id: str) -> None:
        """Log a refusal with the reference that the client is given."""
        name = self._session.name if self._session is not None else None
        self._guard.engine.tell_refusal(
            decision, "refusal", dialect=name, route="websocket", request_id=request_id
        )

    def _hear(self, data: bytes, *, text: bool) -> Decision | None:
        if not _is_json(data, text=text):
            self._count("text" if text else "binary")
            return None
        session = self._session
        if session is None:
            first = b"" if len(data) > MOST_MESSAGE_BYTES else data
            session = self._session = session_for(self._path, self._query, first)
        asking = self._ask(session, data)
        if asking is None:
            return None
        decision = self._decide(session, asking)
        if decision.refused:
            session.refused(asking)
            return decision
        for changed in session.accept(asking):
            self._update(changed)
        return None

    def _ask(self, session: Session, data: bytes) -> Asking | None:
        """Return what a message asks for; one that cannot be read passes, and is counted."""
        if len(data) > MOST_MESSAGE_BYTES or is_dense(data):
            self._count_unparsed(session)
            return session.overlook(data)
        session.passed(data)
        with suppress(*UNREADABLE):
            return session.hear(data)
        try:
            return session.hear(normalise(data))
        except UNREADABLE:
            self._count_unparsed(session)
            return None

    def _watch(self, data: bytes, *, text: bool) -> Decision | None:
        session = self._session
        if not text and not _is_json(data, text=False):
            self._count("binary")
        elif session is not None and len(data) <= _MOST_REPLY_BYTES:
            with suppress(*UNREADABLE):
                return self._follow(session, data)
        return None

    def _follow(self, session: Session, data: bytes) -> Decision | None:
        refusal: Decision | None = None
        for asking in session.watch(data):
            if asking.exchange is not None:  # nobody has asked for this answer
                decision = self._decide(session, asking)
                refusal = decision if decision.refused else refusal
            self._update(asking)
        return refusal

    def _decide(self, session: Session, asking: Asking) -> Decision:
        """Have an exchange decided, and remember its record if it goes on."""
        guard, exchange = self._guard, asking.exchange
        asking.exchange = None
        if exchange is None:
            return Decision()
        guard.instruments.count("requests", session.name)
        if exchange.unparsed:
            guard.instruments.count("unparsed", session.name)
        ticket = guard.engine.admit(self._principal, exchange, self._path, guard.timeline.now())
        guard.background.flush_soon()
        if not ticket.decision.refused:
            self._tickets[asking] = ticket
        return ticket.decision

    def _update(self, asking: Asking) -> None:
        """Tell the engine how far an answer has come."""
        ticket, guard = self._tickets.get(asking), self._guard
        if ticket is None:
            return
        if asking.status is not None:
            guard.engine.start(ticket, asking.status, guard.timeline.now())
        if asking.over:
            self._settle(asking)

    def _settle(self, asking: Asking) -> None:
        """Settle an exchange, with what was seen of its answer."""
        guard, ticket, status = self._guard, self._tickets.pop(asking), asking.status
        answer, texts = None, list[AnswerText]()
        if status is not None and _OK <= status < _REDIRECT:
            with guard.contained():
                answer = asking.answer(guard.digest_key, texts.append)
        outcome = Outcome(status, asking.completed, answer, texts=tuple(texts))
        guard.engine.settle(ticket, outcome, guard.timeline.now())
        guard.background.flush_soon()
        guard.instruments.overhead_seconds.append(self._spent_seconds + guard.put_off_seconds)
        self._spent_seconds = 0.0

    def _count(self, kind: str) -> None:
        self._guard.instruments.count("socket_messages", kind)

    def _count_unparsed(self, session: Session) -> None:
        self._count("unparsed")
        self._guard.instruments.count("unparsed", session.name)


def _data_of(message: Message) -> tuple[bytes, bool]:
    """Return the bytes of a message, and whether they are text."""
    text = message.get("text")
    if text is not None:
        return text.encode("utf-8", "surrogatepass"), True
    return message.get("bytes") or b"", False


def _is_json(data: bytes, *, text: bool) -> bool:
    """Tell whether a message looks like JSON; Google sends its own as binary frames."""
    if data.lstrip()[:1] not in _BEGINNINGS:
        return False
    return text or data.rstrip()[-1:] in _ENDINGS
