"""What each signal says of a subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.signals import SIGNALS, View
from tests.peopled import PEOPLE

if TYPE_CHECKING:
    from gateway_guard.subjects import Subject
    from tests.driving import Driver

SPEAKS = 0.3
"""From here on a signal counts as a voice of its family."""

BY_NAME = {signal.__name__: signal for signal in SIGNALS}


def said(driver: Driver, subject: Subject, *, aged: bool = True) -> dict[str, float]:
    """Return what each signal says of a subject, the louder of both slices; silence is 0."""
    reading = driver.reading(subject)
    voices = dict.fromkeys(BY_NAME, 0.0)
    for sums in (reading.fast, reading.slow):
        view = View(subject.kind, sums, reading, aged=aged, minimum=8, population=PEOPLE.population)
        for name, signal in BY_NAME.items():
            evidence = signal(view)
            if evidence is not None:
                assert 0.0 <= evidence.value <= 1.0
                assert evidence.detail
                voices[name] = max(voices[name], evidence.value)
    return voices
