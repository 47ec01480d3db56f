"""A model for one deployment: the pools that ship, made again from a folder's texts and a seed.

The seed that ships is published, so anybody can find out which windows of a text its filters look
at. A deployment with a seed of its own cannot be asked beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.lab.corpus import build_corpus
from gateway_guard.lab.models import pools_of
from gateway_guard.model import SHIPPED, SUFFIX, Model, dump_corpus, with_corpora
from gateway_guard.model.files import WEIGHTS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway_guard.corpora import Source
    from gateway_guard.lab.material import Material
    from gateway_guard.model import Corpus


def seeded_model(material: Material, seed: int, folder: Path, ships: Model = SHIPPED) -> Model:
    """Return a model with hashes of its own.

    It has the corpora that lie in ``folder`` already, and each pool of the one that ``ships`` of
    which the material holds a source, as far as it has no corpus of that name.

    Raises:
        ConfigurationError: a corpus in the folder cannot be used, or has another seed.

    """
    there = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    own = with_corpora(Model(seed), there)
    known = {corpus.pool.name for corpus in own.corpora}
    pooled = {id(source): pools_of(source, ships) for source in material.sources}
    made = []
    for corpus in ships.corpora:
        name = corpus.pool.name
        inside = [source for source in material.sources if name in pooled[id(source)]]
        if inside and name not in known:
            made.append(_again(corpus, inside, material, seed))
    return msgspec.structs.replace(own, corpora=(*own.corpora, *made))


def _again(shipped: Corpus, inside: Sequence[Source], material: Material, seed: int) -> Corpus:
    """Return a pool's corpus of a folder's texts; wording of other kinds of text is not its own."""
    kinds = {source.text_class for source in inside}
    others = [
        source
        for source in material.sources
        if source not in inside and (source.text_class == "app" or source.text_class not in kinds)
    ]
    keep = shipped.windows_an_item
    return build_corpus(shipped.pool, _prompts(inside), seed, keep=keep, elsewhere=_prompts(others))


def _prompts(sources: Sequence[Source]) -> Iterator[str]:
    return (row.prompt for source in sources for row in source.rows)


def write_model(folder: Path, model: Model, weights: str) -> None:
    """Write a model and the weights that were fitted with it, for ``GATEWAY_GUARD_MODEL``.

    Raises:
        ConfigurationError: the folder cannot be written.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for corpus in model.corpora:
            (folder / f"{corpus.pool.name}{SUFFIX}").write_bytes(dump_corpus(corpus))
        (folder / WEIGHTS_FILE).write_text(weights, encoding="utf-8")
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}"
        hint = "with --model-seed, --out names a folder"
        raise ConfigurationError(message, hint=hint, path=str(folder)) from None
