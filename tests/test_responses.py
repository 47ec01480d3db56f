"""Refusals: what SDKs and people expect of them, and nothing for those who look for the edge."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.actions import Action
from gateway_guard.enforcement import Decision
from gateway_guard.policy import Terms
from gateway_guard.responses import Answer, Audience, Problem, problem, refusal

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

TERMS = Terms(title="Usage policy, section 3", clause="No training.", url="https://example.com/t")
AUDIENCE = Audience(request_id="req-17", contact="abuse@example.com")
UNTIL_AT = 1_796_126_400.2  # 2026-12-01T12:00:00.2Z
PROBLEM_JSON = b"application/problem+json"


class Spoken:
    """A dialect whose errors are the refusal itself."""

    name = "spoken"

    def recognise(self, path: str) -> bool:
        """Recognise nothing."""
        raise NotImplementedError(path)

    def read_request(self, body: bytes, path: str) -> None:
        """Read nothing."""
        raise NotImplementedError(body, path)

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Read nothing."""
        raise NotImplementedError(event_stream, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Write the refusal down."""
        return msgspec.json.encode(refusal)


def decided(action: Action, **more: object) -> Decision:
    """Return a refusing decision with everything that must not be told."""
    decision = Decision(
        action=action,
        refused=True,
        key_id="01ab",
        subject_id="03cd",
        score=3.25,
        reasons=("teacher_yield 0.91",),
        terms=TERMS,
    )
    return msgspec.structs.replace(decision, **more)


def throttled(**more: object) -> Decision:
    """Return a throttle."""
    return decided(Action.THROTTLE, **{"retry_after_seconds": 5.2, "rate_per_minute": 9.6, **more})


def response(answer: Answer) -> httpx.Response:
    """Read an answer as a client does."""
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


def refused(decision: Decision, audience: Audience = AUDIENCE) -> httpx.Response:
    """Refuse, and read what comes as a client does."""
    return response(refusal(Spoken(), decision, audience))


ALL = {
    "throttle": throttled(),
    "penalty": decided(Action.PENALTY, until_at=UNTIL_AT),
    "block": decided(Action.BLOCK, until_at=UNTIL_AT),
}


def test_a_throttle_asks_to_come_back() -> None:
    """SDKs read milliseconds, proxies whole seconds; the draft's fields say how fast is allowed."""
    found = refused(throttled())
    assert found.status_code == 429
    assert found.headers["retry-after"] == "6"
    assert found.headers["retry-after-ms"] == "5200"
    assert found.headers["ratelimit-policy"] == '"pacing";q=9;w=60'
    assert found.headers["ratelimit"] == '"pacing";r=0;t=6'
    assert "x-should-retry" not in found.headers
    assert "Send the next one in 6 seconds." in found.json()["message"]


@given(
    wait=st.none() | st.floats(allow_nan=False, min_value=-1e9, max_value=1e12),
    rate=st.floats(min_value=0, max_value=1e4),
)
def test_a_wait_is_always_one_that_sdks_obey(wait: float | None, rate: float) -> None:
    """Whole seconds from 1 to 60, and never fewer of them than milliseconds say."""
    found = refused(throttled(retry_after_seconds=wait, rate_per_minute=rate)).headers
    assert re.fullmatch(r"[1-9][0-9]?", found["retry-after"])
    assert 1 <= int(found["retry-after"]) <= 60
    assert 0 < int(found["retry-after-ms"]) <= int(found["retry-after"]) * 1000
    assert re.fullmatch(r'"pacing";q=[1-9]\d*;w=60', found["ratelimit-policy"])


def test_a_penalty_tells_the_date_in_the_body_alone() -> None:
    """A long ``Retry-After`` would make clients sleep; this one raises at once."""
    found = refused(ALL["penalty"])
    assert found.status_code == 429
    assert "retry-after" not in found.headers
    assert "ratelimit" not in found.headers
    assert found.headers["x-should-retry"] == "false"
    assert "answered after 2026-12-01T12:00:01Z." in found.json()["message"]


@pytest.mark.parametrize("until_at", [None, 1e18, 0.0, float("inf")])
def test_a_penalty_of_any_length_can_be_told(until_at: float | None) -> None:
    """An operator's penalty without an end is no error."""
    assert refused(decided(Action.PENALTY, until_at=until_at)).status_code == 429


def test_a_block_is_final() -> None:
    """403, and no client tries again."""
    found = refused(ALL["block"])
    assert found.status_code == 403
    assert found.headers["x-should-retry"] == "false"
    assert "retry-after" not in found.headers


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        (Problem.UNPARSED, 400, "unreadable_request"),
        (Problem.TIMEOUT, 408, "request_timeout"),
        (Problem.TOO_LARGE, 413, "request_too_large"),
        (Problem.UNAVAILABLE, 503, "unavailable"),
    ],
)
def test_other_problems_have_their_own_status(found: Problem, status: int, code: str) -> None:
    """Only what passes by itself is to be tried again."""
    seen = response(problem(Spoken(), found, AUDIENCE))
    assert (seen.status_code, seen.json()["status"], seen.json()["code"]) == (status, status, code)
    assert ("retry-after" in seen.headers) == (status == 503)
    assert "abuse@example.com" in seen.json()["message"]


