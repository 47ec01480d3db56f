"""Fuzz one target in this process, guided by the coverage of the package, until time is up."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway_guard"]):
    from tests.fuzz.findings import Findings, Watch
    from tests.fuzz.mutations import Mutator, dictionary
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import targets

_MOST_INPUT_BYTES = 4096
_MOST_MEMORY_MIB = 6144
"""Tracing takes memory of its own, more with every minute; what an input takes is watched apart."""
_PATIENCE_SECONDS = 120
"""On a busy machine: how long an input takes is measured in time of the processor."""


def main() -> None:
    """Fuzz the target that is named first for as many seconds as are named second."""
    name, seconds, home = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    corpus = home / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number:02}").write_bytes(seed)
    (home / "words").write_text(dictionary(), encoding="ascii")
    watch, findings, mutator = Watch(targets()[name]()), Findings(home / "findings"), Mutator()

    def test(data: bytes) -> None:
        try:
            watch.run(data)
        except Exception as error:  # noqa: BLE001
            findings.note(error, data)

    def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
        mutated = mutator.mutate(data, most_bytes, seed) if seed % 2 else None
        return mutated or bytes(atheris.Mutate(data, most_bytes))

    options = {
        "max_total_time": int(seconds),
        "max_len": _MOST_INPUT_BYTES,
        "rss_limit_mb": _MOST_MEMORY_MIB,
        "timeout": _PATIENCE_SECONDS,
        "artifact_prefix": f"{home}/died-on-",
        "dict": home / "words",
        "print_final_stats": 1,
    }
    given = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *given, str(corpus)], test, custom_mutator=mutate)
    atheris.Fuzz()


main()
