"""``gateway-guard bench --only bypass`` finds what is spent unseen, and finds nothing here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.testclient import TestClient

from gateway_guard.bench import bypass, command
from gateway_guard.bench.bypass import Server, check_installed, tried, unseen
from gateway_guard.bench.bypass_answers import TEXT
from gateway_guard.bench.bypass_encodings import ENCODINGS, decoded
from gateway_guard.bench.bypass_fastapi import READ_AS_FORM, READ_AS_JSON, READ_AS_MODEL
from gateway_guard.bench.bypass_litellm import accept, config_of
from gateway_guard.bench.bypass_model import LEDGER, Model, Spent
from gateway_guard.bench.bypass_servers import serve_fastapi
from gateway_guard.bench.bypass_ways import (
    BEARER,
    FASTAPI,
    IDENTITY,
    LITELLM,
    Way,
    Ways,
    paths_of,
    placed,
)
from gateway_guard.bench.bypass_witness import Seen
from gateway_guard.bench.children import child
from gateway_guard.bench.report import Bypass, Report, Served, Turned, as_dict, as_table
from gateway_guard.cli import main
from gateway_guard.settings import KEY_SOURCE_PRESETS
from tests.responses_read import heard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHOSEN = {
    ("/v1/chat/completions", IDENTITY, BEARER),
    ("/v1/chat/completions (streamed)", IDENTITY, BEARER),
    ("/v1/chat/completions (two answers)", IDENTITY, BEARER),
    ("/v1/completions (two texts)", IDENTITY, BEARER),
    ("/v1/embeddings (two texts)", IDENTITY, BEARER),
    ("/typed/v1/responses (streamed)", IDENTITY, BEARER),
    ("/v1beta/models/{model:path}:streamGenerateContent", IDENTITY, BEARER),
    ("/tenant/inner/api/ask", IDENTITY, BEARER),
    ("/form/v1/chat/completions", "parts behind a file", BEARER),
    ("/v1/messages", "zstd in deflate", BEARER),
    ("/v1/messages", "utf-32", BEARER),
    ("/v1/messages", "names twice, the text last", BEARER),
    ("/v1/messages", "chunked byte by byte", BEARER),
    ("/v1/messages", IDENTITY, "?key twice"),
    ("/v1/messages", IDENTITY, "authorization and x-api-key"),
    ("/v1/messages", IDENTITY, "none"),
    ("/v1/messages", "garbage behind it", BEARER),
}
ROUTES = (*READ_AS_JSON, *READ_AS_MODEL, *READ_AS_FORM)


def chosen(ways: Iterable[Way]) -> Iterator[Way]:
    """Yield a few of the ways, each once."""
    named = {(way.path, way.encoding, way.credential): way for way in ways}
    return (way for name, way in named.items() if name in CHOSEN)


def every(mount: str) -> list[Way]:
    """Return all ways of a server."""
    return list(Ways(mount).all(paths_of(mount, ROUTES)))


def test_nothing_is_spent_unseen() -> None:
    """A few ways are gone for real; what the server turns away is not among them."""
    with child(serve_fastapi) as process:
        port = cast("int", process.heard())
        found = tried(Server(FASTAPI, port, port), chosen)
    assert len(found.ways) == len(CHOSEN) - 1
    assert [way.unseen_tokens for way in found.ways] == [0] * len(found.ways)
    assert [(way.encoding, way.status) for way in found.rejected] == [("garbage behind it", 500)]


def test_a_hole_is_found() -> None:
    """A guard that looks for keys in one place misses what others pay for in another."""
    with child(serve_fastapi, {"key_sources": ("authorization",)}) as process:
        port = cast("int", process.heard())
        [way] = tried(
            Server(FASTAPI, port, port),
            lambda ways: [next(way for way in ways if way.credential == "x-api-key")],
        ).ways
    assert way.unseen_tokens > len(TEXT.split())


SPENT = Spent(["What is it?"], prompt=3, completion=20, answers=1)
SEEN = Seen(
    counted=1,
    chars=11,
    texts=["What is it?"],
    output_chars=len(TEXT),
    output_tokens=0,
    failures=[],
)


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({}, 0),
        ({"counted": 0}, 23),
        ({"texts": ["What was it?"]}, 3),
        ({"chars": 10}, 3),
        ({"output_chars": 5}, 20),
        ({"output_chars": 5, "output_tokens": 20}, 0),
        ({"chars": 10, "output_chars": 5}, 23),
    ],
)
def test_what_is_missing_is_what_is_unseen(changes: dict[str, Any], tokens: int) -> None:
    """All of what is not counted, the question where it is not read, an answer not heard."""
    fields = {name: getattr(SEEN, name) for name in Seen.__struct_fields__}
    assert unseen([SPENT], Seen(**fields | changes)) == tokens


def test_two_answers_that_count_as_one_are_half_seen() -> None:
    """What is asked for twice is to be counted twice."""
    assert unseen([SPENT._replace(answers=2, completion=39)], SEEN) == 21


@pytest.mark.parametrize("mount", [LITELLM, FASTAPI])
def test_every_path_encoding_and_place_is_tried(mount: str) -> None:
    """Each request has a text and a key of its own, so that none can stand for another."""
    ways = every(mount)
    assert {way.encoding for way in ways} == {IDENTITY, *ENCODINGS}
    preset = set(KEY_SOURCE_PRESETS["litellm" if mount == LITELLM else "default"])
    assert {way.credential for way in ways} >= preset - {"sec-websocket-protocol"}
    assert {way.path for way in ways} >= set(ROUTES)
    bodies = {way.sent for way in ways}
    assert len(bodies) == len(ways) > 60


def test_a_second_key_is_another_one() -> None:
    """In the header twice, in two places, or in the query."""
    assert placed("authorization twice", "k") == (
        [("authorization", "Bearer ka"), ("authorization", "Bearer kb")],
        "",
    )
    assert placed("authorization and ?key", "k") == ([("authorization", "Bearer ka")], "key=kb")
    assert placed("none", "k") == ([], "")


@pytest.mark.parametrize("names", ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate"])
def test_what_is_encoded_can_be_decoded(names: str) -> None:
    """What a server undoes is what was sent."""
    write = ENCODINGS[" in ".join(names.split(", "))]
    assert json.loads(decoded(write({"prompt": "Why?"}).body, names)) == {"prompt": "Why?"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Why?"}]}),
        ("/v1/completions", {"prompt": "Why?"}),
        ("/v1/responses", {"input": "Why?"}),
        ("/v1/messages", {"messages": [{"role": "user", "content": "Why?"}]}),
        ("/v1beta/models/m:generateContent", {"contents": [{"parts": [{"text": "Why?"}]}]}),
        ("/v1beta/models/m:streamGenerateContent", {"contents": [{"parts": [{"text": "Why?"}]}]}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_model_speaks_every_dialect(path: str, fields: dict[str, Any], *, stream: bool) -> None:
    """Its answers are read in full, and its ledger says what they were spent on."""
    client = TestClient(Model().app())
    reply = client.post(path, json=fields | {"stream": stream})
    events = reply.headers["content-type"].startswith("text/event-stream")
    assert heard([reply.content], path, event_stream=events).output_chars == len(TEXT)
    assert client.get(LEDGER).json() == [
        {"texts": ["Why?"], "prompt": 1, "completion": len(TEXT.split()), "answers": 1}
    ]


def test_the_model_answers_nothing_that_asks_nothing() -> None:
    """Neither at a path without a dialect, nor where turns are no list of objects."""
    client = TestClient(Model().app())
    asked = {"messages": '[{"role": "user"}]', "prompt": "Why?"}
    assert client.post("/v1/chat/completions", json=asked).status_code == 400
    assert client.post("/v1/rerank", json={"prompt": "Why?"}).status_code == 400
    assert client.get(LEDGER).json() == []


async def test_litellm_is_configured_to_accept_only_keys_of_the_measurement() -> None:
    """What it makes up where it finds no key is none."""
    config = json.loads(config_of("http://127.0.0.1:1"))
    assert config["general_settings"]["custom_auth"].endswith("bypass_litellm.accept")
    with pytest.raises(ValueError, match="no key"):
        await accept(None, "None")


FOUND = Bypass(
    ways=[
        Served(LITELLM, "/v1/messages", IDENTITY, BEARER, unseen_tokens=0),
        Served(LITELLM, "/v1/messages", "gzip", BEARER, unseen_tokens=41),
        Served(FASTAPI, "/api/ask", IDENTITY, "none", unseen_tokens=0),
    ],
    rejected=[Turned(LITELLM, "/v1/messages", "br", BEARER, status=400)],
)


def test_programs_get_every_way() -> None:
    """What is turned away stands apart, with its status."""
    shown = as_dict(Report(bypass=FOUND))
    assert json.loads(json.dumps(shown["bypass"]))[1] == {
        "mount": "litellm",
        "path": "/v1/messages",
        "encoding": "gzip",
        "credential": "authorization",
        "unseen_tokens": 41,
    }
    rejected: Any = shown["bypass_rejected"]
    assert [way["status"] for way in rejected] == [400]


def test_people_get_a_line_for_each_hole() -> None:
    """And how many ways each server serves and turns away."""
    lines = [" ".join(line.split()) for line in as_table(Report(bypass=FOUND)).splitlines()]
    assert "bypass: ways to ask that litellm serves 2" in lines
    assert lines[2:5] == [
        "that it turns away 1",
        "tokens spent unseen 41 0",
        "/v1/messages, gzip, authorization 41",
    ]
    assert "bypass: ways to ask that fastapi serves 1" in lines


def test_without_litellm_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured."""
    monkeypatch.setattr(bypass, "is_installed", lambda: False)
    monkeypatch.setattr(command, "measure", None)
    assert main(["bench", "--only", "bypass"]) != 0
    assert "gateway-guard[bench,mounts]" in capsys.readouterr().err


def test_the_measurement_needs_nothing_that_is_missing_here() -> None:
    """What the mounts' extra brings is enough."""
    check_installed()
