"""What a guard has seen of one request, told at a side door that it does not stand before."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import JSONResponse

from gateway_guard.exchange import AnswerText
from gateway_guard.middleware import GuardMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from gateway_guard.elements import Element
    from gateway_guard.exchange import Answer, Exchange, Hear, Outcome
    from gateway_guard.pending import Ticket
    from gateway_guard.principal import Principal
    from gateway_guard.timeline import Instant

SIDE_DOOR: Final = "/side-door"
NOBODY: Final = ""
_HOST: Final = ("127.0.0.1", 1)


class Seen(msgspec.Struct, frozen=True):
    """What a guard has seen since it was asked last.

    ``counted`` are the exchanges that it counts for the key which the server accepted, ``chars``
    the characters that it read features of, ``texts`` what they were in. ``output_chars`` and
    ``output_tokens`` are those of the answers, ``failures`` the errors that it has met.
    """

    counted: int
    chars: int
    texts: list[str]
    output_chars: int
    output_tokens: int
    failures: list[str]


def rereadable(outcome: Outcome) -> Outcome:
    """Return an outcome whose answer can be read more than once, and is heard each time."""
    unread, texts = outcome.unread, list[AnswerText]()
    if unread is None:
        return outcome
    first = cache(partial(unread, texts.append))

    def read(hear: Hear | None = None) -> Answer | None:
        answer = first()
        if hear is not None:
            for text in texts:
                hear(text)
        return answer

    return msgspec.structs.replace(outcome, unread=read)


class Witness:
    """Stands beside a guard's engine, and hears what that is told."""

    def __init__(self, guard: GuardMiddleware) -> None:
        engine = guard.engine
        self._guard = guard
        self._admit, self._settle = engine.admit, engine.settle
        self._exchanges: list[Exchange] = []
        self._tickets: list[Ticket] = []
        self._outcomes: list[Outcome] = []
        self._counted: dict[bytes, int] = {}
        vars(engine).update(admit=self.admit, settle=self.settle)

    def admit(
        self,
        principal: Principal,
        exchange: Exchange,
        path: str,
        now: Instant,
        elements: Sequence[Element] = (),
    ) -> Ticket:
        """Note what is admitted."""
        ticket = self._admit(principal, exchange, path, now, elements)
        self._exchanges += [exchange, *exchange.others]
        self._tickets += [ticket, *ticket.others]
        return ticket

    def settle(self, ticket: Ticket, outcome: Outcome, now: Instant) -> None:
        """Note how it ended, so that the answer can be read twice."""
        outcome = rereadable(outcome)
        self._outcomes.append(outcome)
        self._settle(ticket, outcome, now)

    def told(self, accepted: str) -> Seen:
        """Return what was seen since the last time, and counted for the key that was accepted."""
        guard = self._guard
        guard.engine.flush(guard.guard.timeline.now())
        read = [ticket.contribution for ticket in self._tickets if ticket.contribution]
        found = [answer for outcome in self._outcomes if (answer := outcome.read())]
        seen = Seen(
            counted=self._newly_counted(accepted),
            chars=sum(item.features.chars for item in read),
            texts=[turn.text for exchange in self._exchanges for turn in exchange.turns],
            output_chars=sum(answer.output_chars for answer in found),
            output_tokens=sum(answer.usage.output_tokens for answer in found if answer.usage),
            failures=[label for name, label in guard.instruments.counters if name == "errors"],
        )
        self._exchanges, self._tickets, self._outcomes = [], [], []
        return seen

    def _newly_counted(self, accepted: str) -> int:
        """Return how many exchanges a key has now that it had not the last time."""
        guard = self._guard
        key = guard.guard.principals.key_id(accepted.encode())
        if accepted == NOBODY:
            stranger = {"headers": [], "query_string": b"", "client": _HOST}
            key = guard.guard.principals.read(stranger).key
        subject = guard.engine.memory.subjects.get(key)
        counted = subject.exchanges if subject is not None else 0
        before, self._counted[key] = self._counted.get(key, 0), counted
        return counted - before


class SideDoor:
    """Tells at a path of its own what the guard inside has seen; everything else passes.

    ``accepted`` returns the keys that the server has accepted since it was called last.
    """

    def __init__(self, app: Starlette, accepted: Callable[[], list[str]]) -> None:
        self._app = app
        self._accepted = accepted
        self._witness: Witness | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at the side door, or hand on."""
        if scope["type"] != "http" or scope["path"] != SIDE_DOOR:
            await self._app(scope, receive, send)
            return
        accepted = self._accepted()
        if self._witness is None:
            self._witness = Witness(_guard_in(self._app))
        told = self._witness.told(accepted[-1] if accepted else NOBODY)
        routes = sorted(set(_routes_of(self._app.routes)))
        content = {"seen": msgspec.to_builtins(told), "routes": routes}
        await JSONResponse(content)(scope, receive, send)


def _guard_in(app: Starlette) -> GuardMiddleware:
    """Return the guard among the layers of an application that runs."""
    layer: Any = app.middleware_stack
    while not isinstance(layer, GuardMiddleware):
        layer = layer.app
    return layer


def _routes_of(routes: Iterable[Any]) -> Iterator[str]:
    """Yield the path of every route that takes POST, included routers unfolded."""
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from _routes_of(route.effective_candidates())
        elif "POST" in (getattr(route, "methods", None) or ()):
            yield str(route.path)
