"""Random schedules against the invariants of DESIGN §5: no stale cache under live leases, one answer per call, locks.

Every step is followed by `World.check`. At the end everything is delivered and applied, and every call of a session
that is still alive must have been answered, except an Acquire that waits for its lock.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chubby.master import MasterSettings
from chubby.namespace.commands import BeginEpoch
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.identity import HandleNumber
from chubby.types.nodes import LockMode, NodeKind
from chubby.types.time import MILLISECOND, SECOND
from chubby.types.transaction import Absent, Create, Exists, Read, Remove, Write
from tests.master.world import Peer, PeerCall, World

PATHS = ("/a", "/b", "/a/x", "/a/y", "/e", "/e/z", "/a/x0000000000")
EPHEMERAL = ("/e", "/e/z", "/a/y")
NAMES = ("alice", "bob", "carol")

TRANSACTIONS = 7
"""How many kinds of transactions there are."""

Make = Callable[[HandleNumber, int], PeerCall]
"""A call through a handle; the number makes contents differ."""
READS: tuple[Make, ...] = (
    lambda handle, _: GetStat(handle),
    lambda handle, _: GetContentsAndStat(handle),
    lambda handle, _: ReadDir(handle),
)
CHANGES: tuple[Make, ...] = (
    lambda handle, number: SetContents(handle, b"%d" % number),
    lambda handle, number: SetContents(handle, b"%d" % number, generation=1 + number % 3),
    lambda handle, number: SetAttributes(handle, {"n": b"%d" % number}),
    lambda handle, _: Delete(handle),
    lambda handle, _: Close(handle),
)
LOCKS: tuple[Make, ...] = (
    lambda handle, number: Acquire(handle, LockMode(1 + number % 2), wait=number % 3 > 0),
    lambda handle, _: Acquire(handle),
    lambda handle, _: Acquire(handle, lock_delay=2 * SECOND),
    lambda handle, _: Release(handle),
    lambda handle, _: CancelAcquire(handle),
)

peers = st.integers(0, len(NAMES) - 1)
paths = st.sampled_from(PATHS)


class Schedule(RuleBasedStateMachine):
    """What may happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(MasterSettings(replica=1, push_window=2, invalidations_per_session=3), NAMES)
        self.contents = 0
        self.divided = False

    @initialize()
    def begin(self) -> None:
        """All sessions are open, and everybody has everything in the cache."""
        self.world.settle()
        for index, path in enumerate(PATHS[:-1]):
            for number in range(len(NAMES)):
                self.open(number, path, CreateMode.MAY, False)
                self.world.settle()
                self.read(number, index, READS[1])
        self.world.settle()

    def peer(self, index: int) -> Peer:
        """One of the clients."""
        return self.world.peers[index]

    def through_handle(self, index: int, which: int, make: Make) -> None:
        """Call something through one of the client's handles."""
        peer = self.peer(index)
        if peer.handles:
            self.contents += 1
            peer.call(make(list(peer.handles)[which % len(peer.handles)], self.contents))

    @rule(
        index=peers,
        path=paths,
        create=st.sampled_from(CreateMode),
        sequential=st.booleans(),
    )
    def open(self, index: int, path: str, create: CreateMode, sequential: bool) -> None:
        """Open, or make, a node."""
        peer = self.peer(index)
        peer.handle += 1
        mode = Mode.READ | Mode.WRITE
        ephemeral = path in EPHEMERAL
        made = sequential and create is not CreateMode.NEVER and path == "/a/x"
        peer.call(Open(peer.handle, path, mode, create=create, ephemeral=ephemeral, sequential=made))

    @rule(index=peers, which=st.integers(0, 9), make=st.sampled_from(READS))
    def read(self, index: int, which: int, make: Make) -> None:
        """Read something."""
        self.through_handle(index, which, make)

    @rule(index=peers, which=st.integers(0, 9), make=st.sampled_from(CHANGES))
    def change(self, index: int, which: int, make: Make) -> None:
        """Change something."""
        self.through_handle(index, which, make)

    @rule(index=peers, which=st.integers(0, 9), make=st.sampled_from(LOCKS))
    def lock(self, index: int, which: int, make: Make) -> None:
        """Ask for a lock, or give it back."""
        self.through_handle(index, which, make)

    @rule(index=peers, path=paths, other=paths, kind=st.integers(0, TRANSACTIONS - 1))
    def transact(self, index: int, path: str, other: str, kind: int) -> None:
        """Change two nodes at once, or read them."""
        self.contents += 1
        contents = b"%d" % self.contents
        call = (
            Transact((Exists(path),), (Write(path, contents),), (Create(path, contents),)),
            Transact((Absent(path),), (Create(path), Create(f"{path}/q", ephemeral=True)), (Read(path),)),
            Transact((), (Write(path, contents), Remove(other))),
            Transact((Exists(path), Exists(other)), (Read(path), Read(other)), (Create(other, may_exist=True),)),
            Transact((Exists(f"{path}/q"),), (Remove(f"{path}/q"),), (Create(f"{path}/q"),)),
            Transact((), (Remove(path), Create(path))),
            Transact((), (Remove(path), Create(path, kind=NodeKind.DIRECTORY))),
        )[kind]
        self.peer(index).call(call)

    @rule(index=peers)
    def beat(self, index: int) -> None:
        """A KeepAlive is sent."""
        self.peer(index).beat()

    @rule(index=peers, count=st.integers(1, 5))
    def deliver(self, index: int, count: int) -> None:
        """Frames arrive at the master."""
        for _ in range(count):
            if self.peer(index).up:
                self.peer(index).deliver()

    @rule(index=peers, count=st.integers(1, 5))
    def hear(self, index: int, count: int) -> None:
        """Frames arrive at a client."""
        for _ in range(count):
            if self.peer(index).down:
                self.peer(index).hear()

    @rule(count=st.integers(1, 4))
    def apply(self, count: int) -> None:
        """The log moves on."""
        for _ in range(count):
            if self.world.cell.log:
                self.world.cell.apply()

    @rule(step=st.sampled_from([10 * MILLISECOND, 900 * MILLISECOND, 2 * SECOND, 5 * SECOND]))
    def advance(self, step: int) -> None:
        """Time passes."""
        self.world.cell.advance(step)

    @rule(index=peers)
    def reconnect(self, index: int) -> None:
        """A connection breaks, or a new one is made."""
        peer = self.peer(index)
        if peer.dead:
            return
        if peer.stream is None:
            peer.connect()
        else:
            peer.disconnect()

    @rule()
    def lease(self) -> None:
        """The master lease runs out, or is renewed."""
        self.world.cell.live = not self.world.cell.live

    @rule(duration=st.sampled_from([SECOND, 3 * SECOND]))
    def stall(self, duration: int) -> None:
        """The process sleeps; clients do not."""
        cell = self.world.cell
        cell.now += duration
        cell.master.stalled(duration, cell.now)

    @rule()
    def divide(self) -> None:
        """The replicas disagree about the state, or agree again."""
        self.divided = not self.divided
        self.world.excuse()
        self.world.cell.master.divided(self.divided, self.world.cell.now)
        self.world.cell.pump()

    @rule(keep=st.integers(0, 3), late=st.integers(0, 3))
    def fail_over(self, keep: int, late: int) -> None:
        """Another master: the first commands in the log are applied before its epoch, some are void under it."""
        cell = self.world.cell
        cell.live = True
        for _ in range(min(keep, len(cell.log))):
            cell.apply()
        leftovers = [command for command in cell.log if not isinstance(command.body, BeginEpoch)][:late]
        cell.log.clear()
        for peer in self.world.peers:
            peer.disconnect()
        cell.frames.clear()
        cell.master = cell.new_master()
        cell.master.divided(self.divided, cell.now)
        cell.master.elected(cell.now, cell.wall_ms)
        cell.pump()
        cell.log.extend(leftovers)

    @invariant()
    def coherent(self) -> None:
        """Nothing stale, nobody mistaken about a lock."""
        self.world.check()

    def teardown(self) -> None:
        """Everything is delivered: every call of a live session is answered."""
        world = self.world
        world.cell.live = True
        if self.divided:
            self.divide()
        for _ in range(3):
            for peer in world.peers:
                if peer.stream is None and not peer.dead:
                    peer.connect()
            world.settle()
            world.cell.advance(SECOND)
            world.check()
        for _ in range(8):
            for peer in world.peers:
                peer.beat()
            world.settle()
            world.cell.advance(SECOND)
            world.check()
        world.settle()
        for peer in world.peers:
            if not peer.dead:
                left = [call for call in peer.calls.values() if not (isinstance(call, Acquire) and call.wait)]
                assert not left, f"{peer.name} waits for answers to {left}"
        statistics = world.cell.master.statistics()
        assert statistics.commands_in_flight == statistics.commands_waiting == statistics.uncachable_keys == 0


def test_random_schedules() -> None:
    """DESIGN §5: Three leases, Invalidate first, Fail-over, Calls in flight; §6: no lock is lost in silence."""
    run_state_machine_as_test(
        Schedule,
        settings=settings(
            max_examples=40,
            stateful_step_count=60,
            deadline=None,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
