"""The commands that build parts of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.lab.calibration import calibrate
from gateway_guard.lab.corpus import build_corpus, read_items
from gateway_guard.lab.seeding import seeded_model, write_model
from gateway_guard.model import SHIPPED, Pool, dump_corpus

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from gateway_guard.lab.evaluation import Setting


def write_corpus(options: argparse.Namespace) -> None:
    """Build a corpus as the command line says, and tell how large it has become."""
    pool = Pool(options.name, options.kind, options.licence)
    items = read_items(options.paths, options.field)
    elsewhere = read_items(options.without, options.field)
    corpus = build_corpus(pool, items, _seed(options), keep=options.windows, elsewhere=elsewhere)
    data = dump_corpus(corpus)
    _write(options.out, data)
    print(f"{options.out}: {corpus.items} items, {len(data)} bytes, seed {corpus.seed}")


def make_model(setting: Setting, seed: int, folder: Path | None, jobs: int | None = None) -> None:
    """Make the model of one deployment and fit weights with it, and tell what is in it.

    Raises:
        ConfigurationError: no folder is named for it, or it cannot be used.

    """
    if folder is None:
        message = "--model-seed makes several files"
        raise ConfigurationError(message, hint="name a folder for them with --out")
    model = seeded_model(setting.material, seed, folder)
    write_model(folder, model, calibrate(setting._replace(model=model), jobs))
    inside = {corpus.pool.name: corpus.items for corpus in model.corpora}
    for name, items in inside.items():
        print(f"{name}: {items} items")
    for corpus in SHIPPED.corpora:
        if corpus.pool.name not in inside:
            print(f"{corpus.pool.name}: left out, no source of the folder is in it")
    print(f"{folder}: a model with the seed {seed}, for GATEWAY_GUARD_MODEL")


def _seed(options: argparse.Namespace) -> int:
    return SHIPPED.seed if options.model_seed is None else int(options.model_seed)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise ConfigurationError(message, hint="--out names a file", path=str(path)) from None
