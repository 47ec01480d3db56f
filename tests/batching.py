"""Files for batches, forms that upload them, and an upstream that takes both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.callers import KEY, ask, scope_of
from tests.upstreams import answer, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from gateway_guard import GuardMiddleware
    from tests.callers import Wire
    from tests.driving import Play

FILES, BATCHES, CHAT = "/v1/files", "/v1/batches", "/v1/chat/completions"
BOUNDARY = "----b7"
FORM = (b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())


class Upstream:
    """Takes files, gives them ids, and answers everything else with little."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.status = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await read(receive)
        said = b'{"id":"batch_1","object":"batch","status":"validating"}'
        if scope["path"].endswith("/files"):
            self.files.append(body)
            said = b'{"id":"file-%d","object":"file"}' % len(self.files)
        await answer(send, said, status=self.status)


def body_of(asked: Play) -> dict[str, object]:
    """Return the body of a chat completion that asks this."""
    exchange = asked.exchange
    sampling, thinking = exchange.sampling, exchange.sampling.thinking_tokens
    fields: dict[str, object] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": ["x"] * sampling.stops or None,
        "thinking": thinking and {"type": "enabled", "budget_tokens": thinking},
        "user": exchange.end_user,
    }
    turns = [{"role": turn.role, "content": turn.text} for turn in exchange.turns]
    fields |= {"model": exchange.model, "messages": turns}
    return {name: value for name, value in fields.items() if value is not None}


def line_of(body: object, number: int = 0, url: str = CHAT) -> bytes:
    """Return a line of a file for batches."""
    line = {"custom_id": f"request-{number}", "method": "POST", "url": url, "body": body}
    return json.dumps(line).encode()


def file_of(plays: Iterable[Play]) -> bytes:
    """Return a file for batches that asks all of this."""
    return b"\n".join(line_of(body_of(asked), at) for at, asked in enumerate(plays))


def asked_in(text: str, **fields: object) -> dict[str, object]:
    """Return a body with one question."""
    return {"model": "m", "messages": [{"role": "user", "content": text}]} | fields


def lines_of(count: int) -> bytes:
    """Return a file that asks so many different things."""
    return b"\n".join(
        line_of(asked_in(f"Question {at}: what is it, and why, and since when?"), at)
        for at in range(count)
    )


def field(name: str, value: bytes, extra: str = "") -> bytes:
    """Return one part of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def form_of(data: bytes, purpose: str = "batch") -> bytes:
    """Return a form that uploads a file."""
    file = field("file", data, '; filename="batch.jsonl"')
    return field("purpose", purpose.encode()) + file + f"--{BOUNDARY}--\r\n".encode()


def chunked(data: bytes, size: int = 2**16) -> list[bytes]:
    """Cut bytes into pieces."""
    return [data[at : at + size] for at in range(0, len(data), size)]


async def upload(
    guard: GuardMiddleware, data: bytes, purpose: str = "batch", key: bytes = KEY
) -> Wire:
    """Upload a file."""
    scope = scope_of(FILES, headers=[FORM], key=key)
    return await ask(guard, scope, *chunked(form_of(data, purpose)))


async def create(guard: GuardMiddleware, file: str, key: bytes = KEY) -> Wire:
    """Have a batch created from a file."""
    body = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    return await ask(guard, scope_of(BATCHES, key=key), json.dumps(body).encode())
