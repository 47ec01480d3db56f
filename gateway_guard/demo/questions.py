"""A few questions to a real model behind the guard, and what the guard saw of its answers."""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from gateway_guard.demo.command import new_event_loop, quiet
from gateway_guard.demo.connection import HOST
from gateway_guard.demo.model import LONGEST_LIFE_SECONDS, MODEL, model_server
from gateway_guard.demo.mounted import demo_settings
from gateway_guard.demo.wire import served
from gateway_guard.engine import Engine
from gateway_guard.exchange import Answer, Exchange, Outcome, Usage
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.proxy import create_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway_guard.elements import Element
    from gateway_guard.pending import Ticket
    from gateway_guard.principal import Principal
    from gateway_guard.timeline import Instant

TOKENS: Final = 32
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
QUESTIONS: Final = (
    (CHAT, "What is gravity?"),
    (RESPONSES, "Name three colours."),
    (MESSAGES, "Why is the sky blue?"),
)
COLUMNS: Final = "{:<18} {:<8} {:>5} {:>6} {:>10} {:>8}  {:<8} {}"
HEADINGS: Final = ("dialect", "answer", "input", "output", "characters", "client's", "verdict", "")
_BEGINNING: Final = 32


class Sighting(NamedTuple):
    """What the guard saw of one exchange."""

    exchange: Exchange
    verdict: str
    answer: Answer


class Watched(Engine):
    """An engine that works on as before, and keeps for the screen what it is told."""

    def __init__(self, engine: Engine) -> None:
        """Take the place of an engine that has not begun."""
        vars(self).update(vars(engine))
        self.seen: asyncio.Queue[Sighting] = asyncio.Queue()
        self._asked: dict[Ticket, Exchange] = {}

    def admit(
        self,
        principal: Principal,
        exchange: Exchange,
        path: str,
        now: Instant,
        elements: Sequence[Element] = (),
    ) -> Ticket:
        """Admit an exchange and keep it."""
        ticket = super().admit(principal, exchange, path, now, elements)
        self._asked[ticket] = exchange
        return ticket

    def settle(self, ticket: Ticket, outcome: Outcome, now: Instant) -> None:
        """Settle an exchange and keep how it ended."""
        answer, exchange = outcome.read() or Answer(), self._asked.pop(ticket)
        self.seen.put_nowait(Sighting(exchange, ticket.decision.action.label, answer))
        super().settle(ticket, Outcome(outcome.status, outcome.completed, answer), now)


def demo_model() -> None:
    """Ask a real model behind the guard a few questions, and show what the guard saw.

    Raises:
        ConfigurationError: the model is not installed.

    """
    with model_server() as upstream, quiet(), asyncio.Runner(loop_factory=new_event_loop) as runner:
        for line in runner.run(asked(upstream)):
            sys.stdout.write(line + "\n")


async def asked(upstream: str) -> list[str]:
    """Ask everything, whole and streamed; return the lines of the table."""
    guard = GuardMiddleware(create_proxy(upstream), settings=demo_settings(0))
    guard.guard.engine = engine = Watched(guard.engine)
    lines, right = [COLUMNS.format(*HEADINGS)], 0
    async with (
        served(guard) as port,
        httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}",
            headers={"authorization": "Bearer sk-demo", "x-api-key": "sk-demo"},
            timeout=LONGEST_LIFE_SECONDS,
            trust_env=False,
        ) as client,
    ):
        for (path, question), stream in product(QUESTIONS, (False, True)):
            reply = await client.post(path, json=body_of(path, question, stream=stream))
            text = "".join(pieces(reply.raise_for_status().text))
            sighting = await engine.seen.get()
            right += sighting.answer.output_chars == len(text)
            lines.append(row(sighting, text))
    return [*lines, f"{right} of {len(lines) - 1} answers are as long as the client had them"]


def body_of(path: str, question: str, *, stream: bool) -> dict[str, Any]:
    """Return a request in the dialect of a path."""
    body: dict[str, Any] = {"model": MODEL, "temperature": 0, "stream": stream}
    if path == RESPONSES:
        return body | {"input": question, "max_output_tokens": TOKENS}
    if path == CHAT and stream:
        body["stream_options"] = {"include_usage": True}
    return body | {"messages": [{"role": "user", "content": question}], "max_tokens": TOKENS}


def pieces(body: str) -> Iterator[str]:
    """Yield the visible text of an answer in any of the dialects, as a client puts it together."""
    lines = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: {")]
    for said in map(json.loads, lines or [body]):
        for choice in said.get("choices", ()):
            yield (choice.get("delta") or choice.get("message") or {}).get("content") or ""
        for item in (said, *said.get("output", ())):
            yield from (part["text"] for part in item.get("content", ()))
        delta = said.get("delta", "")
        yield delta if isinstance(delta, str) else delta.get("text", "")


def row(sighting: Sighting, text: str) -> str:
    """Return a line of the table."""
    exchange, verdict, answer = sighting
    usage = answer.usage or Usage()
    return COLUMNS.format(
        exchange.dialect,
        "streamed" if exchange.stream else "whole",
        usage.input_tokens,
        usage.output_tokens,
        answer.output_chars,
        len(text),
        verdict,
        json.dumps(text[:_BEGINNING] + "...", ensure_ascii=False),
    )
