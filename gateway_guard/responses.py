"""Refusal -> status, headers and body, in the dialect that the caller speaks.

A message says what happened, what to do and whom to ask; it never carries a score, a threshold or a
signal, which would only help those who look for the edge.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import Enum
from http import HTTPStatus
from math import ceil, floor
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from gateway_guard.actions import Action
from gateway_guard.dialects.base import Refusal

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Voice
    from gateway_guard.enforcement import Decision
    from gateway_guard.policy import Terms

Headers = list[tuple[bytes, bytes]]

# Defined in draft-ietf-httpapi-ratelimit-headers, which also has the RateLimit fields.
ABNORMAL_USAGE: Final = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected"
LONGEST_WAIT_SECONDS: Final = 60
"""SDKs sleep for as long as they are told up to this, and do as they please beyond."""

_RATE_POLICY: Final = "pacing"
_RETRY_SOON_SECONDS: Final = 5
_LATEST_INSTANT: Final = 253_402_300_799  # the end of the year 9999, as far as dates go
_JSON: Final = b"application/json"
_PROBLEM_JSON: Final = b"application/problem+json"
_LONGEST_ACCEPT: Final = 1024
_REFUSED_BY_CLIENT: Final = re.compile(rb"(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)")
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9._:-]")
_LONGEST_ID: Final = 128
_NO_RETRY: Final = (b"x-should-retry", b"false")


class Answer(NamedTuple):
    """A whole response, as ASGI wants it."""

    status: int
    headers: Headers
    body: bytes


class Problem(Enum):
    """Reasons to refuse that are no verdict: status, code, and what is wrong."""

    UNPARSED = (400, "unreadable_request", "The request body could not be read.")
    WEBSOCKET = (403, "websocket_not_supported", "No websockets are accepted here; use HTTP.")
    TIMEOUT = (408, "request_timeout", "The request body did not arrive in time.")
    TOO_LARGE = (413, "request_too_large", "The request body is larger than is accepted here.")
    UNAVAILABLE = (503, "unavailable", "The request cannot be handled now; send it again shortly.")


class Audience(msgspec.Struct, frozen=True):
    """Who reads a refusal, and how.

    ``accept`` is the request's header. ``head_only`` leaves the body out, for HEAD. ``plain`` gives
    one constant answer, whatever the verdict, to callers that may be probing.
    """

    request_id: str
    contact: str
    accept: bytes = b""
    head_only: bool = False
    plain: bool = False


class _Draft(msgspec.Struct, frozen=True):
    """A refusal before it is shaped."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    problem_type: str = "about:blank"
    title: str = ""
    violated: tuple[str, ...] = ()


def refusal(dialect: Voice, decision: Decision, audience: Audience) -> Answer:
    """Return the answer to a request that a decision refuses."""
    if audience.plain:
        audience = msgspec.structs.replace(audience, request_id="")
        return _shape(dialect, _plain(audience.contact), audience)
    if decision.action >= Action.BLOCK:
        draft = _block(decision.terms)
    elif decision.action == Action.PENALTY:
        draft = _penalty(decision.until_at, decision.terms)
    else:
        draft = _throttle(decision)
    return _shape(dialect, draft, audience)


def problem(dialect: Voice, found: Problem, audience: Audience) -> Answer:
    """Return the answer to a request that cannot be handled, whoever sends it."""
    status, code, message = found.value
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if found is Problem.UNAVAILABLE:
        headers = ((b"retry-after", b"%d" % _RETRY_SOON_SECONDS),)
    title = HTTPStatus(status).phrase
    return _shape(dialect, _Draft(status, code, message, headers, title=title), audience)


