"""From settings to a working guard: each option is given to the part that acts on it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from cachetools import TTLCache

from gateway_guard.actions import Action
from gateway_guard.assessment import Assessment
from gateway_guard.background import Background
from gateway_guard.buffers import BufferBudget
from gateway_guard.deadlines import Deadlines
from gateway_guard.dialects import dialect_for
from gateway_guard.enforcement import Pacing
from gateway_guard.engine import Engine
from gateway_guard.instrumentation import Contained, Instrumentation
from gateway_guard.memory import Memory, derived
from gateway_guard.model import SHIPPED, Model, configured_model
from gateway_guard.policy import PolicyFile
from gateway_guard.powers import Rules
from gateway_guard.principal import PrincipalReader
from gateway_guard.scoring import weights_of
from gateway_guard.settings import deployment_secret, first_started_at, previous_secret
from gateway_guard.stores import is_shared, store_of
from gateway_guard.subjects import MINIMUM_SAMPLE
from gateway_guard.syncing import Pulse, start_syncer
from gateway_guard.timeline import Timeline
from gateway_guard.uploads import Uploads
from gateway_guard.verdict import Ladder, jitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from gateway_guard.enforcement import Decision
    from gateway_guard.policy import Policy
    from gateway_guard.principal import Principal
    from gateway_guard.responses import Problem
    from gateway_guard.settings import Settings

THROTTLE_SAMPLE = 12.0
BLOCK_SAMPLE = 40.0
_JITTERED_SAMPLE = 10.0  # exchanges that a jitter of 1.0 moves the smallest samples by
_PART_OF_FILES = 32  # of the memory, for what was read of files for batches
_NETWORKS_KEPT = 4096
_REFUSALS_KEPT_SECONDS = 600.0
_FEW_REFUSALS = 5
_EVENTS_AN_EXCHANGE = 2
_ROUTES = (
    *("/chat/completions", "/messages", "/responses", "/completions", "/embeddings"),
    *(":generateContent", ":streamGenerateContent", "/interactions", "/converse", "/invoke"),
    *("/messages/batches", "/batches", ":batchGenerateContent", "/files"),
    *("/converse-stream", "/invoke-with-response-stream", ":rawPredict", ":streamRawPredict"),
    *("/v1/chat", "/v2/chat", "/api/chat", "/api/generate"),
)
_OK, _REDIRECT, _UNAUTHORIZED = 200, 300, 401


class Starts(NamedTuple):
    """When a deployment's guard first started, and when this process did, wall-clock seconds.

    What is known of keys' ages outlives a process only in a store. ``model`` is what is known of
    the world from the start.
    """

    first_at: float
    this_at: float
    model: Model = SHIPPED


class Guard:
    """The parts of one mounted guard.

    ``clock`` gives wall-clock seconds, ``timer`` monotonic seconds.

    Raises:
        ConfigurationError: a variable or the policy file cannot be used.

    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float], timer: Callable[[], float]
    ) -> None:
        """Configure the parts; nothing runs before the first request."""
        self.settings, self.instruments = settings, Instrumentation(timer)
        self.timeline = Timeline(clock, timer)
        now, secret = self.timeline.now(), deployment_secret(settings)
        self.policy = PolicyFile(settings, now.wall)
        model = configured_model(settings.model, settings.corpora)
        self.engine = build_engine(
            settings,
            secret,
            starts=Starts(first_started_at(settings, now.wall), now.wall, model),
            policy=lambda: self.policy.current,
            instruments=self.instruments,
        )
        store = store_of(settings, clock)
        self.syncer = start_syncer(self.engine.memory, store, self.timeline, self.instruments)
        self.principals = PrincipalReader(settings, secret, previous_secret(settings))
        self.digest_key = derived(secret, b"history")
        self.budget = BufferBudget(
            settings.buffer_memory, settings.buffer_unverified_share, settings.max_body
        )
        files_key, size_bytes = derived(secret, b"files"), settings.memory // _PART_OF_FILES
        self.uploads = Uploads(self.engine, self.timeline, files_key, size_bytes)
        self._refused: TTLCache[bytes, int] = TTLCache(
            _NETWORKS_KEPT, _REFUSALS_KEPT_SECONDS, timer=timer
        )
        self.put_off_seconds = 0.0
        self.deadlines = Deadlines(settings.body_timeout)
        self.pulse = Pulse(self.syncer, self.instruments, self.engine.listeners)
        self.background = Background(
            flush=self._flush,
            refresh=self.refresh_policy,
            every_seconds=settings.policy_check_seconds,
            summarise=self.summarise,
            pulse=self.pulse,
        )

    def contained(self) -> Contained:
        """Return a context that keeps the guard's own failures from the request."""
        return Contained(self.instruments)

    def identify(self, scope: Scope) -> Principal:
        """Return who sends a request, known by what his key was called before the last rotation."""
        principal = self.principals.read(scope)
        if principal.doubled is not None:
            self.instruments.count("doubled", "credentials")
        if principal.former is not None:
            self.policy.adopt(principal.former, principal.key)
        return principal

    def refuse_early(self, principal: Principal, path: str) -> Decision | None:
        """Refuse who is out of favour before anything of the request is read.

        Whom a token names that no upstream has accepted yet is asked about as well, but only
        whether he is blocked: a stranger may have written it, and must not use up his pace.
        """
        now = self.timeline.now()
        decision = self.engine.refuse_early(principal, path, now)
        claimed = principal.claimed
        standing = self.engine.memory.standings.get(claimed) if claimed is not None else None
        if decision is not None or claimed is None or standing is None:
            return decision
        if standing.action != Action.BLOCK:
            return None
        named = msgspec.structs.replace(principal, key=claimed, key_id=claimed.hex())
        return self.engine.refuse_early(named, path, now)

    def answered(self, principal: Principal | None, status: int) -> None:
        """Believe what a token claims once an upstream has accepted it, and as long as it does."""
        if principal is None or principal.token is None:
            return
        if _OK <= status < _REDIRECT:
            self.principals.accept(principal)
        elif status == _UNAUTHORIZED:
            self.principals.forget(principal)

    def broken(self, contained: Contained) -> bool:
        """Tell whether the guard failed and the operator prefers an outage to a gap."""
        return contained.failed and self.settings.fail == "closed"

    def often_refused(self, principal: Principal | None) -> bool:
        """Count a refusal of an unverified caller; tell whether its network had more than a few."""
        if principal is None:
            return False
        count = self._refused.get(principal.network, 0) + 1
        self._refused[principal.network] = count
        return count > _FEW_REFUSALS

    def tell_refusal(self, decision: Decision, path: str, request_id: str | None) -> None:
        """Log a refusal with the reference that the caller was given, if any.

        A path can carry a key, so no more of it is told than what every caller's ends in.
        """
        dialect = dialect_for(path).name
        route = next((end for end in _ROUTES if path.rstrip("/").endswith(end)), None)
        self.engine.tell_refusal(
            decision, "refusal", dialect=dialect, route=route, request_id=request_id
        )

    def tell_problem(
        self, found: Problem, principal: Principal | None, size: int, request_id: str | None
    ) -> None:
        """Count and log a request that cannot be handled; without a reference it was let pass.

        Strangers share one line a minute: who makes keys up must not fill the log.
        """
        with self.contained():
            name = "problem" if request_id is not None else "shadow_problem"
            self.instruments.count(f"{name}s", found.name.lower())
            key_id = principal.key_id if principal is not None else None
            known = principal is not None and self.engine.verified(principal)
            status, code, _ = found.value
            about, fields = (code, key_id if known else None), {"key_id": key_id, "size": size}
            self.instruments.seldom(
                "warning", name, about, code=code, status=status, request_id=request_id, **fields
            )

    def summarise(self) -> None:
        """Log how things are."""
        with self.contained():
            memory, gauges = self.engine.memory, self.instruments.gauges
            gauges["subjects"] = float(len(memory.subjects))
            gauges["waiting"] = float(memory.subjects.waiting)
            gauges["unverified"] = float(memory.subjects.unverified)
            gauges["standings"] = float(len(memory.standings))
            gauges["buffered_bytes"] = float(self.budget.held_bytes)
            gauges["policy_stale"] = float(self.policy.stale)
            gauges["policy_rejected"] = float(self.policy.rejected)
            self.instruments.summarise()

    def _flush(self) -> None:
        """Do what was put off, and note what that takes for each exchange."""
        begun, events = perf_counter(), self.engine.unflushed
        with self.contained():
            self.engine.flush(self.timeline.now())
        if events:
            self.put_off_seconds = (perf_counter() - begun) * _EVENTS_AN_EXCHANGE / events

    def refresh_policy(self) -> None:
        """Look whether the policy file has changed; this reads a disk."""
        with self.contained():
            self.policy.refresh(self.timeline.now().wall)
            self.instruments.gauges["policy_stale"] = float(self.policy.stale)
            self.instruments.gauges["policy_rejected"] = float(self.policy.rejected)


