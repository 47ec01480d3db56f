"""What callers do and what they get: the values that cast, stage and wire pass around."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["human", "app", "harvest", "hydra", "reseller", "victim"]
DialectName = Literal["openai", "anthropic"]
Role = Literal["user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that an assistant asked for; ``arguments`` is JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a client offers; ``fields`` are the names of its string arguments."""

    name: str
    description: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; ``call_id`` names the call that a tool's result answers."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the upstream will say: its visible text, its reasoning and the tools it calls."""

    text: str
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    cut: bool = False

    @property
    def message(self) -> Message:
        """The answer as the client sends it back in the next turn."""
        return Message("assistant", self.text, self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How the answer shall be drawn; ``None`` where the request stays silent."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    thinking_tokens: int | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0
    logit_bias: tuple[int, ...] = ()
    seed: int | None = None
    json_mode: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from, as far as headers say so."""

    key: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request and the answer that its upstream keeps ready for it.

    ``seconds`` is how long the upstream takes in event time. ``harvest`` tells the count, never the
    guard, whether the request belongs to a harvest. ``attempt`` counts the SDK's retries from 0.
    """

    identity: Identity
    dialect: DialectName
    model: str
    messages: tuple[Message, ...]
    answer: Answer
    seconds: float
    system: str | None = None
    tools: tuple[Tool, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    stream: bool = False
    user: str | None = None
    harvest: bool = False
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, and on a refusal when to ask again, if ever."""

    status: int
    retry_after_seconds: float | None = None
    should_retry: bool = True

    @property
    def served(self) -> bool:
        """Tell whether there is an answer to use."""
        return self.status == OK


@dataclass(frozen=True, slots=True)
class Wait:
    """Let event time pass."""

    seconds: float


OK = 200
# What a behaviour is sent when it has waited: there is nothing to say.
NOTHING = Reply(status=0)

Step = Wait | Request
Behaviour = Generator[Step, Reply, None]


@dataclass(frozen=True, slots=True)
class Act:
    """Something a caller does, beginning at an instant of the story in seconds."""

    begins_at: float
    behaviour: Behaviour


@dataclass(frozen=True, slots=True)
class Caller:
    """One row of the table: a person, a program or a campaign, with all that it does."""

    name: str
    kind: Kind
    keys: int
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody who is on stage, and the seed that they were made from."""

    seed: int
    callers: tuple[Caller, ...]
