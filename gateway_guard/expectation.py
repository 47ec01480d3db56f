"""What is expected of answers that are still to come, or that will never be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard import measures
from gateway_guard.exchange import Answer
from gateway_guard.features.types import Cue

if TYPE_CHECKING:
    from gateway_guard.contribution import Contribution

_BOLD = frozenset({Cue.SYNTHESIS, Cue.EXTRACTION})
_NEAR_THE_CEILING = 0.5
_MOST_EXPECTED_CHARS = 4096
_ASSUMED_CHARS = 1024


def expecting(item: Contribution) -> Contribution:
    """Return a pending contribution as if the answer that its budget is made for had come.

    Where nothing of a subject's answers is known yet, hundreds of requests at once would be over
    before the first answer tells what they are. Only wording that asks for training material, and
    budgets near the ceiling, are taken at their word.
    """
    sampling = item.sampling
    budget = sampling.max_tokens or sampling.thinking_tokens
    near = max(measures.ceiling(sampling), measures.thinking(sampling))
    bold = near >= _NEAR_THE_CEILING or any(hit.family in _BOLD for hit in item.features.hits)
    if item.answer is not None or item.tools or not item.single or not budget or not bold:
        return item
    answer = Answer(output_chars=min(budget, _MOST_EXPECTED_CHARS))
    return msgspec.structs.replace(item, answer=answer, measured=None)


def assuming(item: Contribution) -> Contribution:
    """Return a deferred contribution with the answer that it seems to be made for.

    A large budget alone is no sign, as many set one for answers of a word: it is one for thinking,
    or with wording that asks for reasoning. What shows no sign is taken for a short answer.
    """
    sampling, families = item.sampling, {hit.family for hit in item.features.hits}
    near = measures.ceiling(sampling) >= _NEAR_THE_CEILING and families
    thinks = measures.thinking(sampling) >= _NEAR_THE_CEILING and sampling.thinking_tokens
    chars = 0
    if item.single and not item.tools and (families & _BOLD or near or thinks):
        budget = sampling.max_tokens or sampling.thinking_tokens or _ASSUMED_CHARS
        chars = min(budget, _MOST_EXPECTED_CHARS)
    return msgspec.structs.replace(item, answer=Answer(output_chars=chars), measured=None)
