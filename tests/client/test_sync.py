"""The synchronous face: complete, small, and a cached read that crosses no thread (DESIGN §6)."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

import chubby
from chubby import aio
from chubby.client.sync import Session, connect
from chubby.client.sync_handle import Handle
from chubby.errors import (
    DeadlineExceeded,
    HandleInvalid,
    HandlePoisoned,
    LockConflict,
    NoNode,
    SequencerInvalid,
    SessionExpired,
)
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.transaction import Absent, Create
from tests.client.conftest import lose
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork

T = TypeVar("T")


def open_session(cell: FakeCell, timeout: float = 30.0) -> Session:
    """A session with `cell`, over a network made on the background loop."""
    return connect("/ls/local", addresses=ADDRESSES, network=lambda: FakeNetwork(cell), timeout=timeout)


@pytest.fixture
def session(cell: FakeCell) -> Iterator[Session]:
    """An open session."""
    with open_session(cell) as made:
        yield made


@pytest.fixture
def handle(session: Session) -> Handle:
    """A handle on `/a`."""
    return session.open("/ls/local/a", create=True, contents=b"first", events={EventMask.CONTENTS_MODIFIED})


def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; generous."""
    done = threading.Event()
    for _ in range(30_000):
        if condition():
            return
        done.wait(0.001)
    raise AssertionError("the condition never came to hold")


class TestCalls:
    """The same calls, blocking."""

    def test_the_example_of_the_design(self, session: Session) -> None:
        """DESIGN §6."""
        session.open("/ls/local/svc", create=True)
        with session.open("/ls/local/svc/leader", create=True, events={chubby.Event.LOCK_ACQUIRED}) as handle:
            handle.acquire()
            handle.set_contents(b"10.0.0.7:8080")
            sequencer = handle.get_sequencer()
            assert isinstance(sequencer, bytes) and sequencer.token > 0

    def test_reading_and_writing(self, session: Session, handle: Handle) -> None:
        """Every call of a handle."""
        assert handle.created and handle.name == "/ls/here/a" and "Handle" in repr(handle)
        contents, stat = handle.get_contents_and_stat()
        assert contents == b"first" and handle.get_stat() == stat
        generation = handle.set_contents(b"second").content_generation
        handle.set_contents(b"third", generation=generation)
        assert handle.set_attributes({"a": b"1"}).attributes == {"a": b"1"}
        assert handle.set_acl(chubby.AclNames("a", "b", "c")).acl.write == "b"
        child = handle.open("child", create=True)
        assert [entry.name for entry in handle.read_dir()] == ["child"]
        assert handle.read_dir_page(limit=1)[1] is False
        child.delete()
        with pytest.raises(HandleInvalid):
            child.get_stat()

    def test_locking(self, session: Session, handle: Handle, cell: FakeCell) -> None:
        """Every call about locks."""
        granted = handle.acquire(chubby.LockMode.SHARED)
        assert handle.get_lock_info().token == granted.token
        with open_session(cell) as other:
            theirs = other.open("/a")
            with pytest.raises(LockConflict):
                theirs.try_acquire()
            with pytest.raises(DeadlineExceeded):
                theirs.acquire(timeout=0.1)
            sequencer = handle.get_sequencer()
            assert theirs.check_sequencer(sequencer).token == sequencer.token
            theirs.set_sequencer(sequencer)
            handle.release()
            with pytest.raises(SequencerInvalid):
                theirs.set_contents(b"too late")
            with pytest.raises(SequencerInvalid):
                other.check_sequencer(sequencer)

    def test_on_the_session(self, session: Session, handle: Handle) -> None:
        """Transactions, and what operators ask."""
        result = session.transaction([Absent("/b")], [Create("/b", b"1")])
        assert result.succeeded
        handle.acquire()
        assert [lock.path for lock in session.locks()] == ["/a"]
        assert [info.session for info in session.sessions()] == [session.id]
        assert session.status().cell == session.cell == "here"
        session.step_down()
        with pytest.raises(chubby.MembershipRefused):
            session.change_members(chubby.MemberAction.REMOVE, 3, incarnation=77)
        assert session.statistics().handles == 1 and session.certain
        assert session.state is chubby.SessionState.NORMAL and "normal" in repr(session)
        with pytest.raises(NoNode):
            session.open("/missing")

    def test_poison(self, handle: Handle) -> None:
        """And close all the same."""
        handle.poison()
        with pytest.raises(HandlePoisoned):
            handle.get_contents_and_stat()
        handle.close()

    def test_many_threads_share_a_session(self, session: Session, cell: FakeCell) -> None:
        """Each gets its own answer."""
        problems: list[BaseException] = []

        def work(number: int) -> None:
            try:
                own = session.open(f"/n{number}", create=True)
                for round_number in range(30):
                    text = b"%d:%d" % (number, round_number)
                    own.set_contents(text)
                    assert own.get_contents_and_stat()[0] == text
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems


