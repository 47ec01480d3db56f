"""Models as files: the one that ships, and an operator's own."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.model.corpus import Corpus, parse_corpus
from gateway_guard.model.population import Population, parse_population

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

T = TypeVar("T")

SUFFIX: Final = ".corpus"
POPULATION_FILE: Final = "population.toml"
WEIGHTS_FILE: Final = "weights.toml"
_HINT: Final = (
    "GATEWAY_GUARD_MODEL names a folder and GATEWAY_GUARD_CORPORA files that were made by "
    "`gateway-guard lab`"
)


class Model(msgspec.Struct, frozen=True):
    """What is known of the world before any traffic was seen; nothing of it is secret.

    Attributes:
        seed: of all its hashes.
        population: what people ask.
        corpora: public pools of questions.
        weights: those that were fitted with it, as TOML; ``None`` for those that ship.

    """

    seed: int
    population: Population
    corpora: tuple[Corpus, ...] = ()
    weights: bytes | None = None


def load_model(folder: Path | Traversable) -> Model:
    """Read a model from a folder: its population, and what else there is.

    Raises:
        ConfigurationError: something is missing, damaged, or does not belong together.

    """
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error.strerror or str(error)) from None
    by_name = {entry.name: entry for entry in entries}
    if POPULATION_FILE not in by_name:
        raise _unreadable(folder, f"there is no {POPULATION_FILE} in it")
    population = _read(by_name[POPULATION_FILE], parse_population)
    weights = by_name.get(WEIGHTS_FILE)
    model = Model(
        seed=population.seed,
        population=population,
        weights=None if weights is None else _read(weights, bytes),
    )
    return with_corpora(model, [entry for entry in entries if entry.name.endswith(SUFFIX)])


def with_corpora(model: Model, paths: Sequence[Path | Traversable]) -> Model:
    """Return a model with further corpora; of two of the same name the later one counts.

    Raises:
        ConfigurationError: a file is no corpus, or its hashes have another seed than the model's.

    """
    corpora = {corpus.pool.name: corpus for corpus in model.corpora}
    for path in paths:
        corpus = _read(path, parse_corpus)
        if corpus.seed != model.seed:
            reason = f"its seed is {corpus.seed}, that of the model {model.seed}"
            hint = f"build it with --model-seed {model.seed}"
            raise _unreadable(path, reason, hint)
        corpora[corpus.pool.name] = corpus
    return msgspec.structs.replace(model, corpora=tuple(corpora.values()))


def configured_model(folder: Path | None, corpora: Sequence[Path]) -> Model:
    """Return the model of a folder, without one that which ships, with further corpora.

    Raises:
        ConfigurationError: as above.

    """
    return with_corpora(SHIPPED if folder is None else load_model(folder), corpora)


def without(model: Model, names: Iterable[str]) -> Model:
    """Return a model that lacks some corpora."""
    left_out = frozenset(names)
    kept = tuple(corpus for corpus in model.corpora if corpus.pool.name not in left_out)
    return msgspec.structs.replace(model, corpora=kept)


def _read(path: Path | Traversable, parse: Callable[[bytes], T]) -> T:
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    except ValueError as error:
        raise _unreadable(path, str(error)) from None


def _unreadable(path: Path | Traversable, reason: str, hint: str = "") -> ConfigurationError:
    message = f"{path} cannot be used: {reason}"
    return ConfigurationError(message, hint=hint or _HINT, path=str(path))


SHIPPED: Final = load_model(files(__package__).joinpath("shipped"))
"""The model that comes with the package."""
