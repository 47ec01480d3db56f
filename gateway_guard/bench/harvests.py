"""Harvesters of whom each is found alone: no two of their questions have five words in common."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Final

from gateway_guard.bench.answers import completion
from gateway_guard.bench.apps import answer_at_once, answer_with
from gateway_guard.bench.texts import Texts
from gateway_guard.bench.traffic import asked, credential, plain_caller

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway_guard.bench.traffic import Call

HARVEST: Final = b"harvest"
_QUESTION: Final = (
    "{make} {count} {new} {other} {about} {asks}. {more} {tell} your {depth} {thought}. "
)
_MORE_BYTES: Final = 40
_SUBJECT_BYTES: Final = 120
_ANSWER_BYTES: Final = 2_400
_SLOTS: Final = {
    "count": "two three four five six seven eight nine ten twelve fifteen twenty thirty fifty many",
    "make": "Generate Create Write Produce Compose Design Invent Formulate Draft Construct",
    "new": "new novel diverse different challenging original unique distinct varied difficult",
    "other": "realistic complex various harder additional synthetic",
    "about": "math programming coding logic word exam quiz interview practice",
    "asks": "instructions prompts questions problems tasks exercises",
    "tell": "show explain justify describe detail provide include share present",
    "depth": "full complete entire detailed inner logical underlying intermediate",
    "thought": "reasoning thinking rationale derivation steps working",
}


class Harvester:
    """Somebody who harvests under a key of his own."""

    def __init__(self, number: int) -> None:
        """Begin with a new key, and with words that nobody else has."""
        self._caller = plain_caller(number, HARVEST)
        self._texts, random = Texts(number), Random(number)
        drawn = {name: random.choice(words.split()) for name, words in _SLOTS.items()}
        more = self._texts.text(_MORE_BYTES).decode()
        self._question = _QUESTION.format(more=more, **drawn).encode()

    def harvest(self) -> Call:
        """Ask for instructions and for the reasoning behind the answers."""
        return asked(self._caller, self._question + self._texts.text(_SUBJECT_BYTES))

    def innocent(self) -> Call:
        """Ask what anybody asks: who refuses that knows the key."""
        return asked(self._caller, self._texts.text(_SUBJECT_BYTES))


def model() -> ASGIApp:
    """Return an application that answers harvesters at length, and everybody else shortly."""
    texts = Texts(seed=11)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and HARVEST.decode() in credential(scope):
            text = texts.text(_ANSWER_BYTES).decode().replace("\\n", " ")
            await answer_with(200, json.dumps(completion(text)).encode(), receive, send)
        else:
            await answer_at_once(scope, receive, send)

    return answer
