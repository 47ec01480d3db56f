"""What the ledger costs while it is written: processor, disk, and other people's patience."""

from __future__ import annotations

from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING, Final, cast

from gateway_guard.bench.children import child
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.ledger_report import Waited, Written
from gateway_guard.bench.ledger_scene import BEGIN, key_of
from gateway_guard.bench.ledger_texts import Composer
from gateway_guard.bench.server import LONG_ANSWERS, WITH_LEDGER, serving
from gateway_guard.bench.throughput import Amount, take_turns
from gateway_guard.bench.traffic import CALLERS
from gateway_guard.instrumentation import Instrumentation
from gateway_guard.ledger.maintenance import Limits
from gateway_guard.ledger.served import Served
from gateway_guard.ledger.writer import LedgerWriter, Options

if TYPE_CHECKING:
    from gateway_guard.bench.children import Say

_OPTIONS: Final = Options(
    run=24,
    answer_bytes=4096,
    queue_chars=1 << 32,
    flush_seconds=30.0,
    limits=Limits(400 * 86_400.0, 1 << 40),
)
_KEYS: Final = 500
_PERCENT: Final = 100
_WARM: Final = 512


def measure_writing(answers: int) -> Written:
    """Hand answers of 2 KB over to a writer, in a process of its own."""
    with child(say_written, answers) as process:
        return cast("Written", process.heard())


def say_written(say: Say, answers: int) -> None:
    """Write in this process."""
    composer = Composer(0, answers // 20)
    texts = [composer.text(answer) for answer in composer.fresh(answers + _WARM)]
    served = [_served(text, at) for at, text in enumerate(texts)]
    with TemporaryDirectory(prefix="gateway-guard-") as place:
        _write(Path(place) / "warm", served[:_WARM])
        begun = process_time()
        _write(Path(place) / "ledger", served[_WARM:])
        spent = process_time() - begun
        size = sum(
            path.stat().st_size for path in (Path(place) / "ledger").rglob("*") if path.is_file()
        )
    chars = sum(map(len, texts)) / len(texts)
    say(Written(1e6 * spent / answers, size / answers, chars))


def _write(directory: Path, served: list[Served]) -> None:
    instruments = Instrumentation()
    writer = LedgerWriter(directory, b"k" * 32, _OPTIONS, instruments)
    for one in served:
        writer.offer(one)
    writer.close()
    if writer.written != len(served):
        message = f"{writer.written} of {len(served)} answers were written"
        raise MeasurementError(message)


def _served(text: str, number: int) -> Served:
    at = BEGIN + number / 100
    name = number.to_bytes(8) * 2
    who = key_of(number * 7919 % _KEYS)
    return Served(text, at, who, None, None, None, "model-1", "openai_chat", name)


async def measure_waiting(*, rounds: int, requests: int, known: int) -> Waited:
    """Put load on the same guarded application with and without a ledger, in turn."""
    amounts = {name: Amount(known * CALLERS, requests) for name in (LONG_ANSWERS, WITH_LEDGER)}
    with (
        TemporaryDirectory(prefix="gateway-guard-") as place,
        serving(LONG_ANSWERS, WITH_LEDGER, upstream=place) as ports,
    ):
        loads = await take_turns(ports, amounts, rounds=rounds)
    slow = {
        name: [1e3 * quantiles(one.latencies_seconds, n=_PERCENT)[-1] for one in found]
        for name, found in loads.items()
    }
    pairs = zip(slow[WITH_LEDGER], slow[LONG_ANSWERS], strict=True)
    return Waited(
        guard_ms=median(slow[LONG_ANSWERS]),
        ledger_ms=median(slow[WITH_LEDGER]),
        ratio=median(one / other for one, other in pairs),
    )
