"""The readers, each as a function of a fuzzer's bytes that returns the size of what it read."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import DIALECTS, decoder_for, dialect_for, read_request
from gateway_guard.dialects.lenient import UNREADABLE, normalise, normalise_form
from gateway_guard.exchange import Exchange, Turn
from gateway_guard.features import FeatureReader
from gateway_guard.principal import PrincipalReader
from gateway_guard.settings import Settings
from tests.callers import DEFAULTS, Wire, guarded, in_chunks, scope_of
from tests.fuzz.inputs import chosen
from tests.fuzz.seeds import PATHS

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from gateway_guard.dialects.base import Dialect

Target = Callable[[bytes], int]

ENCODINGS = (b"gzip", b"deflate", b"identity", b"gzip, deflate", b"br", b"x-gzip")
MOST_HELD_BYTES = 2**23 + 2**19
_KEY = b"a key of 16 byte"
_KINDS = (b"application/json", b"text/event-stream", b"application/vnd.amazon.eventstream", b"")
_NEVER: dict[str, Any] = {
    "watch_logit": 90.0,
    "throttle_logit": 90.0,
    "block_logit": 90.0,
    "oversize": "pass",
}
_MOST_TURNS = 200
_FRESH_EVERY = 2_000


def require(what: str, *, holds: bool) -> None:
    """Raise ``AssertionError`` where something does not hold that always must."""
    if not holds:
        raise AssertionError(what)


def read_a_request(name: str, data: bytes) -> int:
    """Read a request as it is read for the middleware, and as its dialect alone reads it."""
    way, _, body = chosen(data)
    path = PATHS[name][way % len(PATHS[name])]
    dialect, exchange = read_request(body, path)
    require("the path's dialect", holds=dialect is dialect_for(path))
    if exchange is not None:
        require("its size", holds=exchange.body_bytes == len(body))
        require("texts that can be written", holds=_encodable(exchange))
    return len(body)


def _encodable(exchange: Exchange) -> bool:
    texts = [turn.text + turn.role for turn in exchange.turns]
    try:
        "".join([*texts, exchange.model, exchange.end_user or ""]).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_an_answer(dialect: Dialect, data: bytes) -> int:
    """Read an answer in one piece and in others: nothing raises, and a sound one says the same."""
    way, cuts, body = chosen(data)
    event_stream = bool(way % 2)
    whole = _heard(dialect, [body], event_stream=event_stream)
    if cuts:
        same = _heard(dialect, chosen(data).pieces(), event_stream=event_stream) == whole
        require("the same wherever it is split", holds=same or not _is_sound(body))
    return len(body)


def _is_sound(body: bytes) -> bool:
    """Tell whether a body is JSON, or consists of events with JSON in them and nothing else."""
    lines = [line for line in body.splitlines() if line]
    values = [line[5:] for line in lines if line.startswith(b"data:")]
    try:
        for value in values if len(values) == len(lines) else [body]:
            msgspec.json.decode(value)
    except UNREADABLE:
        return False
    return True


def _heard(dialect: Dialect, pieces: list[bytes], *, event_stream: bool) -> object:
    reader = dialect.response_reader(event_stream=event_stream, digest_key=_KEY)
    for piece in pieces:
        reader.feed(piece)
        require("a bound on what is held", holds=reader.held_bytes <= MOST_HELD_BYTES)
    return reader.finish()


def read_an_encoding(data: bytes) -> int:
    """Decode bytes as they claim to be encoded, and after they were."""
    way, _, body = chosen(data)
    decoder = decoder_for(ENCODINGS[way % len(ENCODINGS)])
    for piece in chosen(data).pieces():
        if decoder is not None:
            decoder.decode(piece)
    packed = gzip.compress(body, 1) if way & 0x40 else zlib.compress(body, 1)
    undone = decoder_for(b"gzip" if way & 0x40 else b"deflate", len(body) + 1)
    require("a decoder", holds=undone is not None)
    require("what was encoded", holds=undone is not None and undone.decode(packed) == body)
    return len(body)


def read_a_form(data: bytes) -> int:
    """Read bytes as a form, and as JSON that only the standard parser reads."""
    body = chosen(data).body
    normalise_form(body)
    with contextlib.suppress(*UNREADABLE):
        normalise(body)
    read_request(body, "/v1/chat/completions")
    return len(body)


_TRUSTING: dict[str, Any] = {"trusted_proxies": "203.0.113.0/24, unix"}
_PRINCIPALS = [
    PrincipalReader(Settings(**{**DEFAULTS, **trusting}), b"a secret of the tests")
    for trusting in ({}, _TRUSTING)
]


def read_a_principal(data: bytes) -> int:
    """Read header lines, a query and a peer."""
    way, _, body = chosen(data)
    query, _, lines = body.partition(b"\n")
    fields = [line.partition(b":")[::2] for line in lines.split(b"\n")]
    headers = [(name.strip().lower(), value.strip()) for name, value in fields]
    client = (None, ("203.0.113.7", 1), (query.decode("latin-1"), 0))[way % 3]
    scope = scope_of(key=b"", headers=headers, query_string=query, client=client)
    for reader in _PRINCIPALS:
        principal = reader.read(scope)
        require("an id", holds=bool(principal.key))
    return len(body)


_FEATURES = FeatureReader(b"a secret of the fuzzer's own, long")
_ROLES = ("user", "assistant", "system", "tool")


def read_features(data: bytes) -> int:
    """Read the features of texts, one a line."""
    way, _, body = chosen(data)
    texts = body.decode("utf-8", "replace").split("\0", _MOST_TURNS)
    turns = tuple(Turn(_ROLES[(way + at) % 4], text) for at, text in enumerate(texts))  # type: ignore[arg-type]
    exchange = Exchange("generic", "m", turns, body_bytes=len(body))
    _FEATURES.read(exchange, lambda _: None)
    return len(body)


class Middleware:
    """The whole guard before an application whose request and answer the fuzzer chooses."""

    def __init__(self) -> None:
        """Mount it once; requests of many callers pass."""
        self._runner = asyncio.Runner()
        self._paths = [path for paths in PATHS.values() for path in paths]
        self._number = 0
        self._mount()

    def _mount(self) -> None:
        self._script: list[Message] = []
        self._read = b""
        self._guard = guarded(self._app, **_NEVER)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        self._read, more = b"", True
        while more:
            message = await receive()
            self._read += message["body"]
            more = message["more_body"]
        for message in self._script:
            await send(message)

    def __call__(self, data: bytes) -> int:
        """Send one request: its body and the answer are the same bytes, cut as chosen."""
        way, _, body = chosen(data)
        self._number += 1
        if not self._number % _FRESH_EVERY:
            self._mount()
        pieces = chosen(data).pieces()
        kind = (b"content-type", _KINDS[way % len(_KINDS)])
        encoded = [(b"content-encoding", ENCODINGS[way % 5])] if way & 0x80 else []
        self._script = _answer([kind, *encoded], pieces)
        path = self._paths[self._number % len(self._paths)]
        key = b"sk-%d" % (self._number % 50)
        wire = Wire(*in_chunks(*pieces))
        scope = scope_of(path, headers=[kind, *encoded], key=key)
        self._runner.run(self._guard(scope, wire.receive, wire.send))
        self._guard.engine.flush(self._guard.guard.timeline.now())
        require("every byte of the request", holds=self._read == body)
        require("every message of the answer", holds=wire.sent == self._script)
        self._check()
        return len(body)

    def close(self) -> None:
        """Close the event loop."""
        self._guard.guard.background.stop()
        self._runner.close()

    def _check(self) -> None:
        counters = self._guard.instruments.counters
        failed = [label for name, label in counters if name == "errors"]
        require(f"no error inside: {failed}", holds=not failed)
        require("nothing held", holds=not self._guard.guard.budget.held_bytes)


def _answer(headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> list[Message]:
    start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
    last = len(pieces) - 1
    return [
        start,
        *(
            {"type": "http.response.body", "body": piece, "more_body": at < last}
            for at, piece in enumerate(pieces)
        ),
    ]


def targets() -> dict[str, Callable[[], Target]]:
    """Return what makes each target, by its name."""
    made: dict[str, Callable[[], Target]] = {}
    for dialect in DIALECTS:
        made[f"{dialect.name}.request"] = partial(partial, read_a_request, dialect.name)
        made[f"{dialect.name}.answer"] = partial(partial, read_an_answer, dialect)
    return made | {
        "encoding": lambda: read_an_encoding,
        "form": lambda: read_a_form,
        "principal": lambda: read_a_principal,
        "features": lambda: read_features,
        "middleware": Middleware,
    }
