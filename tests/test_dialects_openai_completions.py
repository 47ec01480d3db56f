"""OpenAI completions: every prompt of a list is an exchange, and answers are read whole or cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.dialects.openai_completions import OpenAICompletions
from gateway_guard.exchange import Answer, Exchange, Sampling, Turn, Usage, text_digest
from tests.openai_shapes import completion, completion_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = b"a key of 16 byte"
PATH = "/v1/completions"


def read(prompt: object = "x", *, path: str = PATH, **fields: Any) -> Exchange:  # noqa: ANN401
    """Read a request with this prompt and these fields."""
    body = json.dumps({"model": "davinci-002", "prompt": prompt, **fields}).encode()
    exchange = OpenAICompletions().read_request(body, path)
    assert exchange is not None
    assert exchange.dialect == "openai_completions"
    return exchange


def texts(exchange: Exchange) -> list[str]:
    """Return what an exchange and its others say."""
    return [turn.text for each in (exchange, *exchange.others) for turn in each.turns]


def heard(pieces: Iterable[bytes], *, event_stream: bool = False) -> Answer:
    """Read a response body that comes in pieces."""
    reader = OpenAICompletions().response_reader(event_stream=event_stream, digest_key=KEY)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/completions", "davinci-002"),
        ("/completions/", "davinci-002"),
        ("/any/prefix/v1/completions", "davinci-002"),
        ("/v1/fim/completions", "davinci-002"),
        ("/engines/text-davinci-003/completions", "text-davinci-003"),
        ("/openai/deployments/team/model/completions", "team/model"),
    ],
)
def test_completions_are_spoken_at_every_alias_of_their_path(path: str, model: str) -> None:
    """The model in the path goes before the one in the body."""
    assert dialect_for(path).name == "openai_completions"
    assert read(path=path).model == model


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completion", "/v1/completions/x"])
def test_other_paths_are_none_of_its(path: str) -> None:
    """Chat completions above all."""
    assert not OpenAICompletions().recognise(path)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("tell me", ["tell me"]),
        ("", [""]),
        (["one", "two", "grüß 🐈"], ["one", "two", "grüß 🐈"]),
        ([1212, 318, 257], ["1212 318 257"]),
        ([[1212, 318], [257], []], ["1212 318", "257", ""]),
        ([[]], [""]),
        (["one", [1212, 318], None, 7], ["one", "1212 318", "null", "7"]),
        ([{"prompt": "one"}, ["two", "three"]], ["one", "two\nthree"]),
        ({"prompt": "one", "type": "text"}, ["one"]),
        (17, ["17"]),
    ],
)
def test_every_prompt_is_an_exchange(prompt: object, expected: list[str]) -> None:
    """As texts, as the numbers of tokens, or as anything that servers may forgive."""
    assert texts(read(prompt)) == expected


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n  ", ": ")])
def test_tokens_are_the_same_words_however_they_are_set(separators: tuple[str, str]) -> None:
    """Blanks between them say nothing."""
    body = json.dumps({"model": "m", "prompt": [[1, 22], [333]]}, separators=separators)
    exchange = OpenAICompletions().read_request(body.encode(), PATH)
    assert exchange is not None
    assert texts(exchange) == ["1 22", "333"]


def test_the_others_are_like_the_first_one_save_for_their_size() -> None:
    """One body was sent, not many."""
    exchange = read(["one", "two"], n=3, stream=True, user="u")
    (other,) = exchange.others
    assert exchange.body_bytes > 0
    assert (other.body_bytes, other.others) == (0, ())
    assert (other.dialect, other.model, other.stream) == ("openai_completions", "davinci-002", True)
    assert other.end_user == "u"
    assert other.sampling == exchange.sampling == Sampling(answers=3)


def test_what_is_beyond_64_prompts_is_one_exchange_with_as_many_answers() -> None:
    """Nothing said in them is lost, and nothing is drawn unseen."""
    prompts = [f"prompt {number}" for number in range(1_000)]
    exchange = read(prompts, n=2)
    assert len(exchange.others) == 63
    assert texts(exchange)[:63] == prompts[:63]
    last = exchange.others[-1]
    assert last.turns == (Turn("user", "\n".join(prompts[63:])),)
    assert last.sampling.answers == 2 * 937
    assert texts(read(prompts[:64])) == prompts[:64]


@pytest.mark.parametrize(
    ("prompts", "last"),
    [
        ([[number, 7] for number in range(1_000)], "63 7 64 7 "),
        ([{"text": f"prompt {number}"} for number in range(1_000)], '{"text": "prompt 63"}'),
    ],
)
def test_prompts_of_other_kinds_are_joined_alike(prompts: list[object], last: str) -> None:
    """Tokens as words, and everything else as the JSON that it is."""
    exchange = read(prompts)
    assert len(exchange.others) == 63
    assert texts(exchange)[63].startswith(last)
    assert "999" in texts(exchange)[63]
    assert exchange.others[-1].sampling.answers == 937


@pytest.mark.parametrize("junk", [b"[]," * 140_000 + b"[]", b'"",' * 140_000 + b'""'])
def test_more_prompts_than_any_real_request_has_are_bytes(junk: bytes) -> None:
    """How the answers are drawn is known even so."""
    body = b'{"model":"m","n":3,"prompt":["find me",' + junk + b"]}"
    exchange = read_request(body, PATH)[1]
    assert exchange is not None
    assert exchange.unparsed
    assert "find me" in exchange.turns[0].text
    assert (exchange.model, exchange.sampling.answers) == ("m", 3)


def test_the_whole_of_sampling_is_read() -> None:
    """Of two numbers of answers the larger one counts, as so many are drawn."""
    fields: dict[str, Any] = {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 100,
        "n": 2,
        "best_of": 5,
        "stop": ["a", "b"],
        "seed": 0,
        "logprobs": 5,
        "logit_bias": {"50256": -100},
        "echo": True,
        "response_format": {"type": "json_object"},
    }
    assert read(**fields).sampling == Sampling(
        temperature=0.7,
        top_p=0.9,
        max_tokens=100,
        answers=5,
        stops=2,
        logprobs=True,
        top_logprobs=5,
        logit_bias=1,
        seeded=True,
        structured=True,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Sampling()),
        ({"temperature": "0.7"}, Sampling(temperature=0.7)),
        ({"temperature": {}, "n": 3}, Sampling(answers=3)),
        ({"logprobs": 0}, Sampling(logprobs=True)),
        ({"logprobs": False}, Sampling()),
        ({"logprobs": None}, Sampling()),
        ({"logprobs": True}, Sampling(logprobs=True, top_logprobs=1)),
        ({"n": None, "best_of": 4}, Sampling(answers=4)),
    ],
)
def test_parameters_are_read_as_servers_coerce_them(
    fields: dict[str, Any], expected: Sampling
) -> None:
    """No other token's probability is still the probability of one."""
    assert read(**fields).sampling == expected


