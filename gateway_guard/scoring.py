"""Evidence -> Score: calibrated log-odds, with each signal's share of it.

``logit = bias + sum(weight * value)``. Weights ship as versioned package data; their signs are
known, so no evidence ever speaks for a subject, and silence is no evidence.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.signals import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.model import Model


PACING = "pacing"
_SPEAKS_FROM = 0.3  # a family counts when one of its signals says at least this much
_LEAST_SHARE = 0.5  # in logits: what weighs next to nothing corroborates nothing either
_TWO_FAMILIES = "extraction_phrase"


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each signal weighs, and how unlikely a violation is before anything was seen.

    ``fitted`` is the table of what they were fitted on.
    """

    version: int
    bias: float
    weights: dict[str, float]
    fitted: dict[str, Any] = {}


class Score(msgspec.Struct, frozen=True, gc=False):
    """A violation score: log-odds, and what they are made of, the largest share first.

    ``families`` are those that speak, pacing left out; ``corroborated`` says that two agree.
    """

    logit: float
    shares: tuple[tuple[Evidence, float], ...]
    families: frozenset[str]
    corroborated: bool
    exchanges: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return a line for each signal that carries the score."""
        return tuple(
            f"{evidence.signal}={evidence.value:.2f} (+{share:.2f}): {evidence.detail}"
            for evidence, share in self.shares
            if share > 0
        )


def load_weights(data: bytes) -> Weights:
    """Read weights from TOML.

    Raises:
        msgspec.ValidationError: a field is missing, unknown or of the wrong type.

    """
    return msgspec.convert(tomllib.loads(data.decode()), Weights)


SHIPPED = load_weights(resources.files("gateway_guard").joinpath("weights.toml").read_bytes())


def weights_of(model: Model) -> Weights:
    """Return the weights that were fitted with a model, without any those that ship.

    Raises:
        ConfigurationError: they are no weights.

    """
    if model.weights is None:
        return SHIPPED
    try:
        return load_weights(model.weights)
    except ValueError as error:
        message = f"the weights of GATEWAY_GUARD_MODEL cannot be used: {error}"
        hint = "make them with `gateway-guard lab calibrate`, or leave the file out"
        raise ConfigurationError(message, hint=hint) from None


def score(evidence: Iterable[Evidence], exchanges: float, weights: Weights = SHIPPED) -> Score:
    """Weigh what the signals said; a signal without a weight says nothing."""
    shares = [(item, weights.weights.get(item.signal, 0.0) * item.value) for item in evidence]
    shares.sort(key=lambda share: -share[1])
    speaking = [
        item for item, share in shares if share >= _LEAST_SHARE and item.value >= _SPEAKS_FROM
    ]
    families = frozenset(item.family for item in speaking) - {PACING}
    published = any(item.signal == _TWO_FAMILIES for item in speaking)
    return Score(
        logit=weights.bias + sum(share for _, share in shares),
        shares=tuple(shares),
        families=families,
        corroborated=len(families) > 1 or published,
        exchanges=exchanges,
    )