class TestCachedReads:
    """No thread, no lock."""

    def test_a_hit_needs_nothing_of_the_loop(self, session: Session, handle: Handle, cell: FakeCell) -> None:
        """It is answered while the loop stands still."""
        handle.get_contents_and_stat()
        blocked, go = threading.Event(), threading.Event()

        def block() -> None:
            blocked.set()
            go.wait(30)

        session._seam.portal.loop.call_soon_threadsafe(block)
        assert blocked.wait(30)
        asked = len(cell.received)
        for _ in range(1000):
            assert handle.get_contents_and_stat()[0] == b"first"
            assert handle.get_stat().length == 5
        go.set()
        assert len(cell.received) == asked

    def test_what_is_cached_of_a_name(self, session: Session, handle: Handle, cell: FakeCell) -> None:
        """Content, metadata, absence: without a call. Nothing once the lease is over."""
        asked = len(cell.received)
        assert session.cached("/ls/local/b") is None and len(cell.received) == asked
        contents, stat = handle.get_contents_and_stat()
        with pytest.raises(NoNode):
            session.open("/b")
        asked = len(cell.received)
        known, absent = session.cached("/ls/local/a"), session.cached("/b")
        assert known is not None and (known.contents, known.stat) == (contents, stat)
        assert absent is not None and absent.stat is None
        assert len(cell.received) == asked
        driver = session._seam.driver
        lease = driver.core.cache.live_until
        driver.clock = lambda: lease
        assert session.cached("/a") is None

    def test_after_its_lease_it_asks(self, session: Session, handle: Handle) -> None:
        """The clock is read when the call arrives (pains: stale reads after a process pause)."""
        handle.get_contents_and_stat()
        driver = session._seam.driver
        assert driver.near(handle.number) is not None
        lease = driver.core.cache.live_until
        driver.clock = lambda: lease
        assert driver.near(handle.number) is None
        driver.clock = lambda: lease - 1
        assert driver.near(handle.number) is not None


class TestEvents:
    """Iterators that block, callbacks that do not."""

    def test_of_a_handle(self, handle: Handle) -> None:
        """From the first one on."""
        events = handle.events()
        handle.set_contents(b"1")
        handle.set_contents(b"2")
        assert next(events).kind is EventKind.CONTENTS_MODIFIED
        assert events.get(timeout=30) is not None
        assert events.get(timeout=0.01) is None

    def test_closing_lets_whoever_waits_go(self, handle: Handle) -> None:
        """The iteration ends."""
        events, ended = handle.events(), threading.Event()

        def wait() -> None:
            assert list(events) == []
            ended.set()

        threading.Thread(target=wait).start()
        handle.close()
        assert ended.wait(30)

    def test_of_a_watch(self, session: Session, handle: Handle) -> None:
        """From now on, or since a revision."""
        with session.watch("/a") as watch:
            revision = watch.revision
            handle.set_contents(b"1")
            assert next(watch).revision == revision + 1
        with session.watch("/", recursive=True, since_revision=revision) as again:
            assert next(again).path == "/a"
        watch.close()

    def test_callbacks_run_in_a_thread_of_their_own(self, session: Session, handle: Handle) -> None:
        """Not on the loop: they may call back into the session."""
        seen: list[tuple[Event, bytes]] = []
        undo = handle.on_event(lambda event: seen.append((event, handle.get_contents_and_stat()[0])))
        watched: list[Event] = []
        with session.watch("/a") as watch:
            watch.on_event(watched.append)
            handle.set_contents(b"new")
            until(lambda: len(seen) == 1 and len(watched) == 1)
        assert seen[0][1] == b"new", "reading afterwards sees that data or newer"
        undo()

    def test_states(self, session: Session) -> None:
        """The present one first."""
        assert next(session.states()) is chubby.SessionState.NORMAL
        seen: list[chubby.SessionState] = []
        session.on_state(seen.append)
        until(lambda: seen == [chubby.SessionState.NORMAL])

    def test_expired_they_raise(self, cell: FakeCell) -> None:
        """No silence."""
        with open_session(cell) as session:
            handle = session.open("/a", create=True, events=EventMask.CONTENTS_MODIFIED)
            events, watch = handle.events(), session.watch("/a")
            session._seam.on_loop(lambda: lose(session._seam.session))
            for iterator in (events, watch):
                with pytest.raises(SessionExpired):
                    next(iterator)
            with pytest.raises(SessionExpired):
                handle.get_contents_and_stat()


def public(kind: type) -> set[str]:
    """What a class offers."""
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("ours", "theirs"), [(Session, aio.Session), (Handle, aio.Handle)])
def test_the_facade_is_complete(ours: type, theirs: type) -> None:
    """Every public method of the asyncio face, under the same name and with the same parameters."""
    for name in public(theirs):
        method, counterpart = getattr(theirs, name), getattr(ours, name)
        if inspect.isfunction(method):
            assert list(inspect.signature(method).parameters) == list(inspect.signature(counterpart).parameters), name


def test_the_signatures_of_connect_agree() -> None:
    """`network` differs in kind: it must be made on the loop that uses it."""
    assert list(inspect.signature(connect).parameters) == list(inspect.signature(aio.connect).parameters)
