"""A production replica that is a cell of its own, and knows nothing but client streams: the shell around it in short.

What it wants on disk is there at once. Leases are short, so that their ends are cheap; bounds are small, so that a few
dozen frames reach each of them. `check` says that none is passed, whatever clients do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chubby.master.handles import CLOSED_GAPS
from chubby.master.settings import MasterSettings
from chubby.namespace.commands import LeaseCaps, Limits
from chubby.namespace.machine import Genesis, Machine
from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.messages import NO_BALLOT
from chubby.paxos.ready import Recovered
from chubby.replica.replica import Replica
from chubby.replica.settings import ReplicaSettings, Surroundings
from chubby.replica.step import Step
from chubby.types.stream import ClientFrame, ServerFrame
from chubby.types.time import MILLISECOND, SECOND, Duration, Instant

CELL: Final = 77
ME: Final = Member(1, 11, "127.0.0.1:7101", "127.0.0.1:7201")
BOUNDS: Final = MasterSettings(
    replica=1,
    session_lease=SECOND,
    session_lease_maximum=2 * SECOND,
    cache_lease=400 * MILLISECOND,
    cache_lease_maximum=800 * MILLISECOND,
    grace_period=2 * SECOND,
    calls_per_session=16,
    calls_in_total=64,
    openings=8,
    handles_per_session=12,
    watches_per_session=6,
    keys_per_session=24,
    keys_in_total=60,
    events_per_session=16,
    invalidations_per_session=12,
    push_window=2,
    events_per_push=4,
    keys_per_push=4,
)
CAPS: Final = LeaseCaps(SECOND, 400 * MILLISECOND)
LIMITS: Final = Limits(content=4096, nodes=40, children=12, total_bytes=64 * 1024, sessions=10, history=30)
SPINS: Final = 200
"""So many steps follow from one input at most."""


class LoneCell:
    """See the module. `frames` is what each stream was told and nobody took yet; `ended` are the streams that are."""

    def __init__(self) -> None:
        """Formatted, elected, serving."""
        self.now: Instant = 1000 * SECOND
        self.frames: dict[int, list[ServerFrame]] = {}
        self.ended: set[int] = set()
        self.streams = 0
        self._keys = 0
        machine = Machine.genesis(Genesis(CELL, "test", ("root",), LIMITS, CAPS, b"k" * 32, 0))
        configuration = Configuration((ME,))
        recovered = Recovered(NO_BALLOT, 0, 0, 0, configuration, (), 0)
        self.replica = Replica(
            ME,
            CELL,
            recovered,
            machine,
            settings=ReplicaSettings(BOUNDS, (1,), snapshot_log_bytes=16 * 1024),
            surroundings=Surroundings(lambda: self.now // MILLISECOND, lambda: 0.5, self._fresh_key),
            now=self.now,
        )
        self.pump()
        while not self.replica.serving:
            self.pass_time(SECOND)
            assert self.now < 1060 * SECOND, "a cell of one elects itself"

    def _fresh_key(self) -> bytes:
        self._keys += 1
        return self._keys.to_bytes(32, "little")

    # --- inputs --------------------------------------------------------------------------------------------------

    def attach(self, principal: str = "alice") -> int:
        """A client's connection; the number of its stream."""
        self.streams += 1
        self.replica.attach(self.streams, principal, self.now)
        self.pump()
        return self.streams

    def detach(self, stream: int) -> None:
        """The connection breaks."""
        self.replica.detach(stream, self.now)
        self.pump()

    def receive(self, stream: int, frames: Sequence[ClientFrame]) -> None:
        """Frames of one packet. As the shell does, whatever an ended stream still says is passed on."""
        for frame in frames:
            self.replica.receive_frame(stream, frame, self.now)
        self.pump()

    def pass_time(self, duration: Duration) -> None:
        """Let time pass, with every timer rung when it is due."""
        until = self.now + duration
        spins = 0
        while (wake := self.replica.wake_at) <= until:
            spins = spins + 1 if wake <= self.now else 0
            assert spins < SPINS, "it is due again and again without time passing"
            self.now = max(self.now, wake)
            self.replica.tick(self.now)
            self.pump()
        self.now = until

    def sleep(self, duration: Duration) -> None:
        """The process stands still for so long."""
        self.now += duration
        self.replica.stalled(duration, self.now)
        self.pump()
        self.pass_time(0)

    # --- outputs -------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Carry out what follows, until nothing does."""
        for _ in range(SPINS):
            step = self.replica.step(self.now)
            if step is None:
                return
            self._carry_out(step)
        raise AssertionError("one input goes on for ever")

    def _carry_out(self, step: Step) -> None:
        assert step.halt is None, f"a client ended a replica: {step.halt}"
        for delivery in step.deliveries:
            assert delivery.stream not in self.ended, "nothing is told on a stream that has ended"
            self.frames.setdefault(delivery.stream, []).extend(delivery.frames)
        for stream in step.ends:
            assert stream not in self.ended, "a stream ends once"
            self.ended.add(stream)
        if step.snapshot is not None:
            size = sum(map(len, step.snapshot.content.slices(4096)))
            self.replica.snapshot_taken(step.snapshot.slot, size)
        if step.number:
            self.replica.persisted(step.number, self.now)

    def take(self, stream: int) -> list[ServerFrame]:
        """What the stream was told since it was last asked."""
        return self.frames.pop(stream, [])

    # --- what must hold ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """No bound is passed: of the master's memory, of the cell's."""
        master, machine = self.replica.master, self.replica.machine
        assert master is not None and machine is not None
        figures = master.statistics()
        sessions = figures.sessions
        assert sessions <= LIMITS.sessions
        assert figures.handles <= sessions * BOUNDS.handles_per_session
        assert figures.watches <= sessions * BOUNDS.watches_per_session
        assert figures.cached_keys <= BOUNDS.keys_in_total
        assert figures.calls_pending <= BOUNDS.calls_in_total
        assert figures.commands_waiting + figures.commands_in_flight <= BOUNDS.calls_in_total + 8 * sessions + 64
        assert machine.node_count <= LIMITS.nodes and machine.content_bytes <= LIMITS.total_bytes
        history = machine.history_since(machine.forgotten)
        # A transaction is remembered as a whole, or not at all.
        assert history is not None and len(history) <= LIMITS.history + 128
        for session in master._desk.sessions.values():
            closed = session.handles._closed.intervals
            assert len(closed) <= 2 * len(session.handles) + CLOSED_GAPS, "closed handles are remembered within bounds"
            assert len(session.pending) <= BOUNDS.calls_per_session
            assert len(session.handles) <= BOUNDS.handles_per_session
            assert len(session.watches) <= BOUNDS.watches_per_session
