"""Cold: a guard mounted today before a coding agent of 2,000 organisations and all programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.demo import texts_agent as texts
from gateway_guard.demo.lexicon import fill
from gateway_guard.exchange import Answer, Exchange, Sampling, Turn, text_digest
from gateway_guard.lab.asks import MODEL, Ask
from gateway_guard.lab.casting import programs
from gateway_guard.lab.lives import Life
from gateway_guard.lab.scenarios import figures
from gateway_guard.lab.scenarios.run import DAY, Run, cut
from gateway_guard.lab.stage import DIGEST_KEY, caller

if TYPE_CHECKING:
    from random import Random

    from gateway_guard.lab.laws import Laws
    from gateway_guard.lab.scenarios.setup import Report, Setup
    from gateway_guard.lab.stage import Caller, Process, Stage

_STEPS: Final = (3, 4)
_PROGRAM_REQUESTS: Final = 60
_SAMPLING: Final = Sampling(max_tokens=8192)
_SAID: Final = "I look at {path} first, since {symbol} is where it begins."
_PAUSE_SECONDS: Final = (0.3, 6.0)


def cold(setup: Setup) -> Report:
    """Let everybody come on the guard's first day, under the warm-up that is shipped."""
    run = Run(setup, [], "cold", warmup=7 * DAY)
    for number in range(setup.size(2000, 300)):
        life = Life("app", "coding_agent", f"organisation {number}")
        who = caller(life, client="agent", organisation=life.name)
        run.stage.join(who)
        rng = setup.rng("agent", number)
        run.stage.enter(rng.uniform(0.0, DAY), task(run.stage, who, setup.laws, rng))
    parts = programs(setup.material, setup.seed)
    run.rng.shuffle(parts)
    for part in parts[: setup.size(len(parts), 40)]:
        run.weigh_apart(f"{part.text_class}_{part.source}")
        run.composer.enter(cut(part, setup.size(_PROGRAM_REQUESTS, 20)), run.rng.uniform(0.0, DAY))
    run.stage.play()
    report = figures.of_run(run, 0)
    met = not report["innocent_refused"]
    return figures.total("none refused", {"cold": report}, met=met)


def task(stage: Stage, who: Caller, laws: Laws, rng: Random) -> Process:
    """Work on a task with tools: each request carries all that came before it."""
    turns: tuple[Turn, ...] = (Turn("system", texts.SYSTEM), Turn("user", texts.task(rng)))
    for number in range(rng.randint(*_STEPS)):
        said = fill(rng, _SAID, texts.WORDS)
        call = f"call_{rng.getrandbits(64):016x}_{number}"
        ask = step(laws, rng, turns, said)
        served = yield from stage.exchange(who, ask)
        if not served:
            return
        answered = Turn("assistant", said, call_ids=(call,))
        turns = (*turns, answered, Turn("tool", texts.result(rng)))
        yield rng.uniform(*_PAUSE_SECONDS)


def step(laws: Laws, rng: Random, turns: tuple[Turn, ...], said: str) -> Ask:
    """Return one request of an agent, and the answer that calls a tool."""
    exchange = Exchange(
        dialect="anthropic_messages",
        model=MODEL,
        turns=turns,
        sampling=_SAMPLING,
        stream=True,
        tool_definitions=len(texts.TOOLS),
        body_bytes=sum([len(turn.text) for turn in turns]),
    )
    answer = Answer(
        output_chars=len(said),
        tool_calls=1,
        finish="tool_use",
        digests=(text_digest(said, DIGEST_KEY),),
    )
    return Ask(exchange, answer, said, laws.seconds(rng, len(said)), harvest=False)
