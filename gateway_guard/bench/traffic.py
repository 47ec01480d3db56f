"""Callers and what they ask: the requests of all measurements, as header fields and body."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from gateway_guard.bench.answers import TEXT
from gateway_guard.bench.texts import Texts

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence
    from typing import Any

Field = tuple[bytes, bytes]

PATH: Final = b"/v1/chat/completions"
ORGANISATION_HEADER: Final = "x-organisation"
CALLERS: Final = 64
PROMPT_BYTES: Final = 2048
OUT_OF_REACH: Final = 1_000_000_000
"""Requests a minute that nobody makes: what is measured is letting requests through."""

_SYSTEM_BYTES: Final = 600
_FRAME_BYTES: Final = 60
_GROUP: Final = 4
_FIELDS: Final = (
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"content-type", b"application/json"),
    (b"x-stainless-async", b"false"),
    (b"x-stainless-lang", b"python"),
    (b"x-stainless-os", b"Linux"),
    (b"x-stainless-retry-count", b"0"),
    (b"x-stainless-runtime", b"CPython"),
)


class Call(NamedTuple):
    """One request: its fields, content length apart, and its body."""

    fields: tuple[Field, ...]
    body: bytes


class Block(NamedTuple):
    """Requests that are measured together, and those that must have come before, unmeasured."""

    openings: list[Call]
    calls: list[Call]


class Traffic(Protocol):
    """Makes requests, none of them twice."""

    def block(self, count: int) -> Block:
        """Return the next requests."""
        ...


class Caller(NamedTuple):
    """Somebody with a key: the fields of every request, and the end user, empty for none."""

    fields: tuple[Field, ...]
    end_user: bytes = b""


def plain_caller(number: int, kind: bytes = b"plain") -> Caller:
    """Return a caller that shows a key and little else."""
    return Caller((*_FIELDS, (b"authorization", b"Bearer sk-%b-%08d" % (kind, number))))


def full_caller(number: int) -> Caller:
    """Return a caller that shows a key, end user, network, client and organisation.

    Four callers share an organisation and a network.
    """
    group, place = divmod(number, _GROUP)
    fields = (
        *plain_caller(number, b"full").fields,
        (b"user-agent", b"OpenAI/Python 1.%d.0" % place),
        (b"x-forwarded-for", b"10.%d.%d.%d" % (*divmod(group % 65_536, 256), place + 1)),
        (ORGANISATION_HEADER.encode(), b"organisation-%d" % group),
    )
    return Caller(fields, b"user-%d" % number)


def credential(scope: MutableMapping[str, Any]) -> str:
    """Return the credential of a request, which rate limiters count by."""
    fields = scope["headers"]
    return next((value.decode() for name, value in fields if name == b"authorization"), "")


class Manner(NamedTuple):
    """How questions are put: the same system prompt before each, and whether answers are streamed.

    Given ``frames``, questions begin and end with one of so many texts instead of a new one.
    """

    question_bytes: int = PROMPT_BYTES
    system: bool = True
    stream: bool = False
    frames: int = 0


PLAIN: Final = Manner()


class Prompts:
    """One question a request, from callers in turn."""

    def __init__(self, callers: Sequence[Caller], manner: Manner = PLAIN, *, seed: int) -> None:
        texts = self._texts = Texts(seed)
        self._callers = cycle(callers)
        self._manner = manner
        self._said = [_message(b"system", texts.text(_SYSTEM_BYTES))] if manner.system else []
        self._frames = cycle([texts.text(_FRAME_BYTES) for _ in range(manner.frames)] or [b""])

    def block(self, count: int) -> Block:
        """Return the next requests; nothing must come before."""
        return Block([], [self.ask(next(self._callers)) for _ in range(count)])

    def ask(self, caller: Caller) -> Call:
        """Return the next request, from a caller whose turn it need not be."""
        frame = next(self._frames)
        text = self._texts.text(self._manner.question_bytes)
        question = _message(b"user", b" ".join((frame, text, frame)))
        return _call(caller, [*self._said, question], stream=self._manner.stream)


def asked(caller: Caller, question: bytes, *, system: bytes = b"") -> Call:
    """Return one request with texts of one's own."""
    said = [_message(b"system", system)] if system else []
    return _call(caller, [*said, _message(b"user", question)])


class Size(NamedTuple):
    """The size of an agent's requests: bytes and turns on average, and for how long they grow."""

    body_bytes: int
    turns: int
    steps: int


MEDIUM: Final = Size(30 * 1024, turns=12, steps=3)
LARGE: Final = Size(200 * 1024, turns=60, steps=7)


class Conversations:
    """Agents' requests, each with everything that was said before, from callers in turn.

    A conversation grows by one exchange a request, around the given size; its newest turn is new.
    After some steps it gives way to another one, whose earlier turns come first in an unmeasured
    request: in use they would have been read one at a time.
    """

    def __init__(self, callers: Sequence[Caller], *, seed: int, size: Size) -> None:
        self._texts = Texts(seed)
        self._system = _message(b"system", self._texts.text(_SYSTEM_BYTES))
        self._callers = cycle(callers)
        self._size = size
        self._said: dict[Caller, list[bytes]] = {}
        self._left: dict[Caller, int] = {}

    def block(self, count: int) -> Block:
        """Return the next requests, and the openings of conversations that begin with them."""
        block = Block([], [])
        for _ in range(count):
            caller = next(self._callers)
            if not self._left.get(caller):
                block.openings.append(self._open(caller))
            self._left[caller] -= 1
            block.calls.append(self._ask(caller, PROMPT_BYTES))
        return block

    def _open(self, caller: Caller) -> Call:
        """Begin a conversation whose exchanges make up what it lacks in size."""
        size, answer = self._size, len(TEXT)
        exchanges = max(1, (size.turns - 1 - size.steps) // 2)
        grown = PROMPT_BYTES + (size.steps - 1) * (PROMPT_BYTES + answer) // 2
        question = (size.body_bytes - _SYSTEM_BYTES - grown) // exchanges - answer
        self._said[caller], self._left[caller] = [self._system], size.steps
        return [self._ask(caller, question) for _ in range(exchanges)][-1]

    def _ask(self, caller: Caller, size_bytes: int) -> Call:
        said = self._said[caller]
        said.append(_message(b"user", self._texts.text(size_bytes)))
        call = _call(caller, said, extra=_TOOLS)
        said.append(_ANSWER)
        return call


def _message(role: bytes, text: bytes) -> bytes:
    return b'{"role":"%b","content":"%b"}' % (role, text)


_ANSWER: Final = _message(b"assistant", TEXT.encode())


_TOOLS: Final = (
    b',"tools":[{"type":"function","function":{"name":"read_file","description":"Read a part of a '
    b'file.","parameters":{"type":"object","properties":{"path":{"type":"string"},"first":{"type":'
    b'"integer"},"last":{"type":"integer"}},"required":["path"]}}}]'
)


def _call(
    caller: Caller, messages: Sequence[bytes], *, stream: bool = False, extra: bytes = b""
) -> Call:
    head = _STREAMED if stream else _WHOLE
    user = b',"user":"%b"' % caller.end_user if caller.end_user else b""
    return Call(caller.fields, b"".join((head, b",".join(messages), b"]", extra, user, b"}")))


_HEAD: Final = b'{"model":"bench-1","temperature":0.7,"max_tokens":1024,"stream":%b,"messages":['
_WHOLE: Final = _HEAD % b"false"
_STREAMED: Final = _HEAD % b"true"