def _throttle(decision: Decision) -> _Draft:
    """Ask to come back, in whole seconds and in milliseconds, within what SDKs obey."""
    wait = decision.retry_after_seconds
    wait = LONGEST_WAIT_SECONDS if wait is None else min(max(wait, 0.0), LONGEST_WAIT_SECONDS)
    seconds = max(1, ceil(wait))
    rate = max(1, floor(decision.rate_per_minute))
    message = f"Requests like this one come too fast. Send the next one in {seconds} seconds."
    headers = (
        (b"retry-after", b"%d" % seconds),
        (b"retry-after-ms", b"%d" % max(1, ceil(wait * 1000))),
        (b"ratelimit-policy", f'"{_RATE_POLICY}";q={rate};w=60'.encode()),
        (b"ratelimit", f'"{_RATE_POLICY}";r=0;t={seconds}'.encode()),
    )
    return _abnormal(429, message, headers, decision.terms, violated=(_RATE_POLICY,))


def _penalty(until_at: float | None, terms: Terms | None) -> _Draft:
    """Say until when nothing is answered, in the body alone: clients would sleep for a header."""
    message = "Requests went on during the time that they were asked to wait."
    if until_at is not None and until_at < _LATEST_INSTANT:
        instant = datetime.fromtimestamp(ceil(until_at), UTC)
        message += f" The next one is answered after {instant:%Y-%m-%dT%H:%M:%SZ}."
    return _abnormal(429, message, (_NO_RETRY,), terms)


def _block(terms: Terms | None) -> _Draft:
    """Refuse for good, as far as the caller is told."""
    message = "Requests like this one are not answered any more."
    return _abnormal(403, message, (_NO_RETRY,), terms)


def _plain(contact: str) -> _Draft:
    """Answer one and the same to everybody, so that nothing can be told from it."""
    message = f"This request is not answered. If that is a mistake, contact {contact}."
    headers = ((b"retry-after", b"%d" % LONGEST_WAIT_SECONDS), _NO_RETRY)
    return _abnormal(429, message, headers, None)


def _abnormal(
    status: int,
    message: str,
    headers: tuple[tuple[bytes, bytes], ...],
    terms: Terms | None,
    violated: tuple[str, ...] = (),
) -> _Draft:
    """Draft a refusal that stands on a verdict, with the terms that it stands on."""
    return _Draft(
        status,
        "abnormal_usage_detected",
        message + _cited(terms),
        headers,
        problem_type=ABNORMAL_USAGE,
        title="Abnormal usage detected",
        violated=violated,
    )


def _cited(terms: Terms | None) -> str:
    """Return a sentence that names the terms, if there are any."""
    if terms is None:
        return ""
    return f" Grounds: {terms.title} ({terms.url})." if terms.url else f" Grounds: {terms.title}."


def _shape(dialect: Voice, draft: _Draft, audience: Audience) -> Answer:
    """Give a draft the form that the caller's client expects."""
    id_ = _NOT_IN_ID.sub("", audience.request_id)[:_LONGEST_ID]
    message = draft.message
    if id_:
        message += f" If you have questions, contact {audience.contact} with reference {id_}."
    if _wants_problem(audience.accept):
        kind, body = _PROBLEM_JSON, _problem_body(draft, message, id_)
    else:
        kind, body = _JSON, dialect.error_body(Refusal(draft.status, message, id_, draft.code))
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *draft.headers]
    if id_:
        headers += [(b"x-request-id", id_.encode()), (b"request-id", id_.encode())]
    return Answer(draft.status, headers, b"" if audience.head_only else body)


def _problem_body(draft: _Draft, message: str, id_: str) -> bytes:
    """Return a problem document (RFC 9457), with the request's id as an extension."""
    document: dict[str, object] = {
        "type": draft.problem_type,
        "title": draft.title,
        "status": draft.status,
        "detail": message,
    }
    if draft.violated:
        document["violated-policies"] = draft.violated
    if id_:
        document["request_id"] = id_
    return msgspec.json.encode(document)


def _wants_problem(accept: bytes) -> bool:
    """Tell whether problem documents are asked for by name."""
    for entry in accept[:_LONGEST_ACCEPT].lower().split(b","):
        media, _, parameters = entry.partition(b";")
        if media.strip() == _PROBLEM_JSON:
            return not _REFUSED_BY_CLIENT.search(parameters)
    return False
