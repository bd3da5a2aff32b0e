"""Sessions in a row: what ends with each, who waits for the next, and that nothing keeps the mount from ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from chubby.client.dependant import Drop
from chubby.client.sync import Session
from chubby.client.waiting import Patience
from chubby.errors import HandleInvalid, NoNode, NoQuorum, SessionExpired
from chubby.types.transaction import Create, Remove
from fuse_mount import tenure as tenures
from fuse_mount.tenure import Tenure, Tenures
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import DEADLINE, Doing, Interrupt, behind, cell, connected, expire, heeding

__all__ = ["cell"]


class Connector:
    """Opens sessions: `failures` are raised first, and `blocked` ones wait until their thread is interrupted."""

    def __init__(self, cell: FakeCell) -> None:
        self._cell = cell
        self.failures: list[Exception] = []
        self.blocked = False
        self.attempts = 0
        self.waits = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.sessions: list[Session] = []

    def __call__(self, drop: Drop, timeout: float) -> Session:
        """See `Connect`."""
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)
        if self.blocked:
            self.waits.set()
            self._wait()
        self.waits.set()
        assert self.free.wait(DEADLINE)
        self.sessions.append(connected(self._cell, drop, timeout))
        return self.sessions[-1]

    def _wait(self) -> None:
        patience = Patience()
        while True:
            threading.Event().wait(patience.slice)
            patience.look_up()


class World:
    """Tenures, and what they told in which order."""

    def __init__(self, cell: FakeCell) -> None:
        self.connector = Connector(cell)
        self.told: list[tuple[str, int]] = []
        self.dropped: list[object] = []
        self.tenures = Tenures(self.connector, self.dropped.append, self._begun, self._ended)

    def _begun(self, tenure: Tenure) -> None:
        self.told.append(("begun", tenure.number))

    def _ended(self, tenure: Tenure) -> None:
        self.told.append(("ended", tenure.number))

    def lose(self) -> None:
        """The present session expires."""
        expire(self.connector.sessions[-1])


@pytest.fixture
def world(cell: FakeCell, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Tenures of which the first has begun; attempts follow one another at once."""
    monkeypatch.setattr(tenures, "_PAUSE", 0.001)
    made = World(cell)
    made.tenures.start(DEADLINE)
    yield made
    made.connector.free.set()
    made.tenures.close()
    assert made.connector.sessions[-1].state.final, "nothing is left open"


class TestOne:
    """A tenure."""

    def test_it_is_over_with_its_session(self, world: World) -> None:
        """For good."""
        first = world.tenures.present()
        first.check()
        assert first.number == 1 and not first.over and abs(first.since - time.time()) < DEADLINE
        world.lose()
        assert first.over
        with pytest.raises(SessionExpired):
            first.check()

    def test_locks_are_of_the_instance(self, world: World, cell: FakeCell) -> None:
        """A lock of the node before is no lock of this one; no handle is left."""
        tenure = world.tenures.present()
        instance = cell.tree.nodes["/a"].instance
        tenure._lock_handle("/a", instance).close()
        behind(cell, Remove("/a"), Create("/a"))
        with pytest.raises(HandleInvalid):
            tenure._lock_handle("/a", instance)
        with pytest.raises(NoNode):
            tenure._lock_handle("/missing", instance)
        until(lambda: tenure.session.statistics().handles == 0)


