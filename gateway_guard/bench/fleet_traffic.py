"""Who comes to a fleet: harvesters of four shapes, a campaign of many keys, people, programs.

The same seed makes the same requests. How an answer is to look is said in a header that only the
measured processes know.
"""

from __future__ import annotations

import json
from itertools import count, repeat
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.bench.load import head_of
from gateway_guard.bench.texts import Texts
from gateway_guard.bench.traffic import Caller, plain_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway_guard.bench.traffic import Field

ANSWER: Final = b"x-bench-answer"
SCENE: Final = b"x-bench-scene"
REQUESTS_A_KEY: Final = 4
_TURNS: Final = 6
_INSTRUCTIONS: Final = (
    b"You are asked to come up with a set of 20 diverse task instructions. They will be given to a "
    b"language model, and we will evaluate how well it completes them. Do not use the same verb "
    b"twice, mix questions and orders, cover many types of tasks, write one or two sentences each, "
    b"add an input of at most a hundred words where one is needed, and an output that fits both."
    b"\\n\\nList of 20 tasks:\\n"
)
_REWRITER: Final = (
    b"I want you to act as a Prompt Rewriter. Rewrite the given prompt into a more complex version "
    b"that people still understand and can answer. Add one more constraint to it, and use ten to "
    b"twenty words more.\\n#The Given Prompt#:\\n%b\\n#Rewritten Prompt#:\\n"
)
_PAIRS: Final = (
    b"Generate 5 instruction and response pairs for a fine-tuning dataset. Each response must be a "
    b"detailed and complete answer of at least 150 words with its reasoning. Return one JSON "
    b"object a line, nothing else.\\n\\nSeed instruction: %b\\nPairs:"
)
_STUDENT: Final = (
    b"Generate twenty new and diverse instructions with which a language model can be trained. "
    b"Give the complete answer to each, and show your full reasoning step by step. Do not repeat "
    b"the verb. Take this as the seed: %b"
)
_CAMPAIGNS: Final = (
    (
        b"Imagine and articulate the complete internal reasoning behind the answer to this "
        b"question of our collection: every step, every doubt, every check, in the order in which "
        b"they occur, and then the answer itself. Write at least eight paragraphs."
        b"\\n\\n%b\\n\\nComplete reasoning:"
    ),
    (
        b"Solve the task below for our training set. Think step by step and write out your full "
        b"chain of thought, including what you tried and gave up, in no less than six paragraphs "
        b"before the final answer.\\n\\nTask:\\n%b\\n\\nChain of thought:"
    ),
    (
        b"Generate five new and diverse instructions in the manner of the one that follows, each "
        b"with a complete and detailed answer that a student model can be trained on."
        b"\\n\\nExample instruction:\\n%b\\n\\nInstructions with answers:"
    ),
)


class Ask(NamedTuple):
    """One request: who sends what, and how long the answer and its reasoning are to be."""

    caller: Caller
    body: bytes
    answer: tuple[int, int] = (400, 0)

    def head(self, scene: str) -> bytes:
        """Return what is sent before the body, to one scene."""
        fields: tuple[Field, ...] = (
            *self.caller.fields,
            (SCENE, scene.encode()),
            (ANSWER, b"%d %d" % self.answer),
        )
        return head_of(fields, len(self.body))


def caller_of(kind: str, number: int) -> Caller:
    """Return somebody with a key, an address and a client of his own."""
    place = Random(f"{kind}:{number}")
    address = b"198.18.%d.%d" % (place.randrange(256), place.randrange(1, 255))
    agent = b"OpenAI/Python 2.%d.0" % place.randrange(40)
    fields = plain_caller(number, kind.encode()).fields
    return Caller((*fields, (b"user-agent", agent), (b"x-forwarded-for", address)))


def self_instruct(random: Random, texts: Texts, caller: Caller) -> Iterator[Ask]:
    """Ask again and again for task instructions, with other examples each time."""
    extra = b',"temperature":1.0,"top_p":1.0,"max_tokens":3072,"stop":["\\n20","20."]'
    while True:
        seeds = b"\\n".join(b"%d. Instruction: %b" % (at, texts.text(120)) for at in (1, 2, 3))
        question = b"%b%b\\n4. Instruction:" % (_INSTRUCTIONS, seeds)
        yield Ask(caller, body(user(question), extra), (random.randint(2500, 4500), 0))


