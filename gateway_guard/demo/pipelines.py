"""Public harvesting pipelines: their published parameters, and which one a text comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from gateway_guard.demo.script import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway_guard.corpora import Row

Manner = Literal["obedient", "hammering"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """How one pipeline asks.

    Attributes:
        known_from: where its parameters are published; the others are the API's defaults.
        cues: wordings that its prompts carry, as regular expressions.
        pause_seconds: what a worker waits between two requests.
        seeded: whether each request carries a seed of its own.
        system: the system text where the rows bring none.

    """

    name: str
    known_from: str
    parameters: Parameters = field(default_factory=Parameters)
    concurrency: int = 1
    manner: Manner = "obedient"
    pause_seconds: float = 0.0
    seeded: bool = False
    system: str | None = None
    cues: tuple[str, ...] = ()


SELF_INSTRUCT: Final = Pipeline(
    name="self_instruct",
    known_from="Stanford Alpaca, generate_instruction.py: batches of 5, decoding arguments",
    parameters=Parameters(
        temperature=1.0,
        top_p=1.0,
        max_tokens=3072,
        stop=("\n20", "20.", "20."),
        logit_bias=(50256,),
    ),
    concurrency=5,
    cues=(
        r"(diverse|set of \d+).{0,40}(instructions|tasks\b)",
        r"20个.{0,12}任务",
        r"task pool",
    ),
)
EVOL_INSTRUCT: Final = Pipeline(
    name="evol_instruct",
    known_from="WizardLM, Evol_Instruct/openai_access.py: one after another, retried at once",
    parameters=Parameters(temperature=1.0, top_p=0.95, max_tokens=2048),
    manner="hammering",
    system="You are a helpful assistant.",
    cues=(
        r"prompt (rewriter|creator)",
        r"#(the )?given (prompt|instruction)#",
        r"rewritten (prompt|instruction)",
        r"改写.{0,20}(指令|提示)",
    ),
)
ORCA: Final = Pipeline(
    name="orca",
    known_from="Orca paper, tables 1 and 2: sixteen system messages; sampling not published",
    concurrency=16,
    cues=(
        (
            r"^you (are an? .{0,40}assistant|should describe|will be given).{0,200}"
            r"(detailed|step[- ]by[- ]step|justify|five year old|explain|faithfully)"
        ),
    ),
)
OPEN_THOUGHTS: Final = Pipeline(
    name="open_thoughts",
    known_from="OpenThoughts, s1, Sky-T1: raw public questions, 16k tokens, many at a time",
    parameters=Parameters(temperature=0.6, top_p=0.95, max_tokens=16384, thinking_tokens=16000),
    concurrency=32,
    cues=(
        r"\\boxed|\\frac|\\sqrt|\$[^$]{1,80}\$",
        r"\bhow (many|much|far|long|old)\b.{0,200}\?$",
        r"compute the|prove that|input format|time limit",
        r"find the (value|sum|number|smallest|largest|area)",
        r"求.{0,20}(值|面积|概率)|已知",
    ),
)
OSS_INSTRUCT: Final = Pipeline(
    name="oss_instruct",
    known_from="Magicoder, generate_data.py: greedy, 2,500 tokens, seed = 976 + index",
    parameters=Parameters(temperature=0.0, max_tokens=2500),
    seeded=True,
    cues=(
        r"inspiration from",
        r"random code snippet",
        r"code snippet for inspiration",
        r"\[problem description\]",
    ),
)
JUDGE: Final = Pipeline(
    name="judge",
    known_from="UltraFeedback, annotate_critique.py: greedy, top_p 0.6, 1,024 tokens, ten tries",
    parameters=Parameters(temperature=0.0, top_p=0.6, max_tokens=1024),
    manner="hammering",
    cues=(
        r"overall score|score (of|from) 1|from 1 to (5|10)",
        r"rate (the|each|this)|rubric",
        r"(better|best) response",
        r"评分",
    ),
)
SELF_CHAT: Final = Pipeline(
    name="self_chat",
    known_from="Baize, collect.py: no parameters, one second between requests, one shard a key",
    pause_seconds=1.0,
    cues=(
        r"conversation between|take turns|two-player|cooperatively",
        r"\[human\]|complete the transcript",
        r"(can|to) assist .{1,60} (to|in)\b",
        r"continue the (dialogue|conversation)|对话",
    ),
)
MAGPIE: Final = Pipeline(
    name="magpie",
    known_from="Magpie, scripts/magpie.sh: an empty turn, 200 answers, temperature 1.1, top_p 0.99",
    parameters=Parameters(temperature=1.1, top_p=0.99, max_tokens=2048, n=200),
)
RESPONSES: Final = Pipeline(
    name="responses",
    known_from="GPT-4-LLM: every instruction of a pool answered once, temperature and top_p 1",
    parameters=Parameters(temperature=1.0, top_p=1.0, max_tokens=1024),
    concurrency=8,
)
DIALOGUE: Final = Pipeline(
    name="dialogue",
    known_from="UltraChat, MOSS: a simulated user's turns, parameters at their defaults",
    parameters=Parameters(temperature=1.0),
    concurrency=8,
)
# The most particular wording first.
CUED: Final = (OSS_INSTRUCT, EVOL_INSTRUCT, SELF_CHAT, SELF_INSTRUCT, ORCA, JUDGE, OPEN_THOUGHTS)
PIPELINES: Final = (*CUED, MAGPIE, RESPONSES, DIALOGUE)
# Of so many rows, so large a part must carry the wording.
ROWS_READ: Final = 100
LEAST_SHARE: Final = 0.4
CHARS_READ: Final = 3000
EMPTY_CHARS: Final = 3
PATTERNS: Final = {
    pipeline.name: re.compile("|".join(pipeline.cues), re.IGNORECASE | re.MULTILINE)
    for pipeline in CUED
}


def nearest(rows: Sequence[Row]) -> Pipeline:
    """Return the pipeline that texts come from, judged by the texts alone."""
    sample = rows[:: max(1, len(rows) // ROWS_READ)]
    if share(len(row.prompt.strip()) < EMPTY_CHARS for row in sample) > LEAST_SHARE:
        return MAGPIE
    if share(row.turn > 0 for row in sample) > LEAST_SHARE:
        return DIALOGUE
    for pipeline in CUED:
        pattern = PATTERNS[pipeline.name]
        if share(bool(pattern.search(reading(row))) for row in sample) > LEAST_SHARE:
            return pipeline
    return RESPONSES


def reading(row: Row) -> str:
    """Return what is read of a row: its system text, then the beginning of its prompt."""
    return f"{row.system or ''}\n{row.prompt[:CHARS_READ]}"


def share(flags: Iterable[bool]) -> float:
    """Return how large a part of the flags is set."""
    found = list(flags)
    return sum(found) / len(found) if found else 0.0
