"""Filler text for answers: plain words without end, cut to length at no cost."""

from __future__ import annotations

from random import Random
from typing import Final

ENGLISH: Final = (
    "the a this that one each most some when where while because although so then also often "
    "rarely usually first second last small large early late clear simple common useful likely "
    "careful gentle local steady answer example reason step part point case detail result change "
    "order place time way side group number system method pattern question value rule list table "
    "source market garden river city kitchen teacher is was can may should would gives takes "
    "makes keeps shows needs means follows begins ends works helps of to in on with for from by "
    "at over under between after before without through about into per"
)
CHINESE: Final = (
    "我们 可以 首先 其次 最后 因为 所以 如果 但是 通常 这个 那个 问题 方法 例子 结果 时间 "
    "地方 需要 注意 建议 选择 简单 重要 清楚 一般 情况 部分 步骤 原因 变化 学习 工作 生活 "
    "城市 家庭 朋友 老师 孩子 健康 的 了 是 在 和 对 与 从"
)
LENGTH: Final = 1 << 18
WORDS_PER_SENTENCE: Final = (6, 18)


class Prose:
    """A long filler text in each of two languages, made once from a seed."""

    def __init__(self, seed: int) -> None:
        rng = Random(f"prose:{seed}")
        self._english = _write(rng, ENGLISH.split(), " ", ". ")
        self._chinese = _write(rng, CHINESE.split(), "", "。")

    def cut(self, rng: Random, length: int, *, chinese: bool = False) -> str:
        """Return ``length`` characters that begin somewhere in the text."""
        text = self._chinese if chinese else self._english
        start = rng.randrange(LENGTH)
        copies = (start + length) // len(text) + 1
        return (text * copies if copies > 1 else text)[start : start + length].strip() or "1"


def looks_chinese(text: str) -> bool:
    """Tell whether the beginning of a text is written in Chinese characters."""
    head = text[:200]
    return sum("\u4e00" <= letter <= "\u9fff" for letter in head) * 4 > len(head)


def _write(rng: Random, words: list[str], space: str, stop: str) -> str:
    sentences: list[str] = []
    length = 0
    while length < LENGTH:
        count = rng.randint(*WORDS_PER_SENTENCE)
        sentences.append(space.join(rng.choices(words, k=count)).capitalize() + stop)
        length += len(sentences[-1])
    return "".join(sentences)
