"""What a server hands to a model the guard has read, whatever the server reads it with."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings

from tests.parity import EVIL, Recorder, Sent, by_json, by_starlette, handed, named, said, strange
from tests.strategies import REQUESTS, squeezed

NAMED, STRANGE = named(), strange()


@pytest.mark.parametrize("name", NAMED)
def test_a_trick_that_has_a_name_hides_nothing(name: str) -> None:
    """Neither from a server that goes by the headers nor from one that does not."""
    sent, recorder = NAMED[name], Recorder()
    exchange = recorder.read(sent)
    texts = set(chain(handed(by_json(sent)), handed(by_starlette(sent))))
    assert any(EVIL in text for text in texts)
    assert exchange is not None
    assert not exchange.unparsed
    assert all(text.replace("\0", "") in said(exchange) for text in texts)


@pytest.mark.parametrize("name", STRANGE)
def test_a_trick_that_only_other_parsers_fall_for_hides_nothing(name: str) -> None:
    """Those of Go and Java stop behind the first document, others go by the charset."""
    exchange = Recorder().read(STRANGE[name])
    assert exchange is not None
    assert not exchange.unparsed
    assert EVIL in said(exchange)


@pytest.mark.parametrize("name", NAMED)
def test_a_trick_in_many_pieces_is_the_same_trick(name: str) -> None:
    """Empty ones included."""
    sent = NAMED[name]
    cuts = [0, 0, 1, 2, 3, *range(0, len(sent.body), max(1, len(sent.body) // 9))]
    assert said(Recorder().read(sent, *cuts)) == said(Recorder().read(sent))


def test_whatever_a_parser_hands_to_a_model_the_guard_has_read() -> None:
    """The same bytes for Starlette, for the standard parser, and for the guard."""
    recorder = Recorder()

    @settings(max_examples=400, deadline=None)
    @given(REQUESTS)
    def check(sent: Sent) -> None:
        exchange = recorder.read(sent)
        for text in chain(handed(by_json(sent)), handed(by_starlette(sent))):
            unparsed = exchange is not None and exchange.unparsed
            assert unparsed or squeezed(text) in squeezed(said(exchange)), sent

    check()
