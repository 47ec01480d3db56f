"""The commands that build parts of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.corpora import read_folder
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.lab.corpus import build_corpus, read_items
from gateway_guard.lab.population import fit_population
from gateway_guard.model import SHIPPED, Pool, dump_corpus, dump_population

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def write_corpus(options: argparse.Namespace) -> None:
    """Build a corpus as the command line says, and tell how large it has become."""
    pool = Pool(options.name, options.kind, options.licence)
    items = read_items(options.paths, options.field)
    elsewhere = read_items(options.without, options.field)
    corpus = build_corpus(pool, items, _seed(options), keep=options.windows, elsewhere=elsewhere)
    data = dump_corpus(corpus)
    _write(options.out, data)
    print(f"{options.out}: {corpus.items} items, {len(data)} bytes, seed {corpus.seed}")


def write_population(options: argparse.Namespace) -> None:
    """Fit a population as the command line says, and tell on what."""
    population = fit_population(read_folder(options.corpora), _seed(options))
    _write(options.out, dump_population(population).encode())
    sources = ", ".join(population.sources)
    print(f"{options.out}: {population.texts} texts of {sources}, seed {population.seed}")


def _seed(options: argparse.Namespace) -> int:
    return SHIPPED.seed if options.model_seed is None else int(options.model_seed)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise ConfigurationError(message, hint="--out names a file", path=str(path)) from None
