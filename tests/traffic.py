"""Texts of the tests' own: what harvesters, people and programs ask, in words that are none."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from gateway_guard.exchange import Sampling
from tests.driving import Play, play

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = [
    first + last
    for first in ("am", "bar", "cor", "del", "fen", "gal", "har", "lin", "mar", "pil", "ros", "tam")
    for last in (
        "ber",
        "der",
        "gin",
        "ket",
        "low",
        "mine",
        "net",
        "ra",
        "sel",
        "ton",
        "vet",
        "wick",
    )
]
_VERBS = ["carries", "follows", "measures", "moves", "turns", "holds", "lifts", "joins", "warms"]
_LABELS = ("invoice", "complaint", "praise", "question")


def sentence(rng: Random, words: int) -> str:
    """Write a sentence that nobody wrote before."""
    chosen = rng.choices(_WORDS, k=max(3, words))
    chosen[1] = rng.choice(_VERBS)
    return f"{' '.join(chosen).capitalize()}."


def rare(rng: Random) -> str:
    """Return one of twenty thousand words."""
    return rng.choice(_WORDS) + rng.choice(_WORDS)


def prose(rng: Random, chars: int) -> str:
    """Write sentences of about so many characters together."""
    text = ""
    while len(text) < chars:
        text += sentence(rng, rng.randint(6, 14)) + " "
    return text[:chars].rstrip()


_ANSWER = prose(Random(0), 20_000)


def answer(rng: Random, low: int, high: int) -> str:
    """Return an answer of a length between two; what it says does not matter."""
    begin = rng.randrange(2000)
    return _ANSWER[begin : begin + rng.randint(low, high)]


# --- harvesters ---------------------------------------------------------------------------------

_FIXED = (
    "You are asked to come up with a set of 20 diverse task instructions. They go to a language "
    "model and we look at how well it completes them. Please observe: no verb twice, questions and "
    "orders mixed, many kinds of work such as open writing, sorting, editing and planning, each of "
    "one or two sentences long, in English, with an input of at most a hundred words where one is "
    "needed, and an output that fits both. Below stand some of them as examples."
)


def self_instruct(rng: Random) -> Iterator[Play]:
    """Ask again and again for task instructions, three examples filled in anew."""
    sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=3072, stops=2)
    while True:
        seeds = "\n".join(
            f"{number}. Instruction: {sentence(rng, 12)}\nInput: {sentence(rng, 8)}\n"
            f"Output: {sentence(rng, 16)}"
            for number in range(1, 4)
        )
        text = f"{_FIXED}\n\nList of 20 tasks:\n{seeds}\n4. Instruction:"
        yield play(text, answer(rng, 2500, 4500), sampling=sampling)


_EVOLVE = (
    "I want you to act as a Prompt Rewriter. Rewrite the given prompt into a more complex version "
    "that people still understand and can answer. Add one more constraint to it, keep tables and "
    "code as they are, and use ten to twenty words more."
)


def evol(rng: Random) -> Iterator[Play]:
    """Have one prompt after another rewritten into a harder one."""
    sampling = Sampling(temperature=1.0, max_tokens=2048)
    while True:
        seed = prose(rng, rng.randint(80, 240))
        text = f"{_EVOLVE}\n#The Given Prompt#:\n{seed}\n#Rewritten Prompt#:\n"
        yield play(text, answer(rng, 300, 800), sampling=sampling)


def reasoning(rng: Random) -> Iterator[Play]:
    """Put raw questions with the largest budgets, and take home the reasoning."""
    sampling = Sampling(temperature=0.7, max_tokens=20_000, thinking_tokens=16_384)
    while True:
        text = f"{prose(rng, rng.randint(80, 300))} How many {rng.choice(_WORDS)}s are left?"
        thought = rng.randint(4000, 16_000)
        yield replace(
            play(text, answer(rng, 1500, 3000), sampling=sampling), reasoning_chars=thought
        )


_TUTOR = (
    "You are a careful teacher. Think step by step, write out your full reasoning before the "
    "result, and put the final answer in \\boxed{} at the end of a long and detailed explanation."
)


def tutor(rng: Random) -> Iterator[Play]:
    """Ask short questions under one system text that wants all of the reasoning."""
    sampling = Sampling(temperature=0.6, max_tokens=8192)
    while True:
        text = prose(rng, rng.randint(90, 260))
        yield play(text, answer(rng, 2000, 5000), system=_TUTOR, sampling=sampling)


# --- people and programs ------------------------------------------------------------------------

SEARCH_SYSTEM = (
    "You answer the staff of a clinic from the documents below, in at most three sentences, and "
    "say which document you took it from. If none of them helps, say so and nothing else."
)


def search(rng: Random, *, system: str = SEARCH_SYSTEM, extra: str = "") -> Iterator[Play]:
    """Answer from retrieved pages: long input, short output. ``extra`` is in every page."""
    while True:
        pages = "\n\n".join(f"[{n}] {prose(rng, 700)} {extra}" for n in range(1, 4))
        text = f"Documents found for the question:\n{pages}\n\nQuestion: {sentence(rng, 9)}"
        sampling = Sampling(temperature=0.2, max_tokens=700)
        yield play(text, answer(rng, 120, 380), system=system, sampling=sampling)


def classify(rng: Random) -> Iterator[Play]:
    """Sort messages: a constant system text, one word comes back."""
    system = (
        "Sort the message of a customer into one of: invoice, complaint, praise, question. "
        "Answer with that one word."
    )
    while True:
        yield play(
            prose(rng, rng.randint(120, 500)),
            rng.choice(_LABELS),
            system=system,
            sampling=Sampling(temperature=0, max_tokens=8),
        )


def translate(rng: Random) -> Iterator[Play]:
    """Translate: what comes back is as long as what went in."""
    system = (
        "Translate the text of the user into Danish, keep names and numbers as they are, and give "
        "nothing but the translation."
    )
    while True:
        size = rng.randint(300, 1500)
        text = prose(rng, size)
        yield play(text, answer(rng, int(size * 0.9), int(size * 1.1)), system=system)


def chat(rng: Random, turns: int = 4, system: str | None = None) -> Iterator[Play]:
    """Hold conversations of a few turns, the whole of each sent every time."""
    while True:
        history: tuple[tuple[str, str], ...] = ()
        for _ in range(turns):
            asked = play(
                prose(rng, rng.randint(20, 220)),
                f"{sentence(rng, 6)} {answer(rng, 200, 1400)}",
                system=system,
                history=history,
            )
            yield asked
            history = (*history, (asked.exchange.turns[-1].text, asked.answer))


HARVESTS = {
    "self_instruct": self_instruct,
    "evol": evol,
    "reasoning": reasoning,
    "tutor": tutor,
}
INNOCENTS = {"search": search, "classify": classify, "translate": translate, "chat": chat}