@pytest.mark.parametrize("name", ALL)
def test_a_refusal_says_whom_to_ask_and_on_what_grounds(name: str) -> None:
    """Contact, reference and the title of the terms; ids where either SDK looks for them."""
    found = refused(ALL[name])
    message = found.json()["message"]
    assert "contact abuse@example.com with reference req-17." in message
    assert "Grounds: Usage policy, section 3 (https://example.com/t)." in message
    assert found.headers["x-request-id"] == found.headers["request-id"] == "req-17"
    assert found.headers["content-type"] == "application/json"
    assert found.headers["content-length"] == str(len(found.content))
    assert found.json()["request_id"] == "req-17"
    assert found.json()["code"] == "abnormal_usage_detected"


def test_grounds_are_named_only_where_there_are_some() -> None:
    """Without a URL the title stands alone; without terms there is no such sentence."""
    plain = Terms(title="Terms", clause="C")
    assert "Grounds: Terms. If" in refused(decided(Action.BLOCK, terms=plain)).json()["message"]
    assert "Grounds" not in refused(decided(Action.BLOCK, terms=None)).json()["message"]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("accept", [b"", PROBLEM_JSON])
def test_a_refusal_never_tells_what_led_to_it(name: str, accept: bytes) -> None:
    """No score, no signal, no id of a subject, neither in the body nor in a header."""
    audience = msgspec.structs.replace(AUDIENCE, accept=accept)
    told = repr(refusal(Spoken(), ALL[name], audience))
    for hidden in ("3.25", "0.91", "teacher_yield", "01ab", "03cd", "No training"):
        assert hidden not in told


@pytest.mark.parametrize(
    "accept",
    [
        b"application/problem+json",
        b"application/json, Application/Problem+JSON;q=0.5",
        b"application/problem+json; charset=utf-8; q=1.0",
    ],
)
def test_problem_documents_are_for_those_who_ask(accept: bytes) -> None:
    """RFC 9457 with the registered type, the policy that was violated, and the request's id."""
    found = refused(throttled(), msgspec.structs.replace(AUDIENCE, accept=accept))
    assert found.headers["content-type"] == "application/problem+json"
    assert found.headers["content-length"] == str(len(found.content))
    document = found.json()
    assert document.pop("detail").startswith("Requests like this one come too fast.")
    assert document == {
        "type": "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
        "title": "Abnormal usage detected",
        "status": 429,
        "violated-policies": ["pacing"],
        "request_id": "req-17",
    }


def test_a_problem_that_is_no_verdict_has_no_type_of_its_own() -> None:
    """``about:blank`` and the status's own phrase."""
    audience = msgspec.structs.replace(AUDIENCE, accept=PROBLEM_JSON)
    document = response(problem(Spoken(), Problem.UNAVAILABLE, audience)).json()
    assert (document["type"], document["title"]) == ("about:blank", "Service Unavailable")


@pytest.mark.parametrize(
    "accept",
    [
        *[b"", b"*/*", b"application/json", b"application/*", b"application/problem+jsonx"],
        *[b"application/problem+json;q=0", b"application/problem+json ; Q = 0.000", b"\xff,;,="],
        b"a/b," * 1_000 + PROBLEM_JSON,
    ],
)
def test_everybody_else_gets_the_dialects_own_error(accept: bytes) -> None:
    """A wildcard asks for nothing in particular, and ``q=0`` refuses."""
    found = refused(throttled(), msgspec.structs.replace(AUDIENCE, accept=accept))
    assert found.headers["content-type"] == "application/json"


@given(st.binary())
def test_any_accept_header_gets_an_answer(accept: bytes) -> None:
    """What a client says about itself is no reason to fail."""
    assert refused(throttled(), msgspec.structs.replace(AUDIENCE, accept=accept)).json()


def test_head_gets_the_headers_alone() -> None:
    """They are those that the same request with GET would have."""
    whole = refusal(Spoken(), ALL["block"], AUDIENCE)
    bare = refusal(Spoken(), ALL["block"], msgspec.structs.replace(AUDIENCE, head_only=True))
    assert bare == (whole.status, whole.headers, b"")


@pytest.mark.parametrize("accept", [b"", PROBLEM_JSON])
def test_the_plain_answer_is_one_for_all(accept: bytes) -> None:
    """A caller who may be probing learns neither step nor verdict, neither clause nor reference."""
    audiences = [
        Audience(request_id=id_, contact="abuse@example.com", accept=accept, plain=True)
        for id_ in ("req-1", "req-2")
    ]
    answers = [
        refusal(Spoken(), decision, audience)
        for decision in (*ALL.values(), throttled(retry_after_seconds=40.0, terms=None))
        for audience in audiences
    ]
    assert all(answer == answers[0] for answer in answers)
    told = repr(answers[0])
    assert "abuse@example.com" in told
    assert not any(word in told for word in ("req-", "Grounds", "ratelimit", "x-request-id"))
    assert answers[0].status == 429
    assert dict(answers[0].headers)[b"x-should-retry"] == b"false"


@given(st.text())
def test_no_request_id_breaks_a_header(request_id: str) -> None:
    """What a client chose for an id is cut down to what may stand in a header."""
    answer = refusal(Spoken(), ALL["block"], Audience(request_id=request_id, contact="c"))
    for name, value in answer.headers:
        assert re.fullmatch(rb"[a-z-]+", name)
        assert re.fullmatch(rb"[\x20-\x7e]+", value)
        assert len(value) <= 128
    assert json.loads(answer.body)["status"] == 403
