"""What LiteLLM's own reader of bodies hands to a model the guard has read."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from starlette.exceptions import HTTPException

from tests.litellm_readers import ProxyException, read_request_body
from tests.parity import Recorder, Sent, handed, named, request_of, said, undone
from tests.strategies import REQUESTS, squeezed

NAMED = named()


async def by_litellm(sent: Sent) -> object:
    """Read as the proxy does; what it refuses it hands to nobody."""
    request = request_of(sent)
    try:
        return await read_request_body(request)
    except (HTTPException, ProxyException, ValueError):
        return None
    finally:
        await request.close()


@pytest.mark.parametrize("name", NAMED)
def test_a_trick_that_has_a_name_hides_nothing_from_litellm(name: str) -> None:
    """Encoded or not: some put a middleware before it that decodes."""
    sent = NAMED[name]
    read = said(Recorder().read(sent))
    for request in (sent, sent._replace(body=undone(sent))):
        texts = list(handed(asyncio.run(by_litellm(request))))
        assert all(squeezed(text) in squeezed(read) for text in texts)


def test_whatever_litellm_hands_to_a_model_the_guard_has_read() -> None:
    """The same bytes for both."""
    recorder = Recorder()

    @settings(max_examples=300, deadline=None)
    @given(REQUESTS)
    def check(sent: Sent) -> None:
        exchange = recorder.read(sent)
        for text in handed(asyncio.run(by_litellm(sent))):
            unparsed = exchange is not None and exchange.unparsed
            assert unparsed or squeezed(text) in squeezed(said(exchange)), sent

    check()
