"""What LiteLLM lays over a request before it sends it on is read as well."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_guard.dialects import read_request
from tests.responses_read import asked, heard_json
from tests.upstreams import ANSWER, completion

CHAT = "/v1/chat/completions"


def said(text: str) -> list[dict[str, str]]:
    """Return the messages of somebody who says one thing."""
    return [{"role": "user", "content": text}]


def texts(value: object, path: str) -> list[str]:
    """Return all that is read in a request."""
    exchange = asked(value, path)
    return [turn.text for one in (exchange, *exchange.others) for turn in one.turns]


CONTENTS = [{"role": "user", "parts": [{"text": "Hidden."}]}]


def test_what_is_laid_over_under_names_of_others_is_read() -> None:
    """The gateway hands it on to a model that knows them."""
    value = {"messages": said("Plain."), "extra_body": {"contents": CONTENTS}}
    assert texts(value, CHAT) == ["Plain.", "Hidden."]


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
def test_what_gemini_is_asked_in_a_fallback_is_read(method: str) -> None:
    """Streamed or not."""
    plain = [{"role": "user", "parts": [{"text": "Plain."}]}]
    value = {"contents": plain, "fallbacks": [{"model": "m", "contents": CONTENTS}]}
    assert texts(value, f"/v1beta/models/m:{method}") == ["Plain.", "Hidden."]


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("field", ["extra_body", "fallbacks"])
def test_what_is_laid_over_is_read_beside_what_is_not(path: str, field: str) -> None:
    """Which of the two comes true is known to the gateway alone."""
    name = "input" if path.endswith("responses") else "messages"
    laid: Any = {name: said("Hidden.")}
    value = {"model": "m", name: said("Plain."), field: [laid] if field == "fallbacks" else laid}
    assert texts(value, path) == ["Plain.", "Hidden."]


@pytest.mark.parametrize(
    ("path", "name"), [("/v1/completions", "prompt"), ("/v1/embeddings", "input")]
)
def test_prompts_that_are_laid_over_count_if_they_are_more(path: str, name: str) -> None:
    """Each of a list is an exchange, and of the shorter one no text is forgotten."""
    for plain, laid in (("Plain.", ["One.", "Two."]), (["One.", "Two."], "Plain.")):
        value = {"model": "m", name: plain, "extra_body": {name: laid}}
        assert len(asked(value, path).others) == 1
        assert set(texts(value, path)) == {"Plain.", "One.", "Two."}


def test_answers_that_are_laid_over_count() -> None:
    """Asked for in either place."""
    value = {"messages": said("Why?"), "extra_body": {"n": 3}}
    assert asked(value, CHAT).sampling.answers == 3
    assert asked(value | {"n": 4, "extra_body": {"n": 1}}, CHAT).sampling.answers == 4


def test_an_honest_overlay_changes_nothing() -> None:
    """Options for a server and names of models say nothing to a model."""
    value = {"messages": said("Why?")}
    more = {"extra_body": {"chat_template_kwargs": {"x": 1}}, "fallbacks": ["a", {"model": "b"}]}
    plain, laid = asked(value, CHAT), asked(value | more, CHAT)
    assert laid.turns == plain.turns
    assert laid.sampling == plain.sampling
    assert laid.body_bytes == len(json.dumps(value | more))


@pytest.mark.parametrize("overlay", ["x", 1, [1], [[]], {"messages": 1}, {"extra_body": {"n": 9}}])
def test_a_strange_overlay_hides_nothing(overlay: object) -> None:
    """What is beside it is read as ever."""
    value = {"messages": said("Why?"), "extra_body": overlay, "fallbacks": overlay}
    exchange = asked(value, CHAT)
    assert [turn.text for turn in exchange.turns] == ["Why?"]
    assert exchange.sampling.answers == 1


def test_many_overlays_are_not_all_read() -> None:
    """A body can hold more of them than anybody has time for."""
    laid = [{"messages": said(f"Hidden {at}.")} for at in range(1000)]
    assert len(texts({"messages": said("Plain."), "fallbacks": laid}, CHAT)) < 20


def test_a_request_that_says_all_in_its_overlay_is_an_exchange() -> None:
    """LiteLLM would ask a model with it."""
    body = json.dumps({"model": "m", "extra_body": {"messages": said("Hidden.")}}).encode()
    exchange = read_request(body, CHAT)[1]
    assert exchange is not None
    assert [turn.text for turn in exchange.turns] == ["Hidden."]


@pytest.mark.parametrize(
    ("path", "name", "system"),
    [
        (CHAT, "messages", "system"),
        ("/v1/responses", "input", "system"),
        ("/v1/completions", "prompt", "system"),
        ("/v1/messages", "messages", "instructions"),
    ],
)
def test_a_system_text_under_another_name_is_read(path: str, name: str, system: str) -> None:
    """It is Anthropic's or OpenAI's name for it, and handed on to their models."""
    value = {name: said("Why?") if name == "messages" else "Why?", system: "Think aloud."}
    assert [(turn.role, turn.text) for turn in asked(value, path).turns] == [
        ("system", "Think aloud."),
        ("user", "Why?"),
    ]


def test_several_models_give_several_answers() -> None:
    """LiteLLM asks all those with commas between, and answers with a list."""
    value = {"model": "a,b", "messages": said("Why?"), "n": 2}
    assert asked(value, CHAT).sampling.answers == 4
    assert heard_json([completion({}), completion({})], CHAT).output_chars == 2 * len(ANSWER)
