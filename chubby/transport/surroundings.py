"""What all links of one mesh share, handed to each: loop, judgement, figures, hooks, and the ledger they write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from chubby.transport.doorkeeper import Doorkeeper
from chubby.transport.greetings import Hello
from chubby.transport.settings import Limits, Timing, Tls
from chubby.transport.statistics import Ledger, PeerLedger
from chubby.types.identity import CellId, ReplicaId
from chubby.types.time import Duration, Instant, to_seconds

if TYPE_CHECKING:
    from chubby.transport.links import Link

T = TypeVar("T")

Authenticate = Callable[[asyncio.Transport, Hello], bool]
"""Does this connection (its certificate, its socket) prove that the sender of the Hello is who it says it is?"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Shared by the links of one mesh. `links` are those with a live connection, `tasks` those not finished."""

    loop: asyncio.AbstractEventLoop
    doorkeeper: Doorkeeper
    limits: Limits
    timing: Timing
    tls: Tls | None
    authenticate: Authenticate
    on_cell_learned: Callable[[CellId], None]
    clock: Callable[[], Instant]
    ledger: Ledger = field(default_factory=Ledger)
    peers: dict[ReplicaId, PeerLedger] = field(default_factory=dict)
    links: set[Link] = field(default_factory=set)
    tasks: set[asyncio.Task[object]] = field(default_factory=set)

    def later(self, delay: Duration, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after `delay`."""
        return self.loop.call_later(to_seconds(delay), callback)

    def spawn(self, work: Coroutine[None, None, T], name: str) -> asyncio.Task[T]:
        """Run `work` as a task that is known to `stop`, and whose failure is told to the loop's exception handler."""
        task = self.loop.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[object]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.loop.call_exception_handler({"message": f"{task.get_name()} failed", "exception": error, "task": task})