class TestRenewal:
    """The session expires, and another takes its place."""

    def test_the_next_one_begins_after_the_last_has_ended(self, world: World) -> None:
        """Newcomers work in it; the old one stays over."""
        first = world.tenures.present()
        world.lose()
        second = world.tenures.present()
        assert second is not first and second.number == 2 and first.over and not second.over
        until(lambda: len(world.told) == 3)
        assert world.told == [("begun", 1), ("ended", 1), ("begun", 2)]
        assert world.tenures.latest() is second

    def test_it_is_tried_until_it_succeeds(self, world: World) -> None:
        """Whatever goes wrong, mistakes of ours included: nobody else will open a session."""
        world.connector.failures = [NoQuorum("away"), OSError("no more files"), ZeroDivisionError("a mistake")]
        world.lose()
        assert world.tenures.present().number == 2 and world.connector.attempts == 5

    def test_an_end_that_fails_keeps_none_from_beginning(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A kernel that refuses to drop."""

        def fail(tenure: Tenure) -> None:
            raise OSError("the kernel refuses")

        with monkeypatch.context() as patch:
            patch.setattr(world.tenures, "_ended", fail)
            world.lose()
            assert world.tenures.present().number == 2
            with pytest.raises(OSError, match="refuses"):
                world.tenures.close()
        assert world.connector.sessions[1].state.final, "the session is closed all the same"

    def test_again_and_again(self, world: World) -> None:
        """Each is ended once."""
        for number in (1, 2, 3):
            assert world.tenures.present().number == number
            world.lose()
        assert world.tenures.present().number == 4
        assert [number for what, number in world.told if what == "ended"] == [1, 2, 3]

    def test_until_then_the_last_one_is_there_to_be_looked_at(self, world: World) -> None:
        """`.chubby/session` tells that it has expired."""
        world.connector.free.clear()
        world.connector.waits.clear()
        world.lose()
        assert world.connector.waits.wait(DEADLINE)
        latest = world.tenures.latest()
        assert latest is not None and latest.number == 1 and latest.over

    def test_who_waits_can_be_interrupted(self, world: World) -> None:
        """And waits no longer than PATIENCE."""
        world.connector.free.clear()
        world.lose()
        interrupt = Interrupt()
        interrupt.now.set()
        with heeding(interrupt), pytest.raises(InterruptedError):
            world.tenures.present()

    def test_who_waits_is_told_at_last(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """NoQuorum after PATIENCE."""
        monkeypatch.setattr(tenures, "PATIENCE", 0.0)
        world.connector.free.clear()
        world.lose()
        with pytest.raises(NoQuorum):
            world.tenures.present()

    def test_many_wait_and_all_get_it(self, world: World) -> None:
        """Nobody is forgotten."""
        world.connector.free.clear()
        world.lose()
        waiting = [Doing(world.tenures.present) for _ in range(8)]
        world.connector.free.set()
        assert [each.ended() for each in waiting] == [None] * 8
        assert {each.result for each in waiting} == {world.tenures.latest()}


class TestClosing:
    """At any moment."""

    def test_the_session_is_closed(self, world: World, cell: FakeCell) -> None:
        """Ended once, and none follows; closed twice is closed."""
        tenure = world.tenures.present()
        world.tenures.close()
        world.tenures.close()
        assert world.told == [("begun", 1), ("ended", 1)] and tenure.over and not cell.sessions
        assert world.connector.attempts == 1

    def test_during_a_renewal_that_cannot_reach_the_cell(self, world: World) -> None:
        """The attempt under way is given up, at once: an unmount takes a second, not fifteen."""
        world.connector.blocked = True
        world.connector.waits.clear()
        world.lose()
        assert world.connector.waits.wait(DEADLINE)
        began = time.monotonic()
        world.tenures.close()
        assert time.monotonic() - began < tenures.ATTEMPT / 2
        assert world.told == [("begun", 1), ("ended", 1)]
        with pytest.raises(NoQuorum):
            world.tenures.present()

    def test_a_session_that_comes_too_late_is_closed(self, world: World, cell: FakeCell) -> None:
        """It was on its way when the mount ended."""
        world.connector.free.clear()
        world.connector.waits.clear()
        world.lose()
        assert world.connector.waits.wait(DEADLINE)
        closing = Doing(world.tenures.close)
        until(world.tenures._closing.is_set)
        world.connector.free.set()
        assert closing.ended() is None
        assert world.connector.sessions[-1].state.final and world.told == [("begun", 1), ("ended", 1)]

    def test_who_waits_for_a_session_is_told(self, world: World) -> None:
        """There will be none."""
        world.connector.blocked = True
        world.lose()
        waiting = Doing(world.tenures.present)
        world.tenures.close()
        assert isinstance(waiting.ended(), NoQuorum)

    def test_before_it_began(self, cell: FakeCell) -> None:
        """Nothing to end; and what begins after that is ended again."""
        world = World(cell)
        world.tenures.close()
        world.tenures.start(DEADLINE)
        assert world.told == [] and world.connector.sessions[0].state.final
        assert world.tenures.latest() is None

    @pytest.mark.parametrize("lost", [True, False])
    def test_as_the_session_expires(self, cell: FakeCell, lost: bool) -> None:
        """Both at once, in any order: ended once, and nothing is left."""
        world = World(cell)
        world.tenures.start(DEADLINE)
        session = world.connector.sessions[0]
        acts: list[Callable[[], object]] = [world.tenures.close, lambda: expire(session)]
        doing = [Doing(act) for act in (reversed(acts) if lost else acts)]
        for each in doing:
            each.ended()
        world.tenures.close()
        assert world.told.count(("ended", 1)) == 1 and all(each.state.final for each in world.connector.sessions)


def test_the_cell_cannot_be_reached_at_the_start(cell: FakeCell) -> None:
    """NoQuorum, and nothing has begun."""
    world = World(cell)
    world.connector.failures = [NoQuorum("away")]
    with pytest.raises(NoQuorum):
        world.tenures.start(0.1)
    assert world.told == [] and world.tenures.latest() is None