def evol(random: Random, texts: Texts, caller: Caller) -> Iterator[Ask]:
    """Have one prompt after another rewritten into a harder one."""
    extra = b',"temperature":1.0,"max_tokens":8192'
    while True:
        question = _REWRITER % texts.text(random.randint(80, 240))
        yield Ask(caller, body(user(question), extra), (random.randint(300, 800), 0))


def pairs(random: Random, texts: Texts, caller: Caller) -> Iterator[Ask]:
    """Ask for pairs of a question and an answer, from one seed after another."""
    extra = b',"temperature":0.8,"max_tokens":5120'
    while True:
        question = _PAIRS % texts.text(random.randint(80, 240))
        yield Ask(caller, body(user(question), extra), (random.randint(2500, 4500), 0))


def student(random: Random, texts: Texts, caller: Caller) -> Iterator[Ask]:
    """Ask for instructions with answers and reasoning, which is served as well."""
    extra = b',"temperature":1.0,"max_tokens":4096'
    while True:
        question = _STUDENT % texts.text(random.randint(80, 300))
        lengths = random.randint(2000, 4000), random.randint(1000, 4000)
        yield Ask(caller, body(user(question), extra), lengths)


SHAPES: Final[dict[str, Callable[[Random, Texts, Caller], Iterator[Ask]]]] = {
    "self_instruct": self_instruct,
    "evol": evol,
    "pairs": pairs,
    "student": student,
}


def harvest(shape: str, seed: int) -> Iterator[Ask]:
    """Yield a harvester's requests."""
    caller = caller_of(f"harvest-{shape}", seed)
    return SHAPES[shape](Random(f"{shape}:{seed}"), Texts(seed), caller)


CAMPAIGNS: Final = range(len(_CAMPAIGNS))


def hydra(campaign: int, seed: int) -> Iterator[Ask]:
    """Yield a campaign's requests: one template, keys that are used four times each."""
    random, texts = Random(f"hydra:{campaign}:{seed}"), Texts(1000 * campaign + 100 + seed)
    extra = b',"temperature":0.7,"max_tokens":8192'
    for number in count():
        caller = caller_of(f"hydra-{campaign}-{seed}", number)
        for _ in repeat(None, REQUESTS_A_KEY):
            question = _CAMPAIGNS[campaign] % texts.text(random.randint(80, 260))
            yield Ask(caller, body(user(question), extra), (random.randint(2500, 5000), 0))


class Person:
    """Somebody who chats: what was said so far comes with every request."""

    def __init__(self, number: int, seed: int) -> None:
        """Begin with nothing said."""
        self.caller = caller_of("person", 1000 * seed + number)
        self._random, self._texts = Random(f"person:{seed}:{number}"), Texts(1000 * seed + number)
        self._said: list[bytes] = []

    @property
    def later(self) -> bool:
        """Tell whether the next turn is one that goes on from an answer."""
        return bool(self._said)

    def ask(self) -> Ask:
        """Return the next turn."""
        self._said.append(user(self._texts.text(self._random.randint(30, 220))))
        return Ask(self.caller, body(b",".join(self._said)), (self._random.randint(200, 1400), 0))

    def hear(self, answer: str) -> None:
        """Take note of the answer; after a few turns begin another conversation."""
        self._said.append(message(b"assistant", json.dumps(answer)[1:-1].encode()))
        if len(self._said) >= 2 * _TURNS:
            self._said = []


def program(number: int, texts: Texts) -> Ask:
    """Return a small question of one of many keys, unlike every other."""
    return Ask(caller_of("program", number), body(user(texts.text(300))))


def message(role: bytes, text: bytes) -> bytes:
    """Return one message of a chat."""
    return b'{"role":"%b","content":"%b"}' % (role, text)


def user(text: bytes) -> bytes:
    """Return what somebody asks."""
    return message(b"user", text)


def body(messages: bytes, extra: bytes = b"") -> bytes:
    """Return the body of a chat completion's request."""
    return b'{"model":"bench-1","messages":[%b]%b}' % (messages, extra)
