"""Disguises: what an attacker does to each request so that it looks like another one."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

import msgspec

from gateway_guard.corpora import Row
from gateway_guard.demo.prose import ENGLISH
from gateway_guard.exchange import Turn
from gateway_guard.lab.asks import Ask

Disguise = Callable[[Random, Ask], Ask]
"""Takes a request and returns it as it is sent instead."""

_WORDS: Final = tuple(ENGLISH.split())
_SYSTEM_WORDS: Final = 20
_END_WORDS: Final = 8
_ZERO_WIDTH: Final = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff")
_LOOKALIKES: Final = {
    "a": "а",
    "c": "с",
    "e": "е",
    "i": "і",
    "o": "о",
    "p": "р",
    "x": "х",
    "y": "у",
}
_RESPELLED_SHARE: Final = 0.15
_NUMBERED: Final = re.compile(r"^\s*\d+[.)]\s*")
_GO_ON: Final = ("Go on.", "Please go on.", "Continue.", "And now?", "Next.")
_READY: Final = ("Certainly.", "I am ready.", "Of course, go ahead.", "Understood.")
_GREETINGS: Final = ("Hello, are you there?", "Good morning!", "Can you help me today?", "Hi.")


def plain(rng: Random, ask: Ask) -> Ask:
    """Send a request as it is."""
    del rng
    return ask


def history(rng: Random, ask: Ask) -> Ask:
    """Put an exchange before it that never took place."""
    greeting, ready = Turn("user", rng.choice(_GREETINGS)), Turn("assistant", rng.choice(_READY))
    return _with_turns(ask, *_systems(ask), greeting, ready, _own(ask))


def older_turn(rng: Random, ask: Ask) -> Ask:
    """Ask in an older turn, and go on from an answer that was never given."""
    ready, go_on = Turn("assistant", rng.choice(_READY)), Turn("user", rng.choice(_GO_ON))
    return _with_turns(ask, *_systems(ask), _own(ask), ready, go_on)


def system_text(rng: Random, ask: Ask) -> Ask:
    """Ask in the system text."""
    own = Turn("system", _own(ask).text)
    return _with_turns(ask, *_systems(ask), own, Turn("user", rng.choice(_GO_ON)))


def tool_result(rng: Random, ask: Ask) -> Ask:
    """Ask in what a tool is said to have returned."""
    call = f"call_{rng.getrandbits(64):016x}"
    asked = Turn("user", rng.choice(_GO_ON))
    called = Turn("assistant", "", call_ids=(call,))
    asks = _with_turns(ask, *_systems(ask), asked, called, Turn("tool", _own(ask).text))
    exchange = msgspec.structs.replace(asks.exchange, tool_definitions=1)
    return msgspec.structs.replace(asks, exchange=exchange)


def nonce(rng: Random, ask: Ask) -> Ask:
    """Put a system text of random words before it, and random words at both of its ends."""
    own = _own(ask)
    text = f"{words(rng, _END_WORDS)}\n{own.text}\n{words(rng, _END_WORDS)}"
    return _with_turns(ask, Turn("system", words(rng, _SYSTEM_WORDS)), Turn(own.role, text))


def respelled(rng: Random, ask: Ask) -> Ask:
    """Change letter case, put in what is not seen, and letters that look like others."""
    turns = [msgspec.structs.replace(t, text=_respelled(rng, t.text)) for t in ask.exchange.turns]
    return _with_turns(ask, *turns)


def _respelled(rng: Random, text: str) -> str:
    letters = []
    for letter in text:
        drawn = rng.random() / _RESPELLED_SHARE
        if drawn >= 1 or not letter.isalpha():
            letters.append(letter)
        elif drawn < 1 / 3:
            letters.append(letter.swapcase())
        elif drawn < 2 / 3:
            letters.append(letter + rng.choice(_ZERO_WIDTH))
        else:
            letters.append(_LOOKALIKES.get(letter, letter))
    return "".join(letters)


def words(rng: Random, count: int) -> str:
    """Return so many words without any sense."""
    return " ".join(rng.choices(_WORDS, k=count))


def packed(rows: list[Row], count: int) -> list[Row]:
    """Return rows of so many questions each; the length of all answers is that of each together.

    Where one of them is not recorded, that of all is drawn as everywhere.
    """
    return [_joined(rows[at : at + count]) for at in range(0, len(rows), count)]


def _joined(rows: list[Row]) -> Row:
    lines = [
        f"{number}. {_NUMBERED.sub('', row.prompt)}" for number, row in enumerate(rows, start=1)
    ]
    lengths = [row.output_len for row in rows]
    known = [length for length in lengths if length is not None]
    whole = sum(known) if len(known) == len(lengths) else None
    return Row("\n\n".join(lines), output_len=whole, system=rows[0].system)


def _own(ask: Ask) -> Turn:
    return ask.exchange.turns[-1]


def _systems(ask: Ask) -> list[Turn]:
    return [turn for turn in ask.exchange.turns if turn.role == "system"]


def _with_turns(ask: Ask, *turns: Turn) -> Ask:
    exchange = msgspec.structs.replace(ask.exchange, turns=turns)
    return msgspec.structs.replace(ask, exchange=exchange)
