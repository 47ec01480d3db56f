"""How a client behaves: what it sends with every request, and what it does about a refusal."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.script import Answer, Identity, Parameters, Reply, Request, Step, Tool, Wait

if TYPE_CHECKING:
    from random import Random

    from gateway_guard.demo.prose import Prose
    from gateway_guard.demo.script import DialectName, Message

Asking = Generator[Step, Reply, Reply]

# One law for everybody's answers in event time.
OVERHEAD_SECONDS: Final = 0.5
TOKENS_PER_SECOND: Final = 60.0
JITTER: Final = 0.25
CHARS_PER_TOKEN: Final = 4
# The SDKs' own habits.
RETRIES: Final = 2
LONGEST_RETRY_AFTER_SECONDS: Final = 60.0
BACKOFF_SECONDS: Final = 0.5

USER_AGENTS: Final[dict[str, tuple[tuple[bytes, bytes], ...]]] = {
    "openai-python": (
        (b"user-agent", b"OpenAI/Python 2.9.0"),
        (b"x-stainless-lang", b"python"),
        (b"x-stainless-package-version", b"2.9.0"),
    ),
    "openai-python-async": (
        (b"user-agent", b"AsyncOpenAI/Python 2.9.0"),
        (b"x-stainless-lang", b"python"),
        (b"x-stainless-package-version", b"2.9.0"),
    ),
    "openai-js": (
        (b"user-agent", b"OpenAI/JS 6.10.0"),
        (b"x-stainless-lang", b"js"),
        (b"x-stainless-package-version", b"6.10.0"),
    ),
    "anthropic-python": (
        (b"user-agent", b"Anthropic/Python 0.75.0"),
        (b"anthropic-version", b"2023-06-01"),
        (b"x-stainless-lang", b"python"),
        (b"x-stainless-package-version", b"0.75.0"),
    ),
    "anthropic-js": (
        (b"user-agent", b"Anthropic/JS 0.71.0"),
        (b"anthropic-version", b"2023-06-01"),
        (b"x-stainless-lang", b"js"),
        (b"x-stainless-package-version", b"0.71.0"),
    ),
}
DIALECTS: Final[dict[str, DialectName]] = {
    agent: "anthropic" if agent.startswith("anthropic") else "openai" for agent in USER_AGENTS
}
MODELS: Final[dict[DialectName, str]] = {"openai": "gpt-5.2", "anthropic": "claude-opus-5"}


@dataclass(frozen=True, slots=True)
class Client:
    """One program or device: its key, its SDK, where it calls from, and its own chance."""

    identity: Identity
    dialect: DialectName
    rng: Random
    prose: Prose
    system: str | None = None
    tools: tuple[Tool, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    stream: bool = False

    def request(
        self,
        messages: tuple[Message, ...],
        answer: Answer,
        *,
        user: str | None = None,
        harvest: bool = False,
        seed: int | None = None,
    ) -> Request:
        """Make a request; its answer ends at ``max_tokens`` and takes as long as it is long."""
        parameters = self.parameters if seed is None else replace(self.parameters, seed=seed)
        answer = cut(answer, parameters)
        return Request(
            identity=self.identity,
            dialect=self.dialect,
            model=MODELS[self.dialect],
            messages=messages,
            answer=answer,
            seconds=answer_seconds(answer, self.rng),
            system=self.system,
            tools=self.tools,
            parameters=parameters,
            stream=self.stream,
            user=user,
            harvest=harvest,
        )


def identity(key: str, agent: str, address: str, organisation: str | None = None) -> Identity:
    """Return the sender as the trusted edge shows it: client, address, organisation."""
    headers = (*USER_AGENTS[agent], (b"x-forwarded-for", address.encode()))
    if organisation is not None:
        headers += ((b"x-organisation", organisation.encode()),)
    return Identity(key, headers)


def make_key(rng: Random) -> str:
    """Return a key that nobody else has."""
    return f"sk-demo-{rng.getrandbits(128):032x}"


def make_address(rng: Random) -> str:
    """Return an address from the range that is set aside for measurements (RFC 2544)."""
    return f"198.{rng.randint(18, 19)}.{rng.randrange(256)}.{rng.randint(1, 254)}"


def cut(answer: Answer, parameters: Parameters) -> Answer:
    """Cut an answer where ``max_tokens`` ends it."""
    if parameters.max_tokens is None:
        return answer
    room = max(1, parameters.max_tokens * CHARS_PER_TOKEN - len(answer.reasoning))
    return replace(answer, text=answer.text[:room], cut=True) if len(answer.text) > room else answer


def answer_seconds(answer: Answer, rng: Random) -> float:
    """Draw how long an answer takes: a fixed part, then so many tokens a second."""
    tokens = (len(answer.text) + len(answer.reasoning)) / CHARS_PER_TOKEN
    jitter = rng.lognormvariate(0.0, JITTER)
    return OVERHEAD_SECONDS + tokens / TOKENS_PER_SECOND * jitter


def with_sdk(request: Request) -> Asking:
    """Ask as the SDKs do: wait for ``Retry-After`` and retry twice, unless told not to."""
    reply = yield request
    for attempt in range(1, RETRIES + 1):
        if not retries(reply):
            break
        yield Wait(retry_seconds(reply, attempt))
        reply = yield replace(request, attempt=attempt)
    return reply


def hammering(request: Request, *, attempts: int = 3) -> Asking:
    """Ask again at once, whatever the refusal says; give up only on a 403."""
    reply = yield request
    for _ in range(attempts - 1):
        if reply.served or not retries(replace(reply, should_retry=True)):
            break
        yield Wait(BACKOFF_SECONDS)
        reply = yield request
    return reply


def retries(reply: Reply) -> bool:
    """Tell whether an SDK would send the request again."""
    return reply.status in {429, 503} and reply.should_retry


def retry_seconds(reply: Reply, attempt: int) -> float:
    """Return how long an SDK waits before its next attempt."""
    after = reply.retry_after_seconds
    if after is not None and 0 < after <= LONGEST_RETRY_AFTER_SECONDS:
        return after
    return BACKOFF_SECONDS * (1 << attempt)
