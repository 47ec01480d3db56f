"""Read an answer: how much of it stands in the request, and whether it declines to answer.

Requests and answers choose their windows of words alike (bottom-k sampling; Cohen and Kaplan,
2007): of two samples every window below the largest value of the one that is denser must be in
both if it is in both texts. So the share of an answer that was copied is estimated without the
texts. It is a rough estimate of one answer, and a good one of many.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway_guard.exchange import both_ends
from gateway_guard.features.normalise import normalise
from gateway_guard.features.types import Reply
from gateway_guard.features.windows import MOST_SHINGLES, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.features.windows import Hashes, WindowHasher

_END = b"\n"
_READ_CHARS = 640
"""Read of an answer, at both ends together; more windows than these would not be kept."""
_DECLINING_CHARS = 400
"""An answer that declines is shorter; a longer one goes on to say something."""
_APOLOGY = r"(?:(?:i['’]?m|i am) (?:very |really |so )?sorry|sorry|i apologi[sz]e|unfortunately)"
_UNABLE = r"(?:i (?:can['’]?t|can ?not|won['’]?t|will not)|(?:i am|i['’]m) (?:not able|unable) to)"
_VERBS = (
    "help|assist|provide|comply|fulfil+|do|create|write|generate|share|give|support|engage"
    "|continue|discuss|offer|produce|disclose|participate|answer"
)
"""Of what is asked for; whoever cannot *find* something has looked for it."""
_DECLINES = re.compile(
    rf"\W*(?:{_APOLOGY}[,.;]? (?:but )?)?(?:as an ai[^.]{{0,40}}, )?"
    rf"(?:{_UNABLE} (?:\w+ )?(?:{_VERBS})\b|i (?:must|have to) (?:decline|refuse)"
    r"|(?:(?:很|非常)?抱歉|对不起)?[，,]?我(?:无法|不能|不会)(?:提供|协助|帮助|回答|满足|生成|讨论))",
    re.IGNORECASE,
)


def read_reply(text: str, hasher: WindowHasher) -> Reply:
    """Return an answer in numbers, from its two ends."""
    content = normalise(both_ends(text, _READ_CHARS))
    words = hasher.words(PREFIX + content + _END, spaced=content.isascii())
    return Reply(hasher.shingles(words), declines(text))


def declines(text: str) -> bool:
    """Tell whether an answer is short and begins by declining to give one."""
    return len(text) <= _DECLINING_CHARS and _DECLINES.match(text) is not None


def contained(reply: Hashes, sources: Iterable[Hashes]) -> tuple[int, int]:
    """Return how many windows of an answer stand in one of several texts, and of how many.

    Of the texts that one counts which has the largest share of them.
    """
    best = (0, 0)
    mine = reply.tolist()
    for source in sources:
        theirs = source.tolist()
        full = len(theirs) >= MOST_SHINGLES
        comparable = {window for window in mine if not full or window <= theirs[-1]}
        found = len(comparable.intersection(theirs))
        if found * best[1] > best[0] * len(comparable) or not best[1]:
            best = (found, len(comparable))
    return best
