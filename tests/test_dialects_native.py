"""The own paths of model servers, read generically: SGLang, vLLM, llama.cpp, TGI, Vertex."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_guard.exchange import Answer, Sampling, Turn, Usage
from tests.responses_read import asked, digest_of, heard, heard_json, same_wherever_split

SGLANG = "/generate"
VERTEX = "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict"


def users(*texts: str) -> tuple[Turn, ...]:
    """Return one turn of the user for each text."""
    return tuple(Turn("user", text) for text in texts)


@pytest.mark.parametrize(
    ("path", "body", "turns", "answers"),
    [
        (SGLANG, {"text": "x", "sampling_params": {"n": 2}}, users("x"), 2),
        (SGLANG, {"text": ["x", "y"], "sampling_params": {}}, users("x", "y"), 2),
        (SGLANG, {"input_ids": [1, 2, 3]}, users("1 2 3"), 1),
        (SGLANG, {"input_ids": [[1, 2], [3]]}, users("1 2", "3"), 2),
        (SGLANG, {"prompt": "x", "max_tokens": 5}, users("x"), 1),
        ("/invocations", {"messages": [{"role": "user", "content": "x"}]}, users("x"), 1),
        ("/invocations", {"prompt": ["x", "y"], "n": 2}, users("x", "y"), 4),
        ("/invocations", {"input": ["x", "y"]}, users("x", "y"), 2),
        ("/inference", {"prompt": "x"}, users("x"), 1),
        ("/inference/v1/generate", {"token_ids": [1, 2, 3]}, users("1 2 3"), 1),
        ("/pooling", {"input": ["x", "y"]}, users("x", "y"), 2),
        ("/pooling", {"messages": [{"role": "user", "content": "x"}]}, users("x"), 1),
        ("/score", {"text_1": "x", "text_2": ["y", "z"]}, users("x", "y", "z"), 2),
        ("/rerank", {"query": "x", "documents": ["y"]}, users("x", "y"), 1),
        ("/completion", {"prompt": "x"}, users("x"), 1),
        ("/generate_stream", {"inputs": "x", "parameters": {"best_of": 2}}, users("x"), 2),
        (VERTEX, {"instances": [{"content": "x"}, {"content": "y"}]}, users("x", "y"), 2),
        (VERTEX, {"instances": [{"prompt": "x"}, {"messages": []}, 7]}, users("x"), 1),
        (
            VERTEX,
            {"instances": [{"messages": [{"role": "user", "content": text}]} for text in "xy"]},
            users("x", "y"),
            2,
        ),
        (VERTEX, {"instances": {"prompt": "x"}}, users("x"), 1),
        ("/api/embed", {"input": ["x", "y"]}, users("x", "y"), 2),
        ("/v2/embed", {"texts": ["x", "y"]}, users("x", "y"), 2),
    ],
)
def test_prompts_are_found_and_counted(
    path: str, body: dict[str, Any], turns: tuple[Turn, ...], answers: int
) -> None:
    """Texts and token numbers, one or many."""
    exchange = asked(body, path)
    assert exchange.dialect == "generic"
    assert exchange.turns == turns
    assert exchange.sampling.answers == answers


def test_how_the_answer_is_drawn_is_found() -> None:
    """In SGLang's words and in llama.cpp's."""
    params = {"temperature": 0.5, "max_new_tokens": 9, "top_p": 0.9, "stop": ["a"]}
    body = {"text": "x", "sampling_params": params, "stream": True, "return_logprob": True}
    exchange = asked(body, SGLANG)
    assert exchange.stream
    assert exchange.sampling == Sampling(
        temperature=0.5, max_tokens=9, top_p=0.9, stops=1, logprobs=True
    )
    assert asked({"prompt": "x", "n_predict": 9}, "/completion").sampling.max_tokens == 9


def meta(tokens: int, finish: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what SGLang reports of an answer so far."""
    report = {"prompt_tokens": 3, "completion_tokens": tokens, "finish_reason": finish}
    return {"meta_info": {"id": "1", "e2e_latency": 0.5, **report}}


