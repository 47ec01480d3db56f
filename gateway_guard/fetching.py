"""One GET that may bring the answer to an earlier question, watched as it passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.awaited import Fetch
from gateway_guard.dialects import fetched_at
from gateway_guard.exchange import MOST_ID_CHARS, name_digest
from gateway_guard.observation import Observation

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

    from gateway_guard.assembly import Guard
    from gateway_guard.principal import Principal

_RESUMES = (b"starting_after=", b"last_event_id=", b"lastEventId=")


def fetching_at(
    path: str, guard: Guard, principal: Principal, scope: Scope, send: Send
) -> Fetching | None:
    """Return what watches a GET of this path, ``None`` where no answer can be fetched."""
    place = fetched_at(path)
    if place is None:
        return None
    dialect, name = place
    observation = Observation(dialect, guard.digest_key)
    resumed = any(sign in scope["query_string"] for sign in _RESUMES)
    return Fetching(guard, send, observation, (principal.claimed or principal.key, name, resumed))


class Fetching:
    """Watches what one request fetches.

    ``asked`` is its key, the id in its path, and whether it goes on from an earlier one.
    """

    __slots__ = ("_asked", "_guard", "_observation", "_send")

    def __init__(
        self, guard: Guard, send: Send, observation: Observation, asked: tuple[bytes, str, bool]
    ) -> None:
        """Send on through ``send`` what is watched."""
        self._guard = guard
        self._send = send
        self._observation: Observation | None = observation
        self._asked = asked

    async def watch(self, message: Message) -> None:
        """Send a message on, and look at it."""
        await self._send(message)
        observation = self._observation
        if observation is None:
            return
        with self._guard.contained():
            if message["type"] == "http.response.start":
                observation.start(message["status"], message.get("headers", ()))
            elif message["type"] == "http.response.body":
                observation.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    self.end()

    def end(self) -> None:
        """Have counted what has come; may be called again."""
        observation, self._observation = self._observation, None
        if observation is None or observation.status is None:
            return
        key, name, resumed = self._asked
        guard = self._guard
        with guard.contained():
            digest = name_digest(name, guard.digest_key)
            id_ = name[:MOST_ID_CHARS] if resumed else None
            fetch = Fetch(key, digest, observation.outcome(), resumed=resumed, id=id_)
            guard.engine.fetched(fetch, guard.timeline.now())
            guard.background.flush_soon()
