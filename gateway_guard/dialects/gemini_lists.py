"""Requests to Gemini that hold many, batches and lists of texts to be embedded, and single texts.

The requests of a batch are read one by one: a wrong type in one of them does not touch the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.asides import ABSENT
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.gemini_contents import MENDERS, Contents, contents_turns
from gateway_guard.dialects.gemini_requests import NAME, Request, exchange_of, model_name
from gateway_guard.dialects.lists import read_dense, read_drawn, read_each
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.overlays import overlaid
from gateway_guard.exchange import Exchange, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[bytes, str], Exchange | None]


class _Item(msgspec.Struct, gc=False):
    request: msgspec.Raw = ABSENT


class _Items(msgspec.Struct, gc=False):
    requests: list[_Item] | None = None


class _Input(msgspec.Struct, gc=False):
    requests: _Items | list[_Item] | None = None
    file: str | None = msgspec.field(default=None, name="fileName")
    file_: str | None = msgspec.field(default=None, name="file_name")


class _Batch(msgspec.Struct, gc=False):
    config: _Input | None = msgspec.field(default=None, name="inputConfig")
    config_: _Input | None = msgspec.field(default=None, name="input_config")


class _Batched(msgspec.Struct, gc=False):
    batch: _Batch | None = None


class _Embed(msgspec.Struct, gc=False):
    content: Contents = None
    title: str | None = None
    model: str = ""


class _Embeds(msgspec.Struct, gc=False):
    requests: list[msgspec.Raw] | None = None


_LONGEST_ID = 4096
_BATCHED = decoder_of(_Batched, strict=True)
_GENERATE = decoder_of(Request)
_EMBED = decoder_of(_Embed)
_EMBEDS = decoder_of(_Embeds, strict=True)


def read_generate(body: bytes, model: str) -> Exchange | None:
    """Return the exchange in a request for content that is not streamed."""
    size = len(body)
    return overlaid(
        body, _GENERATE, MENDERS, lambda request: exchange_of(request, model, size, stream=False)
    )


def read_embed(body: bytes, model: str) -> Exchange | None:
    """Return the exchange in a request for the embedding of one text."""
    return read_as(body, _EMBED, MENDERS, lambda request: _embedded(request, model, len(body)))


def read_embeds(body: bytes, model: str) -> Exchange | None:
    """Return the exchanges in a request for many embeddings."""
    return read_as(
        body, _EMBEDS, {}, lambda request: _each(request.requests or [], model, read_embed)
    )


def read_batch(body: bytes, model: str, read: Read, *, dense: bool = False) -> Exchange | None:
    """Return what was drawn of a batch, whose requests ``read`` reads, or the file that it names.

    Of a ``dense`` body only what can be read fast.
    """

    def make(made: _Batched) -> Exchange | None:
        file = _file(made)
        if file:
            return Exchange(
                NAME, model, (), body_bytes=len(body), file=file[:_LONGEST_ID], batch=True
            )
        return read_drawn(_requests(made), NAME, lambda request: read(request, model))

    return read_dense(body, _BATCHED, make) if dense else read_as(body, _BATCHED, {}, make)


def _file(made: _Batched) -> str | None:
    batch = made.batch or _Batch()
    config = batch.config or batch.config_ or _Input()
    return config.file or config.file_


def _requests(made: _Batched) -> list[msgspec.Raw]:
    batch = made.batch or _Batch()
    config = batch.config or batch.config_ or _Input()
    items = config.requests
    listed = items.requests if isinstance(items, _Items) else items
    return [item.request for item in listed or () if item.request]


def _each(requests: list[msgspec.Raw], model: str, read: Read) -> Exchange | None:
    return read_each(requests, NAME, lambda request: read(request, model))


def _embedded(request: _Embed, model: str, size: int) -> Exchange | None:
    turns = contents_turns(request.content, "user")
    if request.title:
        turns.insert(0, Turn("user", request.title))
    if not turns:
        return None
    name = model_name(model or request.model)
    return Exchange(dialect=NAME, model=name, turns=tuple(turns), body_bytes=size)
