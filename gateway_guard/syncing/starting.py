"""Starting: what a process knows of a store before its first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.instrumentation import Contained
from gateway_guard.stores.link import Link
from gateway_guard.syncing.syncer import Syncer

if TYPE_CHECKING:
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.memory import Memory
    from gateway_guard.stores.base import Store
    from gateway_guard.timeline import Timeline


def start_syncer(
    memory: Memory, store: Store, timeline: Timeline, instruments: Instrumentation
) -> Syncer:
    """Return what talks to a store, with the standings that it keeps taken over."""
    link = Link(store, instruments, lambda: timeline.now().steady)
    syncer = Syncer(memory, link, timeline, instruments)
    with Contained(instruments):
        syncer.begin()
    return syncer
