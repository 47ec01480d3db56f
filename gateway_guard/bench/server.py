"""Contestants and proxies behind uvicorn, each in a process of its own."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGTERM, signal
from typing import TYPE_CHECKING, Final, cast

from pydantic import SecretStr

from gateway_guard.bench.apps import answer_at_once, answer_known, answer_long, chat_app
from gateway_guard.bench.children import child
from gateway_guard.bench.contestants import CONTESTANTS, Contestant, check, guarded
from gateway_guard.bench.plain_proxy import plain_proxy
from gateway_guard.proxy import create_proxy
from gateway_guard.proxy.server import Listen, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.bench.children import Say

HOST: Final = "127.0.0.1"
UPSTREAM: Final = "upstream"
PLAIN_PROXY: Final = "plain-proxy"
GUARDED_PROXY: Final = "guarded-proxy"
PARSING: Final = "parsing"
GUARDED_PARSING: Final = "guarded-parsing"
LONG_ANSWERS: Final = "guard-with-long-answers"
WITH_LEDGER: Final = "guard-with-ledger"
WITH_STORE: Final = "guard-with-store"
_OFTEN_SECONDS: Final = 3.0


def served(name: str, upstream: str = "") -> Contestant:
    """Return what is served under a name; the proxies forward to ``upstream``, a URL.

    For the guard with a ledger it is the directory, for the one with a store that one's.
    """
    if name in {UPSTREAM, PLAIN_PROXY}:
        return Contestant(answer_at_once if name == UPSTREAM else plain_proxy(upstream))
    if name == GUARDED_PROXY:
        return guarded(create_proxy(upstream))
    if name in {PARSING, GUARDED_PARSING}:
        app = chat_app(endpoint=answer_known)
        return Contestant(app) if name == PARSING else guarded(app)
    if name == WITH_STORE:
        return guarded(chat_app(), store=SecretStr(upstream))
    if name in {LONG_ANSWERS, WITH_LEDGER}:
        kept = {"ledger": Path(upstream), "ledger_flush_seconds": _OFTEN_SECONDS}
        return guarded(chat_app(endpoint=answer_long), **(kept if name == WITH_LEDGER else {}))
    return CONTESTANTS[name]()


def serve(say: Say, name: str, upstream: str) -> None:
    """Serve on a free port, which is said, until SIGTERM; then say how the guard has failed."""
    contestant = served(name, upstream)
    if name in {PARSING, GUARDED_PARSING}:
        # Strangers hang up in the middle of what they say, and servers make much of that.
        logging.disable(logging.CRITICAL)
    # Once stopped, uvicorn raises the signal again, for whoever handled it before.
    signal(SIGTERM, lambda *_: None)
    with socket.create_server((HOST, 0), backlog=128) as listening:
        say(listening.getsockname()[1])
        make_server(contestant.app, Listen(drain_seconds=1)).run(sockets=[listening])
    say(contestant.failures())


@contextmanager
def serving(*names: str, upstream: str = "") -> Iterator[dict[str, int]]:
    """Serve each in a process of its own; yield their ports.

    Raises:
        MeasurementError: at the end, if a guard has failed.

    """
    with ExitStack() as stack:
        processes = {name: stack.enter_context(child(serve, name, upstream)) for name in names}
        yield {name: cast("int", process.heard()) for name, process in processes.items()}
        for process in processes.values():
            process.stop()
            check(cast("list[str]", process.heard()))
