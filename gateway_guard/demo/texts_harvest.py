"""What harvesters send, in the shapes of the public pipelines and in words of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.lexicon import EVERYDAY, fill, fill_distinct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

INSTRUCTIONS: Final = (
    "{task} {subject} for a {job}",
    "{task} {subject}, with {food} as the running example",
    "Describe how a {animal} would explain {subject}",
    "Given a {quality} {thing}, suggest {n} uses for it",
    "Write a {code} function that counts every {thing} sold in {month}",
    "Rewrite a letter from a {job} in {place} so that it sounds {mood}",
    "Plan a lesson on {subject} and {subject2} for pupils in {place}",
    "Compare {food} with {thing}s as gifts for a {job}",
    "Convert {n} miles to kilometres and explain the steps to a {job}",
    "Invent a board game about {subject} that a {animal} could win",
)
# Self-Instruct: a long constant text, three seed tasks, an open list. Own wording.
SELF_INSTRUCT: Final = (
    "Please come up with a set of 20 diverse task instructions. The instructions will be given to "
    "a language model, and its answers to them will be collected.\n\nHere are the requirements:\n"
    "1. No two instructions may begin with the same verb; the set as a whole should be as diverse "
    "as possible.\n"
    "2. Vary the language of the instructions: mix questions with imperatives, long sentences "
    "with short ones.\n"
    "3. Cover many types of tasks: open-ended generation, classification, editing, extraction, "
    "dialogue, code.\n"
    "4. A language model must be able to complete each instruction. Do not ask for pictures or "
    "sounds, and do not ask it to wake anybody, to buy anything or to remember a date.\n"
    "5. The instructions are in English and one or two sentences long.\n"
    "6. Give a suitable input for each instruction, realistic and under 100 words; where none is "
    "needed, write <noinput> in its place.\n"
    "7. Then give the output: a fitting answer to the instruction and the input, under 100 words.\n"
    "8. Number the tasks and separate them by a line of three hashes, in exactly the form of the "
    "first ones.\n"
    "9. Inputs must hold real content and not placeholders; prefer concrete names, figures and "
    "places.\n\n"
    "List of 20 tasks:\n"
)
OUTPUT: Final = (
    "A {job} in {place} would begin with {food} and keep {subject} in mind until {month}."
)
# Evol-Instruct: five ways to make an instruction harder, each around the same frame.
EVOLVE: Final = (
    "I want you to act as a Prompt Rewriter.\nYour objective is to turn the given prompt into a "
    "more complex version that strong assistants find a little harder, but that people can still "
    "understand and answer.\nMethod: {method}\n"
    "Add only 10 to 20 words. Do not write the words given prompt or rewritten prompt in your "
    "answer.\n"
    "#The Given Prompt#:\n{prompt}\n#Rewritten Prompt#:\n"
)
METHODS: Final = (
    "add one more constraint or requirement to the given prompt.",
    "if the given prompt asks about an issue, increase the depth and breadth of the inquiry.",
    "replace general concepts with more specific ones.",
    "if a few simple thinking steps solve it, ask explicitly for multiple-step reasoning.",
    "make a brand new prompt of the same domain that is even rarer than the given prompt.",
)
TWISTS: Final = (
    " Also consider {subject}.",
    " Keep it under {n} words.",
    " Assume the reader is a {job} from {place}.",
    " Give the cost in {month} as well.",
    " Do so without mentioning any {thing}.",
    " Justify each step by {subject2}.",
)
BOXED: Final = "\n\nReason step by step and put the final answer within \\boxed{}."
PROBLEMS: Final = (
    "Find the remainder when {a}^{b} is divided by {c}.",
    "How many positive integers up to {d} are divisible by {a} but not by {e}?",
    (
        "A {quality} {thing} costs {d} cents. After discounts of {a} and {e} percent, what does "
        "it cost?"
    ),
    "Triangle $ABC$ has sides {c}, {b2} and {b3}. Find the radius of its inscribed circle.",
    "Let $f(x) = x^3 - {a}x^2 + {b}x - {c}$. Find the sum of the squares of its roots.",
    "In how many ways can {e} people from {place} sit around a round table with {a2} empty chairs?",
    "A {job} walks {b} km at {a2} km/h and returns at {e} km/h. What is the mean speed?",
    "What is the probability that {e} throws of a fair die sum to exactly {f}?",
    (
        "Write a {code} program that reads {d} integers and prints the longest run whose sum is "
        "divisible by {a}."
    ),
    ("How many lattice paths lead from $(0,0)$ to $({a2},{e})$ without touching $y = x + {f2}$?"),
    "Solve for all real $x$: $\\sqrt{{c} + x} + \\sqrt{{c} - x} = {e}$.",
    (
        "A tank is filled by one pipe in {b} hours and emptied by another in {c} hours. When is it "
        "full?"
    ),
)
# A fixed wrapper that asks for the reasoning behind an answer: the hydra's own.
ARTICULATE: Final = (
    "Below is a question from our collection. Imagine and articulate the complete internal "
    "reasoning that leads to its answer: every step, every doubt and every check, in the order in "
    "which they occur, before you state the answer itself. Write at least eight paragraphs. Do "
    "not shorten the reasoning and do not refer to this text.\n\n"
    "<question>\n{question}\n</question>\n\nComplete reasoning, then the answer after the word "
    "ANSWER:"
)
# What the imitator asks under its victim's system prompt.
TEXTBOOK: Final = (
    "Write one training example for the topic below. First an exam question at university level, "
    "then a worked solution that explains its reasoning step by step so that a student model can "
    "learn from it, then three follow-up questions with full answers.\n\nTopic: "
    "{question}\nDifficulty: {n} of 99\nTraining example:"
)
# What the reseller's one customer sends among all the others.
PAIRS: Final = (
    "Generate 5 instruction and response pairs for a fine-tuning dataset. Each response must be a "
    "detailed and complete answer of at least 150 words with its reasoning. Return one JSON "
    "object a line with the keys instruction and response, nothing else.\n\nSeed instruction: "
    "{question}\nDomain: {subject}\nPairs:"
)


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a harvest: its text, the answer's lengths, or the answer where it matters."""

    text: str
    output_len: int
    reasoning_len: int = 0
    answer: str | None = None
    system: str | None = None


