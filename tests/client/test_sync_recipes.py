"""The recipes' synchronous face: the same, for ordinary threads (DESIGN §6)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import chubby
from chubby.client.sync import Session
from chubby.errors import DeadlineExceeded, LockNotHeld
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import open_session, until


@pytest.fixture
def first(cell: FakeCell) -> Iterator[Session]:
    """A session."""
    with open_session(cell) as made:
        yield made


@pytest.fixture
def second(cell: FakeCell) -> Iterator[Session]:
    """Another session with the same cell."""
    with open_session(cell) as made:
        yield made


def test_lock(first: Session, second: Session) -> None:
    """One at a time, with tokens that a guard understands."""
    guard = chubby.fencing.Guard("/ls/local/lock")
    with chubby.Lock(first, "/ls/local/lock") as ours:
        ours.ensure()
        assert guard.check(ours.sequencer).token == ours.token
        with pytest.raises(DeadlineExceeded):
            chubby.Lock(second, "/ls/local/lock", timeout=0.05).acquire()
    with chubby.Lock(second, "/ls/local/lock") as theirs:
        guard.check(theirs.sequencer)
        with pytest.raises(chubby.SequencerInvalid):
            guard.check(ours.sequencer)


def test_a_lock_of_a_closed_session_is_let_go_already(cell: FakeCell) -> None:
    """Releasing never fails."""
    session = open_session(cell)
    lock = chubby.Lock(session, "/lock")
    lock.acquire()
    session.close()
    lock.release()


def test_election(first: Session, second: Session) -> None:
    """Campaign, announce, resign; followers iterate."""
    election = chubby.Election(first, "/leader", b"first")
    with election as leadership:
        assert leadership.certain and leadership.token > 0 and isinstance(leadership.sequencer, bytes)
        leadership.ensure()
        assert election.leader() == b"first"
        leaders = chubby.Election(second, "/leader").leaders()
        assert next(leaders) == b"first"
        leadership.announce(b"moved")
        assert next(leaders) == b"moved"
        assert leadership.lost(timeout=0.01) is None
        with pytest.raises(DeadlineExceeded):
            chubby.Election(second, "/leader").campaign(timeout=0.05)
    assert next(leaders) == b""
    with pytest.raises(LockNotHeld):
        leadership.announce(b"still me")
    with chubby.Election(second, "/leader", b"second"):
        assert next(leaders) == b"second"


def test_config_watcher(first: Session, second: Session) -> None:
    """Values as they change, decoded."""
    handle = first.open("/limit", create=True, contents=b"1")
    with chubby.ConfigWatcher(second, "/limit", int) as watcher:
        assert next(watcher) == 1
        handle.set_contents(b"2")
        assert next(watcher) == 2
        assert watcher.read() == 2
    with chubby.ConfigWatcher(second, "/nothing") as plain:
        assert plain.read() is None


def test_service_registry(first: Session, second: Session) -> None:
    """Register, list, follow."""
    registry = chubby.ServiceRegistry(first, "/services")
    following = chubby.ServiceRegistry(second, "/services").follow("web")
    assert next(following) == []
    with registry.register("web", "a", "10.0.0.1:80", {"zone": b"eu"}) as registration:
        assert [instance.address for instance in next(following)] == ["10.0.0.1:80"]
        registration.update({"zone": b"us"})
        assert next(following)[0].attributes["zone"] == b"us"
        assert registry.instances("web")[0].name == registration.instance.name == "a"
    assert next(following) == []


def test_barrier(first: Session, second: Session) -> None:
    """Two threads meet, twice."""
    order: list[str] = []

    def work(session: Session, name: str) -> None:
        for _ in range(2):
            with chubby.Barrier(session, "/barrier", name, 2):
                order.append("in")
            order.append("out")

    threads = [threading.Thread(target=work, args=pair) for pair in ((first, "a"), (second, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == ["in", "in", "out", "out"] * 2


def test_a_barrier_nobody_else_comes_to(first: Session, cell: FakeCell) -> None:
    """DeadlineExceeded; nothing is left."""
    with pytest.raises(DeadlineExceeded):
        chubby.Barrier(first, "/barrier", "me", 2).enter(timeout=0.05)
    until(lambda: "/barrier/party-me" not in cell.tree.nodes)
