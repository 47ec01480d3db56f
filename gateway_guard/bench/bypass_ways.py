"""Every way to ask a model that is tried: where, how it is written, and where the key stands."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway_guard.bench.bypass_encodings import ENCODINGS, FORMS, Sent, plain
from gateway_guard.bench.texts import Texts
from gateway_guard.settings import KEY_SOURCE_PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway_guard.bench.bypass_answers import Fields
    from gateway_guard.bench.bypass_encodings import Header

LITELLM: Final = "litellm"
FASTAPI: Final = "fastapi"
KEYS: Final = "sk-bypass-"
"""What all keys begin with."""

ROOT: Final = "/tenant"
"""Where the servers are told to be mounted: their paths are served with it and without."""

IDENTITY: Final = "identity"
BEARER: Final = "authorization"
_SEED: Final = 11
_TEXT_BYTES: Final = 240
_GEMINI: Final = "/v1beta/models/{model}:"
_GEMINI_PATHS: Final = (
    "/v1beta/models/gem:generateContent",
    "/gemini/v1beta/models/gem:generateContent",
    "/gemini/v1beta/models/gem:streamGenerateContent?alt=sse",
)
_GEMINI_PLACES: Final = ("?key", "?key twice", "x-goog-api-key", "x-goog-api-key and ?key")
_PASS_THROUGH: Final = (
    "/anthropic/v1/messages",
    "/openai/v1/chat/completions",
    "/openai_passthrough/v1/responses",
    "/mistral/v1/chat/completions",
    "/vllm/v1/chat/completions",
)
_UNLISTED: Final = ("/v1/messages",)
"""Paths that LiteLLM adds to its routes when they are first asked for."""

_ODD_PATHS: Final = (
    *("/v1/chat/completions/", "//v1/chat/completions", "/v1//chat/completions"),
    *("/v1/chat%2Fcompletions", "/v1/%63hat/%63ompletions", "/./v1/chat/completions"),
    *("/v1/chat/completions?stream=false", "/v1/chat/completions;x=1", "/V1/Chat/Completions"),
    *("/v1/messages/", "/v1/m%65ssages", "//v1/messages", "/v1/messages?beta=true"),
    *("/tenant/v1/chat/completions", "/tenant/v1/messages", "/tenant/v1/responses"),
    *("/engines/a/b/chat/completions", "/engines/a%2Fb/chat/completions"),
    *("/v1/responses/", "/v1/embeddings/", "/v1/%65mbeddings", "/v1/completions%20"),
    *(
        _GEMINI + "generateContent/",
        _GEMINI + "generate%43ontent",
        _GEMINI + "generateContent?alt=",
    ),
)
_INNER_PATHS: Final = (
    *("/tenant/inner/v1/chat/completions", "/tenant/inner/v1/messages", "/tenant/api/ask"),
    *("/tenant/inner/v1beta/models/m:generateContent", "/tenant/inner/api/ask"),
)
_FORMS: Final = "/form/"
_CHAT, _MESSAGES = "/v1/chat/completions", "/v1/messages"


class Way(NamedTuple):
    """One way: what it is called, and the request that goes it."""

    mount: str
    path: str
    encoding: str
    credential: str
    target: str
    sent: Sent


class Shape(NamedTuple):
    """What is asked at paths that end so, of which model at LiteLLM, and in which manners."""

    path: re.Pattern[str]
    model: str
    ask: Callable[[Any], Fields]
    manners: tuple[str, ...] = ()


def _said(text: str) -> Fields:
    return {"messages": [{"role": "user", "content": text}]}


def _contents(text: str) -> Fields:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


_STREAM, _TWO, _LIST = "streamed", "two answers", "two texts"
SHAPES: Final = (
    Shape(re.compile(r"/chat/completions$"), "m", _said, (_STREAM, _TWO)),
    Shape(
        re.compile(r"/completions$"), "instruct", lambda text: {"prompt": text}, (_STREAM, _LIST)
    ),
    Shape(re.compile(r"/embeddings$"), "embed", lambda text: {"input": text}, (_LIST,)),
    Shape(re.compile(r"/responses$"), "m", lambda text: {"input": text}, (_STREAM,)),
    Shape(
        re.compile(r"/messages$"),
        "claude",
        lambda text: _said(text) | {"max_tokens": 64},
        (_STREAM,),
    ),
    Shape(re.compile(r":(stream)?generateContent$", re.IGNORECASE), "gem", _contents),
    Shape(re.compile(r"/interactions$"), "m", lambda text: {"input": text}),
    Shape(re.compile(r"/ask$"), "m", lambda text: {"question": text}),
)


class Ways:
    """Makes ways, each with texts of its own under a key of its own."""

    def __init__(self, mount: str) -> None:
        self._mount = mount
        self._numbers = count()
        self._texts = Texts(_SEED)

    def all(self, paths: Iterable[str]) -> Iterator[Way]:
        """Yield every path in identity, and every encoding and place of a key at two paths."""
        for path in paths:
            yield from self.at(path)
        odd = _ODD_PATHS if self._mount == LITELLM else (*_ODD_PATHS, *_INNER_PATHS)
        yield from (self.way(path) for path in odd)
        for path in (_CHAT, _MESSAGES):
            yield from (self.way(path, encoding=encoding) for encoding in ENCODINGS)
            yield from (self.way(path, credential=place) for place in credentials(self._mount))
        for path in _GEMINI_PATHS if self._mount == LITELLM else ():
            yield from (self.way(path, credential=place) for place in _GEMINI_PLACES)

    def at(self, path: str) -> Iterator[Way]:
        """Yield a path in all its manners."""
        shape = shape_at(path)
        if path.startswith(_FORMS):
            yield from (self.way(path, encoding=encoding) for encoding in FORMS)
        elif shape is not None:
            yield self.way(path)
            yield from (self.way(path, manner=manner) for manner in shape.manners)

    def way(
        self,
        path: str,
        *,
        encoding: str = IDENTITY,
        credential: str = BEARER,
        manner: str = "",
    ) -> Way:
        """Return one way."""
        number = next(self._numbers)
        shape = shape_at(path) or SHAPES[0]
        fields = self._fields(shape, manner)
        if path.startswith("/queue/"):
            fields["priority"] = 0
        write = ENCODINGS.get(encoding, plain)
        headers, query = placed(credential, f"{KEYS}{self._mount}-{number:04}")
        sent = write(fields)
        sent = sent._replace(headers=(*headers, *sent.headers))
        target = re.sub(r"\{[^}]+\}", shape.model, path)
        if query:
            target += ("&" if "?" in target else "?") + query
        label = f"{path} ({manner})" if manner else path
        return Way(self._mount, label, encoding, credential, target, sent)

    def _fields(self, shape: Shape, manner: str) -> Fields:
        text: str | list[str] = self._text()
        if manner == _LIST:
            text = [self._text(), self._text()]
        fields: Fields = {"model": shape.model} | shape.ask(text)
        if manner == _STREAM:
            fields |= {"stream": True}
        if manner == _TWO:
            fields |= {"n": 2}
        return fields

    def _text(self) -> str:
        return self._texts.text(_TEXT_BYTES).decode().replace("\\n", " ").strip()


def shape_at(path: str) -> Shape | None:
    """Return what is asked at a path, ``None`` where that is no model."""
    plain_path = re.sub(r"%([0-9a-fA-F]{2})", lambda it: chr(int(it[1], 16)), path)
    plain_path = re.split(r"[?;]", plain_path)[0].strip().rstrip("/").lower()
    plain_path = plain_path.replace("generatecontent", "generateContent")
    return next((shape for shape in SHAPES if shape.path.search(plain_path)), None)


def paths_of(mount: str, routes: Iterable[str]) -> list[str]:
    """Return the paths of a server at which a model is asked."""
    paths = [path for path in routes if shape_at(path) is not None]
    return list(dict.fromkeys((*paths, *_UNLISTED, *_PASS_THROUGH))) if mount == LITELLM else paths


def credentials(mount: str) -> list[str]:
    """Return the places where a key may stand, two keys and none included."""
    preset = KEY_SOURCE_PRESETS["litellm" if mount == LITELLM else "default"]
    places = [place for place in preset if place != "sec-websocket-protocol"]
    return [
        *places,
        *("authorization: bearer", "authorization: Basic", "authorization: key"),
        *(f"authorization and {place}" for place in places if place != BEARER),
        *("authorization twice", "x-api-key twice", "?key twice", "none"),
    ]


def placed(credential: str, key: str) -> tuple[list[Header], str]:
    """Return the fields of a header, and the query, that carry a key, or two."""
    headers: list[Header] = []
    query: list[str] = []
    if credential == "none":
        return headers, ""
    first, _, scheme = credential.partition(": ")
    places = first.split(" and ")
    if first.endswith(" twice"):
        places = [first.removesuffix(" twice")] * 2
    for at, place in enumerate(places):
        value = f"{key}{'ab'[at]}"
        if place.startswith("?"):
            query.append(f"{place[1:]}={value}")
        elif place == BEARER:
            headers.append((place, value if scheme == "key" else f"{scheme or 'Bearer'} {value}"))
        else:
            headers.append((place, value))
    return headers, "&".join(query)