def build_engine(
    settings: Settings,
    secret: bytes,
    *,
    starts: Starts,
    policy: Callable[[], Policy],
    instruments: Instrumentation,
) -> Engine:
    """Build an engine for a guard that started at these instants."""
    rules = Rules(
        assessment=Assessment(
            ladder=ladder(settings, secret),
            minimum=MINIMUM_SAMPLE
            + _JITTERED_SAMPLE * abs(jitter(secret, "minimum", settings.jitter)),
            weights=weights_of(starts.model),
        ),
        pacing=Pacing(
            rates_per_minute=settings.throttle_rates,
            step_exchanges=settings.step_exchanges,
            penalty_seconds=settings.penalty_seconds,
            jitter=settings.jitter,
            secret=derived(secret, b"pacing"),
        ),
        warm_at=starts.first_at + settings.warmup,
        aged_at=starts.this_at + settings.warmup,
        young_seconds=settings.young,
        warmup_seconds=settings.warmup,
        answer_timeout_seconds=settings.answer_timeout,
        read_budget=settings.read_budget,
        shadow=settings.mode == "shadow",
        model=starts.model,
    )
    memory = Memory(settings.memory, secret, shared=is_shared(settings))
    return Engine(rules, memory, secret, policy=policy, instruments=instruments)


def ladder(settings: Settings, secret: bytes) -> Ladder:
    """Return the thresholds and samples of this deployment, moved by its secret jitter."""

    def moved(name: str, value: float, unit: float = 1.0) -> float:
        return value + unit * jitter(secret, name, settings.jitter)

    return Ladder(
        watch=moved("watch", settings.watch_logit),
        throttle=moved("throttle", settings.throttle_logit),
        block=moved("block", settings.block_logit),
        throttle_sample=moved("throttle_sample", THROTTLE_SAMPLE, _JITTERED_SAMPLE),
        block_sample=moved("block_sample", BLOCK_SAMPLE, _JITTERED_SAMPLE),
        step_exchanges=settings.step_exchanges,
        block_first_seconds=settings.block_first,
        block_longest_seconds=settings.block_longest,
        block_jitter=settings.jitter,
        secret=secret,
    )
