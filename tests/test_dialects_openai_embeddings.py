"""OpenAI embeddings: each input of a list is an exchange; of an answer only tokens are kept."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.dialects.openai_embeddings import OpenAIEmbeddings
from gateway_guard.exchange import Answer, Exchange, Sampling, Turn, Usage
from tests.openai_shapes import embeddings

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH = "/v1/embeddings"


def read(asked: object = "x", *, path: str = PATH, **fields: Any) -> Exchange:  # noqa: ANN401
    """Read a request with this input and these fields."""
    body = json.dumps({"model": "text-embedding-3-small", "input": asked, **fields}).encode()
    exchange = OpenAIEmbeddings().read_request(body, path)
    assert exchange is not None
    assert exchange.dialect == "openai_embeddings"
    return exchange


def texts(exchange: Exchange) -> list[str]:
    """Return what an exchange and its others say."""
    return [turn.text for each in (exchange, *exchange.others) for turn in each.turns]


def heard(pieces: Iterable[bytes], *, event_stream: bool = False) -> Answer:
    """Read a response body that comes in pieces."""
    reader = OpenAIEmbeddings().response_reader(event_stream=event_stream, digest_key=bytes(16))
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/embeddings", "text-embedding-3-small"),
        ("/embeddings/", "text-embedding-3-small"),
        ("/any/prefix/v1/embeddings", "text-embedding-3-small"),
        ("/engines/ada/embeddings", "ada"),
        ("/openai/deployments/team/model/embeddings", "team/model"),
    ],
)
def test_embeddings_are_spoken_at_every_alias_of_their_path(path: str, model: str) -> None:
    """The model in the path goes before the one in the body."""
    assert dialect_for(path).name == "openai_embeddings"
    assert read(path=path).model == model


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("find me", ["find me"]),
        (["one", "two"], ["one", "two"]),
        ([1212, 318], ["1212 318"]),
        ([[1212, 318], [257]], ["1212 318", "257"]),
        ([{"text": "one"}, {"image": "data:image/png;base64," + "QUJD" * 100}], ["one", ""]),
    ],
)
def test_every_input_is_an_exchange(asked: object, expected: list[str]) -> None:
    """As texts, as the numbers of tokens, or as parts."""
    assert texts(read(asked)) == expected


def test_an_exchange_has_nothing_but_its_text_and_who_asks() -> None:
    """Nothing is drawn."""
    exchange = read("x", user="u", dimensions=256, encoding_format="base64")
    assert (exchange.turns, exchange.end_user) == ((Turn("user", "x"),), "u")
    assert (exchange.sampling, exchange.stream) == (Sampling(), False)


def test_a_whole_shelf_of_inputs_is_at_most_64_exchanges() -> None:
    """The last one stands for the rest."""
    asked = [f"input {number}" for number in range(2_048)]
    exchange = read(asked)
    assert len(exchange.others) == 63
    assert "\n".join(texts(exchange)) == "\n".join(asked)
    assert exchange.others[-1].sampling.answers == 2_048 - 63


@pytest.mark.parametrize("body", [b"{}", b'{"model":"m"}', b'{"input":[]}', b'{"input":null}'])
def test_without_input_there_is_no_exchange(body: bytes) -> None:
    """Servers refuse such bodies."""
    assert read_request(body, PATH)[1] is None


def test_what_is_said_under_other_names_is_found() -> None:
    """Some servers take messages here."""
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    exchange = read_request(body, PATH)[1]
    assert exchange is not None
    assert exchange.turns == (Turn("user", "hi"),)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("count", "size"), [(1, 8), (1, 700), (3, 700), (2, 3_072), (64, 1_536)])
def test_the_tokens_are_reported_before_or_after_the_numbers(
    count: int, size: int, *, packed: bool
) -> None:
    """Of short answers and of long ones."""
    vectors = embeddings(count, size=size, packed=packed)
    assert heard([json.dumps(vectors).encode()]) == Answer(usage=Usage(8, 0))
    turned = dict(reversed(vectors.items()))
    assert heard([json.dumps(turned, indent=1).encode()]) == Answer(usage=Usage(8, 0))


@pytest.mark.parametrize("size", [8, 700, 3_072])
def test_an_answer_split_in_two_anywhere_reads_as_in_one_piece(size: int) -> None:
    """Between any two bytes, and byte by byte."""
    body = json.dumps(embeddings(1, size=size, packed=True)).encode()
    for cut in range(len(body)):
        assert heard([body[:cut], body[cut:]]) == Answer(usage=Usage(8, 0))
    assert heard(body[at : at + 1] for at in range(len(body))) == Answer(usage=Usage(8, 0))


def test_tokens_with_details_are_read_from_the_end_of_a_long_answer() -> None:
    """Servers add to what they report."""
    details = {"prompt_tokens_details": {"cached_tokens": 0}, "prompt_tokens": 9}
    body = json.dumps(embeddings(9, size=700) | {"usage": details, "id": "x"}).encode()
    assert heard([body]) == Answer(usage=Usage(9, 0))


def test_a_long_answer_without_a_report_is_an_empty_one() -> None:
    """Nothing is made up."""
    vectors = embeddings(9, size=700)
    del vectors["usage"]
    assert heard([json.dumps(vectors).encode()]) == Answer()


def test_megabytes_of_numbers_are_read_in_bounded_memory() -> None:
    """Twenty of them leave kilobytes behind."""
    chunk = b"-0.006929283495992422," * 3_000
    reader = OpenAIEmbeddings().response_reader(event_stream=False, digest_key=bytes(16))
    tracemalloc.start()
    for _ in range(300):
        reader.feed(chunk)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 50_000
    assert peak < 200_000
    reader.feed(b'],"usage":{"prompt_tokens":8,"total_tokens":8}}')
    assert reader.finish().usage == Usage(8, 0)


def test_an_error_is_a_failure() -> None:
    """In place of the numbers."""
    assert heard([b'{"error":{"message":"gone","type":"server_error"}}']).failed
    assert not heard([b'{"error":null,"data":[]}']).failed


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"17", b"[[]]", b'{"usage":[]}'])
def test_bodies_that_report_nothing_make_an_empty_answer(body: bytes) -> None:
    """Nothing is raised, and nothing is made up."""
    assert heard([body]) == Answer()


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(("data", "usage", "prompt_tokens", "error", "type", "text")),
        inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(ODD, st.sampled_from((0, 9_000, 20_000)))
def test_arbitrary_json_in_an_answer_raises_nothing(value: object, blanks: int) -> None:
    """Every field can be of every type, at either end of a long body."""
    body = json.dumps({"usage": value}).encode()
    assert isinstance(heard([body, b" " * blanks, body]), Answer)


@given(st.lists(st.binary(max_size=64), max_size=8), st.sampled_from((0, 9_000, 20_000)))
def test_arbitrary_bytes_in_an_answer_raise_nothing(pieces: list[bytes], blanks: int) -> None:
    """Whatever an upstream sends."""
    usage = [b'"usage":{', *pieces]
    assert isinstance(heard([*pieces, b" " * blanks, *usage], event_stream=True), Answer)


@given(ODD)
def test_arbitrary_json_in_a_request_raises_nothing(asked: object) -> None:
    """Whatever a client sends, its texts can be encoded."""
    exchange = read_request(json.dumps({"model": "m", "input": asked}).encode(), PATH)[1]
    for text in texts(exchange) if exchange else ():
        text.encode()
