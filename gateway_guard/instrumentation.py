"""Hooks: what the guard tells about itself. Counters that exporters read, events for structlog.

Labels are bounded (action, dialect, mode, outcome), never a key; events carry ids, sizes and
reasons, never texts. Instants are ISO 8601 in UTC. ``suppressed`` says how many events of the same
kind about the same thing were left out since the last one: of these there is one a minute.

Events, each dotted below ``gateway_guard``::

    verdict             a subject's action has changed, a penalty began, a throttle went a step on:
                        action, subject, subject_id, key_id, name, score, reasons, offences, clause,
                        until, watched_since, rate_per_minute
    refusal             action, key_id, name, subject, subject_id, score, reasons, clause, until,
                        retry_after_seconds, rate_per_minute, refused_so_far, dialect, route,
                        request_id, suppressed
    shadow_refusal      what MODE=enforce would have refused: as refusal, without the last four but
                        suppressed
    problem             a request that cannot be handled was answered so: code, status, size,
                        key_id, request_id, suppressed
    shadow_problem      the same where MODE=shadow let it pass, without a request_id
    proxy_problem       the proxy itself answered: code, status, error, suppressed
    internal_error      the guard failed: error, place, suppressed
    summary             once a minute in which something happened: seconds, counters (what was
                        counted in that time), gauges, overhead_p50_us, overhead_p99_us
    listening           address
    policy_loaded       entitlements
    policy_rejected     reason, path, line
    entitlement_expired key_id, end_user, organisation, purpose, expired
    store_down          error, hint, suppressed: the store does not do what it is asked
    store_up            after_seconds, suppressed
    unknown_variable    variable, nearest
    secret_not_kept     hint

Counters by name, with their labels::

    requests            dialect
    unparsed            dialect
    exchanges           committed, abandoned, rejected, refused, unauthorised, forbidden
    decisions           action
    refusals            action
    shadow_refusals     action
    verdicts            action
    socket_messages     binary, text, unparsed: those that are not read
    problems            unparsed, websocket, timeout, too_large, unavailable
    shadow_problems     as problems
    proxy_problems      code
    store_failures      the error's kind
    store_parts         pushed, read, dropped
    errors              the error's type
    ledger              taken, dropped: texts of answers, dropped where too much waits

Gauges: subjects, waiting, unverified, standings, buffered_bytes, policy_stale, policy_rejected,
store_up, store_writers and store_held_seconds; with a ledger also ledger_waiting_chars,
ledger_written and ledger_lost, the last two in texts.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import numpy as np
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import TracebackType

OVERHEADS_KEPT = 8192
"""The newest overheads are kept, one a request."""

SELDOM_SECONDS = 60.0
"""What happens again and again is logged once in this time."""

SELDOM_KEPT = 4096
"""So many things that happen again and again are told apart."""

_log = structlog.get_logger("gateway_guard")
_LATEST_INSTANT = 253_402_300_799  # the end of the year 9999, as far as dates go


def utc(at: float | None) -> str | None:
    """Return a wall-clock instant as ISO 8601 in UTC, to the second; ``None`` where there is none.

    What the calendar does not know of is the nearest instant that it does.
    """
    if at is None:
        return None
    at = min(max(0, int(at)), _LATEST_INSTANT)
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


class Instrumentation:
    """Counters by name and label, gauges by name, and the guard's own newest overheads in seconds.

    Names stand without the ``gateway_guard_`` prefix and the ``_total`` suffix that exporters add.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """Begin at zero; ``timer`` gives monotonic seconds."""
        self._timer = timer
        self._logged: OrderedDict[tuple[str, Hashable], tuple[float, int]] = OrderedDict()
        self._summed: Counter[tuple[str, str]] = Counter()
        self._summed_at = timer()
        self.counters: Counter[tuple[str, str]] = Counter()
        self.gauges: dict[str, float] = {}
        self.overhead_seconds: deque[float] = deque(maxlen=OVERHEADS_KEPT)

    def count(self, name: str, label: str = "", events: int = 1) -> None:
        """Count an event, or several."""
        self.counters[name, label] += events

    def event(self, name: str, /, **fields: object) -> None:
        """Log one event, dotted below ``gateway_guard``."""
        self._write("info", name, fields)

    def seldom(self, level: str, name: str, about: Hashable, /, **fields: object) -> None:
        """Log the first event about something, then at most one a minute with ``suppressed=n``."""
        at, left_out = self._logged.get((name, about), (-SELDOM_SECONDS, 0))
        now = self._timer()
        if (name, about) in self._logged and now - at < SELDOM_SECONDS:
            self._logged[name, about] = at, left_out + 1
            return
        self._logged[name, about] = now, 0
        # The policy is read in a thread, and what goes wrong there is told of from there.
        with suppress(KeyError):
            self._logged.move_to_end((name, about))
            if len(self._logged) > SELDOM_KEPT:
                self._logged.popitem(last=False)
        shown = {**fields, "suppressed": left_out} if left_out else fields
        if level == "info":
            self.event(name, **shown)
        else:
            self._write(level, name, shown)

    def failed(self, error: BaseException, traceback: TracebackType | None) -> None:
        """Count and log that the guard itself failed: what error and where, never its text.

        An error's text may quote what was being read.
        """
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = ""
        if traceback is not None:
            place = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
        kind = type(error).__name__
        self.count("errors", kind)
        self.seldom("error", "internal_error", (kind, place), error=kind, place=place)

    def summarise(self) -> None:
        """Log what was counted since the last time, unless that is nothing, and how things are."""
        now, counted = self._timer(), Counter(self.counters)
        new = {
            f"{name}.{label}" if label else name: number - self._summed[name, label]
            for (name, label), number in counted.items()
            if number > self._summed[name, label]
        }
        seconds, self._summed, self._summed_at = now - self._summed_at, counted, now
        if not new:
            return
        fields: dict[str, object] = {"seconds": round(seconds), "counters": new}
        if self.overhead_seconds:
            spent = 1e6 * np.array(self.overhead_seconds)
            middle, high = np.percentile(spent, (50, 99)).round(1).tolist()
            fields |= {"overhead_p50_us": middle, "overhead_p99_us": high}
        self.event("summary", **fields, gauges=dict(self.gauges))

    def _write(self, level: str, name: str, fields: dict[str, object]) -> None:
        # Where logs go is the host's business, and so is what breaks there.
        with suppress(Exception):
            getattr(_log, level)(f"gateway_guard.{name}", **fields)


class Contained:
    """Keeps the guard's own failures from the request: ``with Contained(instruments): ...``."""

    __slots__ = ("_instruments", "failed")

    def __init__(self, instruments: Instrumentation) -> None:
        """Report failures to ``instruments``; ``failed`` tells afterwards whether there was one."""
        self._instruments = instruments
        self.failed = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Swallow errors, but neither cancellation nor the interpreter's own exits."""
        if not isinstance(error, Exception):
            return False
        self.failed = True
        self._instruments.failed(error, traceback)
        return True
