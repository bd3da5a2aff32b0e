"""Checkers of what leases promise, which look at living caches, sessions and masters: good ones pass, broken ones do
not.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from chubby.client.cache import Cache
from chubby.client.state import SessionState as Standing
from chubby.client.tenure import Tenure
from chubby.master.session import SessionState
from chubby.namespace.commands import CloseSession, ExpireSession
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.time import SECOND
from tests.namespace.cell import Cell
from tests.simulation.checkers import overdue
from tests.simulation.checkers.coherence import Coherence
from tests.simulation.checkers.overdue import Overdue
from tests.simulation.checkers.recorded_cell import RecordedCell
from tests.simulation.checkers.terms import Terms
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation


class Holder:
    """A client with a lease on everything, in a cell with a file, a directory and a file in it."""

    def __init__(self) -> None:
        self.cell = Cell()
        self.session = self.cell.session()
        for path in ("/a", "/d", "/d/x"):
            self.cell.create(self.session, path)
        self.now = 0
        self.cache = Cache()
        self.tenure = Tenure(self.cache)
        self.core = SimpleNamespace(
            cache=self.cache,
            identity=SimpleNamespace(session=self.session),
            state=Standing.NORMAL,
            _tenure=self.tenure,
        )
        self.tenure.agree(0, 0)
        self.tenure.renew(0, 8 * SECOND, 4 * SECOND)
        clock = SimpleNamespace(now=lambda: self.now)
        client = cast(ClientHost, SimpleNamespace(place="c1", core=self.core, clock=clock))
        self.coherence, self.terms = Coherence(), Terms()
        self.coherence.follow(client)
        self.terms.follow(client)
        self.look()
        for path in ("/a", "/d", "/d/x"):
            self.cache.put_node(path, self.cell.node(path).stat, b"")
        self.cache.put_absent("/none")
        self.cache.put_children("/d", self.cell.node("/d").stat.instance, "", ("x",), more=False)

    def look(self) -> None:
        """Something was applied."""
        host = cast(ReplicaHost, SimpleNamespace(replica=SimpleNamespace(machine=self.cell.machine)))
        self.coherence.observe(host)
        self.terms.observe(host)

    def drop(self, *keys: str) -> None:
        """The client carries out invalidations."""
        for key in keys:
            kind = CacheKind.CHILDREN if key == "names" else CacheKind.NODE
            self.cache.drop(CacheKey("/d" if key == "names" else key, kind))


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        (lambda one: one.cell.write(one.session, "/a", b"new"), ("/a",)),
        (lambda one: one.cell.remove(one.session, "/a"), ("/a",)),
        (lambda one: one.cell.remove(one.session, "/d/x"), ("/d/x", "names")),
        (lambda one: one.cell.create(one.session, "/d/y"), ("names",)),
        (lambda one: one.cell.create(one.session, "/none"), ("/none",)),
        (lambda one: one.cell.create(one.session, "/a/y"), ("/a",)),
    ],
    ids=["write", "remove", "remove from a listing", "add to a listing", "create what was absent", "make a directory"],
)
def test_a_change_waits_for_every_copy_of_what_it_touches(
    change: Callable[[Holder], object], touched: tuple[str, ...]
) -> None:
    """DESIGN §5 Invalidate first: content, stat, absence, child list; and nothing else need go."""
    good = Holder()
    good.drop(*touched)
    change(good)
    good.look()
    assert good.coherence.changes == 4
    for left in touched:
        bad = Holder()
        bad.drop(*(key for key in touched if key != left))
        change(bad)
        with pytest.raises(Violation, match="could read"):
            bad.look()


def test_a_change_waits_no_longer_than_the_cache_lease() -> None:
    """DESIGN §5 Three leases: a hit needs both; what is left in the cache then is dropped before they are renewed."""
    one = Holder()
    one.cell.write(one.session, "/a", b"new")
    one.now = 4 * SECOND
    one.look()
    early = Holder()
    early.cell.write(early.session, "/a", b"new")
    early.now = 4 * SECOND - 1
    with pytest.raises(Violation, match="c1 could read /a"):
        early.look()


def test_only_the_first_to_apply_a_change_is_asked() -> None:
    """What was filled since may be the new state."""
    one = Holder()
    one.drop("/a")
    one.cell.write(one.session, "/a", b"new")
    one.look()
    one.cache.put_node("/a", one.cell.node("/a").stat, b"new")
    one.look()


def test_a_session_lives_as_long_as_its_client_counts_upon() -> None:
    """DESIGN §5 Three leases; a client that closed its session counts upon nothing."""
    one = Holder()
    one.now = 8 * SECOND
    one.cell.do(ExpireSession(one.session))
    one.terms.observe(cast(ReplicaHost, SimpleNamespace(replica=SimpleNamespace(machine=one.cell.machine))))
    closed = Holder()
    closed.core.state = Standing.CLOSED
    closed.cell.do(CloseSession(closed.session))
    closed.look()
    assert one.terms.ended == closed.terms.ended == 1
    early = Holder()
    early.now = 8 * SECOND - 1
    early.cell.do(ExpireSession(early.session))
    with pytest.raises(Violation, match="its client counts upon"):
        early.look()


def test_nothing_brings_an_ended_session_back() -> None:
    """An answer that is late counts from when it was asked for, so its lease is over, too."""
    one = Holder()
    one.now = 8 * SECOND
    one.cell.do(ExpireSession(one.session))
    one.look()
    one.tenure.renew(SECOND, 7 * SECOND, 0)
    one.cell.session()
    one.look()
    one.tenure.renew(7 * SECOND, 7 * SECOND, 0)
    one.cell.session()
    with pytest.raises(Violation, match="has ended by slot"):
        one.look()


def test_a_replica_that_lags_has_ended_nobody() -> None:
    """It may not know of a session yet."""
    one, behind = Holder(), Cell()
    one.terms.observe(cast(ReplicaHost, SimpleNamespace(replica=SimpleNamespace(machine=behind.machine))))
    one.terms.observe(cast(ReplicaHost, SimpleNamespace(replica=None)))
    assert one.terms.ended == 0


# --- the dead in queues ----------------------------------------------------------------------------------------------


class Elector:
    """A master's room, as far as it is looked at: who there is, and who has a lease."""

    def __init__(self, epoch: int) -> None:
        self.serving = True
        self._sessions = {number: SimpleNamespace(state=SessionState.LIVE, lease_until=SECOND) for number in (1, 2, 3)}
        self._endings = SimpleNamespace(_leases=[1, 2, 3])
        self._proposals = SimpleNamespace(epoch=epoch, _sequence=0)

    def end(self, session: int, until: int) -> None:
        """The end of a session is decided."""
        self._sessions[session].state = SessionState.ENDING
        self._sessions[session].lease_until = until
        self._endings._leases.remove(session)

    def look(self, watched: Overdue, now: int, proposed: int) -> None:
        """The checker looks at it now."""
        self._proposals._sequence = proposed
        host = SimpleNamespace(replica=SimpleNamespace(master=self), clock=SimpleNamespace(now=lambda: now))
        watched.observe(cast(ReplicaHost, host))


