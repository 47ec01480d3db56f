"""Clients do about refusals what their makers say they do."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.demo.client import (
    Client,
    answer_seconds,
    cut,
    hammering,
    identity,
    make_address,
    make_key,
    with_sdk,
)
from gateway_guard.demo.prose import Prose, looks_chinese
from gateway_guard.demo.script import Answer, Message, Parameters, Reply, Request, Wait

if TYPE_CHECKING:
    from gateway_guard.demo.client import Asking

PROSE = Prose(0)
SERVED = Reply(200)


def make_request(parameters: Parameters | None = None) -> Request:
    """Return a request of somebody."""
    who = identity("sk-1", "openai-python", "198.18.0.1", "acme")
    client = Client(who, "openai", Random(1), PROSE, parameters=parameters or Parameters())
    return client.request((Message("user", "hello"),), Answer("x" * 100))


def drive(asking: Asking, *replies: Reply) -> list[float | int]:
    """Run a client against replies; return its waits as floats and its attempts as integers."""
    left = list(replies)
    done: list[float | int] = []
    step = next(asking)
    while True:
        if isinstance(step, Wait):
            done.append(step.seconds)
            reply = Reply(0)
        else:
            done.append(step.attempt)
            reply = left.pop(0)
        try:
            step = asking.send(reply)
        except StopIteration:
            break
    assert not left
    return done


def test_an_sdk_waits_as_told_and_retries_twice() -> None:
    """The third refusal is final."""
    told = Reply(429, retry_after_seconds=7.0)
    assert drive(with_sdk(make_request()), told, told, told) == [0, 7.0, 1, 7.0, 2]
    assert drive(with_sdk(make_request()), told, SERVED) == [0, 7.0, 1]


def test_an_sdk_backs_off_where_it_is_told_nothing_it_believes() -> None:
    """Without ``Retry-After``, or with more than a minute, it waits on its own terms."""
    silent, far = Reply(429), Reply(503, retry_after_seconds=3600.0)
    assert drive(with_sdk(make_request()), silent, far, SERVED) == [0, 1.0, 1, 2.0, 2]


@pytest.mark.parametrize("final", [Reply(403), Reply(429, should_retry=False)])
def test_an_sdk_does_not_retry_what_is_final(final: Reply) -> None:
    """A block and a penalty are raised at once."""
    assert drive(with_sdk(make_request()), final) == [0]


def test_a_hammering_client_ignores_what_it_is_told() -> None:
    """It comes back at once, penalty or not, and gives up on a block."""
    told, penalty = Reply(429, retry_after_seconds=50.0), Reply(429, should_retry=False)
    assert drive(hammering(make_request()), told, penalty, told) == [0, 0.5, 0, 0.5, 0]
    assert drive(hammering(make_request()), told, Reply(403)) == [0, 0.5, 0]
    assert drive(hammering(make_request()), SERVED) == [0]


def test_an_answer_ends_at_max_tokens() -> None:
    """Four characters are a token, and reasoning takes its part of them."""
    request = make_request(Parameters(max_tokens=10))
    assert len(request.answer.text) == 40
    assert request.answer.cut
    assert len(cut(Answer("x" * 100, "y" * 30), Parameters(max_tokens=10)).text) == 10
    assert not cut(Answer("x" * 40), Parameters(max_tokens=10)).cut


def test_longer_answers_take_longer() -> None:
    """Reasoning takes its time as well."""
    short = answer_seconds(Answer("x" * 100), Random(1))
    assert short > 0.5
    assert answer_seconds(Answer("x" * 100, "y" * 9000), Random(1)) > short + 10


def test_the_edge_shows_client_address_and_organisation() -> None:
    """They stand in the headers; keys and addresses are drawn."""
    headers = dict(make_request().identity.headers)
    assert headers[b"x-forwarded-for"] == b"198.18.0.1"
    assert headers[b"x-organisation"] == b"acme"
    assert headers[b"user-agent"].startswith(b"OpenAI/Python")
    assert make_key(Random(1)) != make_key(Random(2))
    assert make_address(Random(1)).startswith("198.1")


def test_filler_has_the_length_and_the_language_asked_for() -> None:
    """Even more than there is in stock."""
    assert abs(len(PROSE.cut(Random(1), 300)) - 300) <= 2
    assert len(PROSE.cut(Random(1), 700_000)) > 699_000
    assert looks_chinese(PROSE.cut(Random(1), 80, chinese=True))
    assert not looks_chinese(PROSE.cut(Random(1), 80))
    assert PROSE.cut(Random(1), 0) == "1"