def events(*values: dict[str, Any]) -> bytes:
    """Return a stream of events."""
    data = (json.dumps(value, ensure_ascii=False).encode() for value in values)
    return b"".join(b"data: " + one + b"\n\n" for one in data) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("path", "values", "answer"),
    [
        (
            SGLANG,
            (
                {"text": "Grüß", **meta(1)},
                {"text": "Grüß dich", **meta(2)},
                {"text": "Grüß dich 🐈", **meta(3, {"type": "stop", "matched": 2})},
            ),
            Answer(
                output_chars=11,
                finish="stop",
                usage=Usage(3, 3),
                digests=(digest_of("Grüß dich 🐈"),),
            ),
        ),
        (
            SGLANG,
            (
                {"text": "a", "index": 0, **meta(1)},
                {"text": "b", "index": 1, **meta(1)},
                {"text": "a c", "index": 0, **meta(2)},
            ),
            Answer(output_chars=4, usage=Usage(3, 2), digests=(digest_of("a c"), digest_of("b"))),
        ),
        (
            "/completion",
            (
                {"index": 0, "content": "Grüß ", "stop": False, "tokens_predicted": 1},
                {
                    "index": 0,
                    "content": "dich",
                    "stop": True,
                    "stop_type": "eos",
                    "tokens_predicted": 2,
                    "tokens_evaluated": 3,
                },
            ),
            Answer(
                output_chars=9, finish="eos", usage=Usage(3, 2), digests=(digest_of("Grüß dich"),)
            ),
        ),
        (
            "/generate_stream",
            (
                {"index": 1, "token": {"id": 5, "text": "Grüß "}, "generated_text": None},
                {
                    "index": 2,
                    "token": {"id": 6, "text": "dich"},
                    "generated_text": "Grüß dich",
                    "details": {"finish_reason": "length", "generated_tokens": 2},
                },
            ),
            Answer(
                output_chars=9,
                finish="length",
                usage=Usage(0, 2),
                digests=(digest_of("Grüß dich"),),
            ),
        ),
        (
            "/invocations",
            (
                {"choices": [{"index": 0, "delta": {"content": "Grüß "}}]},
                {"choices": [{"index": 0, "text": "dich", "finish_reason": "stop"}]},
                {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
            ),
            Answer(
                output_chars=9, finish="stop", usage=Usage(3, 2), digests=(digest_of("Grüß dich"),)
            ),
        ),
    ],
)
def test_a_stream_reads_the_same_wherever_it_is_split(
    path: str, values: tuple[dict[str, Any], ...], answer: Answer
) -> None:
    """Of SGLang for one prompt and for many, llama.cpp, TGI and vLLM."""
    body = events(*values)
    assert heard([body], path, event_stream=True) == answer
    assert same_wherever_split(body, path, event_stream=True)


def test_each_answer_of_a_list_reports_tokens_of_its_own() -> None:
    """They add up."""
    body = [{"text": "a", **meta(2)}, {"text": "b", **meta(5)}]
    assert heard_json(body, SGLANG) == Answer(
        output_chars=2, usage=Usage(6, 7), digests=(digest_of("a"), digest_of("b"))
    )
    odd = [{"text": "a", "meta_info": {"prompt_tokens": "3"}}, {"text": "b", "meta_info": 7}, 7]
    assert heard_json(odd, SGLANG).output_chars == 2


def test_texts_may_come_as_a_list() -> None:
    """As vLLM's plainest server gives them."""
    assert heard_json({"text": ["hello", "there"]}, "/generate") == Answer(
        output_chars=10, digests=(digest_of("hello"), digest_of("there"))
    )


def test_the_older_generate_of_cohere_is_read() -> None:
    """Its last line repeats what the others said."""
    values = (
        {"text": "hel", "is_finished": False},
        {"text": "lo", "is_finished": False},
        {
            "is_finished": True,
            "finish_reason": "COMPLETE",
            "response": {"generations": [{"text": "hello"}], "meta": {"tokens": {}}},
        },
    )
    body = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    expected = Answer(output_chars=5, finish="COMPLETE", digests=(digest_of("hello"),))
    assert heard([body], "/v1/generate") == expected
    assert same_wherever_split(body, "/v1/generate")