def test_a_suffix_is_a_part_of_each_prompt() -> None:
    """The model reads both."""
    assert texts(read(["one", "two"], suffix="end")) == ["one\nend", "two\nend"]


def test_the_form_of_the_answer_is_shown_beside_the_prompt() -> None:
    """Some servers take a schema here as well."""
    form = {"type": "json_schema", "json_schema": {"name": "find me"}}
    assert read(response_format=form).turns == (
        Turn("user", "x"),
        Turn("system", '{"name": "find me"}'),
    )


@pytest.mark.parametrize("body", [{"model": "m"}, {"model": "m", "prompt": None, "n": 2}])
def test_without_a_prompt_a_model_writes_a_document_of_its_own(body: dict[str, Any]) -> None:
    """Asking nothing at all is a way to harvest."""
    exchange = read_request(json.dumps(body).encode(), PATH)[1]
    assert exchange is not None
    assert exchange.turns == (Turn("user", ""),)
    assert exchange.sampling.answers == body.get("n", 1)


def test_what_is_said_under_other_names_is_found() -> None:
    """Some servers know several."""
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    exchange = read_request(body, PATH)[1]
    assert exchange is not None
    assert exchange.turns == (Turn("user", "hi"),)


@pytest.mark.parametrize("body", [b"{}", b'{"prompt":[]}', b'{"prompt":null}', b"[1]", b'"x"'])
def test_without_prompt_and_model_there_is_no_exchange(body: bytes) -> None:
    """Servers refuse such bodies."""
    assert read_request(body, PATH)[1] is None


