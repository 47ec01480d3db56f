"""What outlives a request is short, whatever the request says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway_guard.dialects import dialect_for, read_request

if TYPE_CHECKING:
    from gateway_guard.exchange import Exchange

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
PATHS = (CHAT, MESSAGES, "/v1/responses")
HUGE = "x" * 1_000_000


def read(path: str, **fields: Any) -> Exchange:  # noqa: ANN401
    """Read a request with these fields."""
    body = {"messages": [{"role": "user", "content": "x"}], **fields}
    exchange = read_request(json.dumps(body).encode(), path)[1]
    assert exchange is not None
    return exchange


def effort(path: str, value: object) -> str | None:
    """Return the effort that is read where each dialect has it."""
    nested = {"effort": value}
    return read(path, reasoning=nested, output_config=nested).sampling.effort


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_efforts_that_servers_know_are_kept(path: str, value: str) -> None:
    """In lower case."""
    assert effort(path, value) == effort(path, value.upper()) == value


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", [HUGE, "extreme", "", 17, None, ["high"]])
def test_every_other_effort_is_let_go(path: str, value: object) -> None:
    """Samplings are remembered: nobody fills the memory through them."""
    assert effort(path, value) is None


def test_an_effort_under_its_own_name_is_let_go_as_well() -> None:
    """The field of chat completions."""
    assert read(CHAT, reasoning_effort=HUGE).sampling.effort is None
    assert read(CHAT, reasoning_effort="high").sampling.effort == "high"


@pytest.mark.parametrize("path", PATHS)
def test_names_of_models_and_end_users_are_cut(path: str) -> None:
    """At lengths that no real one has."""
    exchange = read(path, model=HUGE, metadata={"user_id": HUGE})
    assert exchange.model == HUGE[:256]
    assert exchange.end_user == HUGE[:512]


def test_a_model_named_in_a_path_is_cut() -> None:
    """Paths are long, too."""
    assert len(read(f"/engines/{HUGE}/chat/completions").model) == 256


def test_the_reason_for_an_end_is_cut() -> None:
    """Upstreams are not trusted with the memory either."""
    reader = dialect_for(CHAT).response_reader(event_stream=False, digest_key=bytes(16))
    reader.feed(json.dumps({"choices": [{"finish_reason": HUGE}]}).encode())
    assert reader.finish().finish == HUGE[:64]
