"""A small folder of texts of our own, in the format that the lab reads."""

from __future__ import annotations

import gzip
import json
from random import Random
from typing import TYPE_CHECKING, Any

from gateway_guard.demo import texts_harvest
from gateway_guard.demo.texts_people import conversation

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Line = dict[str, Any]

_TOPICS = ("garden", "boat", "kitchen", "choir", "bicycle", "harbour", "library", "orchard")
_WORDS = (
    *("quiet", "narrow", "early", "broken", "bright", "heavy", "slow", "narrow", "open", "warm"),
    *("door", "window", "table", "river", "street", "letter", "market", "basket", "lamp", "stone"),
)


def make_folder(folder: Path, *, keys: int = 1) -> Path:
    """Write two sources a class, with texts for so many harvesting keys, and a trace."""
    rng = Random("a folder of our own")
    sources: dict[str, list[Line]] = {
        "human_chats": list(_talks(rng, 24 * keys, "chat")),
        "human_forum": list(_talks(rng, 24 * keys, "forum")),
        "app_labels": list(_labels(rng, 160)),
        "app_digest": list(_digests(rng, 160)),
        "harvest_tasks": [_asked(q.text, 1600) for q in texts_harvest.self_instruct(rng, 260)],
        "harvest_sums": [_asked(q.text, 1400) for q in texts_harvest.reasoning(rng, 260)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in sources.items():
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    _trace(rng, folder / "traces")
    return folder


def _asked(prompt: str, chars: int) -> Line:
    return {"prompt": prompt, "output_len": chars}


def _talks(rng: Random, count: int, name: str) -> Iterable[Line]:
    for number in range(count):
        for turn, text in enumerate(conversation(rng)):
            told = f"{text} ({name} {number}.{turn})"
            yield {**_asked(told, rng.randint(100, 900)), "conv": f"{name}{number}", "turn": turn}


def _labels(rng: Random, count: int) -> Iterable[Line]:
    for stream in ("mood", "topic"):
        for _ in range(count):
            text = f"Which label fits this {stream}: {_sentence(rng)} {rng.choice(_TOPICS)}?"
            yield {**_asked(text, 6), "stream": stream}


def _digests(rng: Random, count: int) -> Iterable[Line]:
    for _ in range(count):
        pages = " ".join(_sentence(rng) for _ in range(20))
        yield _asked(f"Sum up in a sentence what follows.\n{pages}", 90)


def _sentence(rng: Random) -> str:
    return " ".join(rng.choices(_WORDS, k=9))


def _trace(rng: Random, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / "own.csv.gz", "wt", encoding="utf-8") as file:
        file.write("timestamp,prompt_tokens,output_tokens,session\n")
        for session in range(3):
            at = 0.0
            for _ in range(60):
                at += rng.expovariate(1 / 40.0)
                file.write(f"{at:.3f},10,10,s{session}\n")