def test_a_master_is_remembered_by_whom_it_found_to_be_over() -> None:
    """And by how much it had proposed by then; who is closed by its client is another matter, whatever comes later."""
    master, watched = Elector(epoch=7), Overdue()
    master.look(watched, 0, 5)
    master.end(1, until=SECOND)
    master.end(2, until=2 * SECOND)
    master.look(watched, SECOND, 6)
    master.look(watched, 3 * SECOND, 9)
    assert watched.found == {(7, 1): 6}
    master.serving = False
    master.end(3, until=0)
    master.look(watched, 3 * SECOND, 9)
    assert watched.found == {(7, 1): 6}


def test_nobody_who_was_found_to_be_over_is_granted_a_lock() -> None:
    """DESIGN §4 Locks, by any command that was proposed since; what was on its way already may come."""
    cell = RecordedCell()
    one, two = cell.session(), cell.session()
    cell.create(one, "/l")
    cell.acquire(one, "/l")
    cell.acquire(two, "/l")
    before = cell.told[-1].command
    cell.release(one, "/l")
    release = cell.told[-1].command
    assert overdue.check(cell.told, {(before.epoch, two): release.sequence, (before.epoch, one): 9}) == 2
    assert overdue.check(cell.told, {(before.epoch + 1, two): before.sequence}) == 1
    with pytest.raises(Violation, match="1 commands before"):
        overdue.check(cell.told, {(before.epoch, two): before.sequence})


def test_the_dead_in_a_circle_may_grant_to_each_other() -> None:
    """Each holds what the other waits for: one of them has to begin."""
    cell = RecordedCell()
    one, two = cell.session(), cell.session()
    cell.create(one, "/l")
    cell.acquire(one, "/l")
    cell.acquire(two, "/l")
    before = cell.told[-1].command
    cell.do(ExpireSession(one))
    dead = {(before.epoch, session): before.sequence for session in (one, two)}
    overdue.check(cell.told, dead)
    with pytest.raises(Violation):
        overdue.check(cell.told, {(before.epoch, two): before.sequence})