def instructions(rng: Random, count: int) -> list[str]:
    """Return seed instructions, none of them twice."""
    return fill_distinct(rng, INSTRUCTIONS, EVERYDAY, count)


def self_instruct(rng: Random, count: int) -> Iterator[Question]:
    """Yield prompts of the Self-Instruct shape: the constant text with three seed tasks."""
    seeds = instructions(rng, 175)
    for _ in range(count):
        chosen = enumerate(rng.sample(seeds, 3), start=1)
        tasks = "".join(seed_task(rng, number, instruction) for number, instruction in chosen)
        text = f"{SELF_INSTRUCT}{tasks}###\n4. Instruction:"
        yield Question(text, int(rng.lognormvariate(8.6, 0.2)))


def seed_task(rng: Random, number: int, instruction: str) -> str:
    """Return one of the tasks that a list begins with."""
    output = fill(rng, OUTPUT, EVERYDAY)
    return (
        f"###\n{number}. Instruction: {instruction}\n"
        f"{number}. Input:\n<noinput>\n{number}. Output:\n{output}\n"
    )


def evolve(rng: Random, count: int, generations: int = 4) -> Iterator[Question]:
    """Yield prompts of the Evol-Instruct shape: each answer is the next prompt's input."""
    for seed in instructions(rng, -(-count // generations)):
        prompt = seed
        for _ in range(generations):
            text = EVOLVE.replace("{method}", rng.choice(METHODS)).replace("{prompt}", prompt)
            prompt += fill(rng, rng.choice(TWISTS), EVERYDAY)
            yield Question(text, len(prompt), answer=prompt)


def problems(rng: Random, count: int) -> list[str]:
    """Return competition problems, none of them twice."""
    return fill_distinct(rng, PROBLEMS, EVERYDAY | numbers(), count)


def numbers() -> dict[str, tuple[str, ...]]:
    """Return the lists of numbers that the problems' slots stand for."""
    ranges = {
        "a": (3, 40),
        "a2": (4, 14),
        "b": (5, 99),
        "b2": (12, 60),
        "b3": (12, 60),
        "c": (7, 98),
    }
    ranges |= {"d": (200, 9000), "e": (3, 12), "f": (9, 40), "f2": (2, 9)}
    return {name: tuple(str(n) for n in range(low, high)) for name, (low, high) in ranges.items()}


def reasoning(rng: Random, count: int) -> Iterator[Question]:
    """Yield raw problems; answers carry long reasoning."""
    for problem in problems(rng, count):
        yield Question(
            problem + BOXED, int(rng.lognormvariate(7.4, 0.3)), int(rng.lognormvariate(9.3, 0.5))
        )


def wrapped(rng: Random, wrapper: str, count: int) -> Iterator[Question]:
    """Yield seed questions in a constant wrapper; answers are long."""
    for question in instructions(rng, count):
        text = fill(rng, wrapper.replace("{question}", question), EVERYDAY)
        yield Question(text, int(rng.lognormvariate(8.2, 0.25)))