def test_a_completion_is_read() -> None:
    """Each choice by itself."""
    whole = json.dumps(completion("grüß 🐈", "other")).encode()
    assert heard([whole]) == Answer(
        output_chars=11,
        finish="stop",
        usage=Usage(5, 7),
        digests=(text_digest("grüß 🐈", KEY), text_digest("other", KEY)),
    )


def test_a_stream_says_the_same_as_the_whole() -> None:
    """The choices come interleaved."""
    whole = json.dumps(completion("grüß 🐈", "other one")).encode()
    chunks = completion_chunks("grüß 🐈", "other one")
    assert heard([chunks], event_stream=True) == heard([whole])


def test_a_stream_split_in_two_anywhere_reads_as_in_one_piece() -> None:
    """Between any two bytes, and byte by byte."""
    stream = completion_chunks("grüß 🐈", "other one")
    whole = heard([stream], event_stream=True)
    for cut in range(len(stream)):
        assert heard([stream[:cut], stream[cut:]], event_stream=True) == whole
    assert heard((stream[at : at + 1] for at in range(len(stream))), event_stream=True) == whole


@given(st.data())
def test_a_long_stream_reads_the_same_however_it_is_split(data: st.DataObject) -> None:
    """Over the borders of the batches that it is read in."""
    stream = completion_chunks("a text that goes on and on, grüß 🐈. " * 20, "another") * 2
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    edges = [0, *sorted(cuts), len(stream)]
    pieces = (stream[start:end] for start, end in pairwise(edges))
    assert heard(pieces, event_stream=True) == heard([stream], event_stream=True)


@pytest.mark.parametrize("event_stream", [False, True])
def test_llama_cpp_answers_in_its_own_way(*, event_stream: bool) -> None:
    """Where the path has no version."""
    pieces = [
        {"index": 0, "content": "hel", "tokens_predicted": 1, "tokens_evaluated": 4},
        {"index": 0, "content": "lo", "tokens_predicted": 2, "tokens_evaluated": 4},
        {"index": 0, "content": "", "stop": True, "tokens_predicted": 3, "tokens_evaluated": 4},
    ]
    expected = Answer(output_chars=5, usage=Usage(4, 3), digests=(text_digest("hello", KEY),))
    if event_stream:
        stream = b"".join(b"data: %b\n\n" % json.dumps(piece).encode() for piece in pieces)
        assert heard([stream], event_stream=True) == expected
    else:
        assert heard([json.dumps(pieces[2] | {"content": "hello"}).encode()]) == expected


def test_llama_cpp_answers_many_prompts_with_a_list() -> None:
    """Its tokens are added up."""
    answers = [{"content": "one", "tokens_predicted": 3, "tokens_evaluated": 4}] * 2
    assert heard([json.dumps([*answers, 5]).encode()]) == Answer(
        output_chars=6, usage=Usage(8, 6), digests=(text_digest("one", KEY),) * 2
    )


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(("choices", "text", "index", "content", "usage", "prompt_tokens", "error",
                         "finish_reason", "tokens_predicted", "message", "type")),
        inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(ODD)
def test_arbitrary_json_in_an_answer_raises_nothing(value: object) -> None:
    """Every field can be of every type."""
    body = json.dumps(value).encode()
    assert isinstance(heard([body]), Answer)
    assert isinstance(heard([b"data: " + body + b"\n\n"], event_stream=True), Answer)


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_arbitrary_bytes_in_an_answer_raise_nothing(pieces: list[bytes]) -> None:
    """Whatever an upstream sends."""
    assert isinstance(heard(pieces), Answer)
    assert isinstance(heard(pieces, event_stream=True), Answer)


@given(ODD, st.dictionaries(st.sampled_from(("suffix", "model", "n", "logprobs", "stop")), ODD))
def test_arbitrary_json_in_a_request_raises_nothing(prompt: object, more: dict[str, Any]) -> None:
    """Whatever a client sends, its texts can be encoded."""
    exchange = read_request(json.dumps({"prompt": prompt, **more}).encode(), PATH)[1]
    for text in texts(exchange) if exchange else ():
        text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(("model", "user", "n")))
def test_a_wrong_type_in_another_field_loses_no_text(text: str, name: str) -> None:
    """The prompts are read one by one all the same."""
    odd: dict[str, Any] = {name: {"a": []}}
    assert texts(read([text, "two"], **odd)) == [text, "two"]
