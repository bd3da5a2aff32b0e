"""How the synchronous face ends: closing, failing to open, being interrupted at any moment (DESIGN §6)."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

import chubby
from chubby.client import portal
from chubby.client.sync import Session, connect
from chubby.client.sync_handle import Handle
from chubby.errors import ChubbyError, NoQuorum, SessionExpired
from chubby.types.events import EventMask
from chubby.types.stream import CallFrame
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork
from tests.client.test_sync import open_session, until


@pytest.fixture
def session(cell: FakeCell) -> Iterator[Session]:
    """An open session."""
    with open_session(cell) as made:
        yield made


@pytest.fixture
def handle(session: Session) -> Handle:
    """A handle on `/a`."""
    return session.open("/ls/local/a", create=True, contents=b"first")


def interrupt_handover(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, after: Callable[[], None] | None
) -> None:
    """Ctrl-C while work is next handed over to `loop`: once `after` is done, or (None) before the loop heard of it."""
    original = loop.call_soon_threadsafe

    def interrupted(action: Callable[[], object]) -> None:
        monkeypatch.setattr(loop, "call_soon_threadsafe", original)
        if after is not None:
            original(action)
            after()
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)


class TestEnds:
    """Closing, failing to open, being interrupted."""

    def test_closed_everything_says_so(self, cell: FakeCell) -> None:
        """Idempotent; and the thread ends with the last session."""
        session, second = open_session(cell), open_session(cell)
        handle = session.open("/a", create=True)
        thread = session._seam.portal._thread
        session.close()
        session.close()
        for attempt in (lambda: session.open("/a"), handle.get_stat, session.locks, session.statistics):
            with pytest.raises(SessionExpired, match="closed"):
                attempt()
        handle.close()
        assert thread.is_alive()
        second.close()
        assert not thread.is_alive()
        assert not cell.sessions

    def test_failing_to_open_leaves_no_thread(self) -> None:
        """Nor a session half open."""
        before = threading.active_count()

        def unreachable() -> FakeNetwork:
            network = FakeNetwork(FakeCell())
            network.up = False
            return network

        with pytest.raises(NoQuorum):
            connect("/ls/local", addresses=ADDRESSES, network=unreachable, timeout=0.1)
        assert threading.active_count() == before

    def test_a_call_on_the_loop_itself_is_refused(self, session: Session, handle: Handle) -> None:
        """It would wait for itself for ever."""
        caught: list[BaseException] = []

        def on_loop() -> None:
            try:
                handle.get_lock_info()
            except RuntimeError as error:
                caught.append(error)

        session._seam.on_loop(on_loop)
        assert len(caught) == 1 and "on the loop" in str(caught[0])

    def test_interrupted_in_acquire_it_leaves_the_queue(self, session: Session, handle: Handle, cell: FakeCell) -> None:
        """Ctrl-C: KeyboardInterrupt, and no ghost."""
        assert threading.current_thread() is threading.main_thread()
        with open_session(cell) as other:
            other.open("/a").acquire()
            node = cell.tree.nodes["/a"]

            def interrupt() -> None:
                until(lambda: bool(node.waiters))
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

            threading.Thread(target=interrupt).start()
            with pytest.raises(KeyboardInterrupt):
                handle.acquire()
            until(lambda: not node.waiters)
            assert session.statistics().state is chubby.SessionState.NORMAL
        handle.try_acquire()

    def test_interrupted_while_the_call_is_handed_over_it_leaves_the_queue(
        self, session: Session, handle: Handle, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The thread does not wait yet, the loop has the call already: no ghost either, and no answer to nobody."""
        loop, node = session._seam.portal.loop, cell.tree.nodes["/a"]
        with open_session(cell) as other:
            other.open("/a").acquire()
            attempts: list[Callable[[], object]] = [
                handle.acquire,
                lambda: session._seam.wait_for(handle._handle.acquire()),
            ]
            for attempt in attempts:
                interrupt_handover(monkeypatch, loop, lambda: until(lambda: bool(node.waiters)))
                with pytest.raises(KeyboardInterrupt):
                    attempt()
                until(lambda: not node.waiters)
        until(lambda: session.statistics().calls == 0)

    def test_interrupted_before_the_loop_heard_of_it_nothing_is_done(
        self, session: Session, handle: Handle, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not sent, not awaited, and nobody complains of a coroutine that was never begun."""
        loop = session._seam.portal.loop
        received = len(cell.received)
        attempts: list[Callable[[], object]] = [handle.get_lock_info, lambda: session.open("/a")]
        for attempt in attempts:
            interrupt_handover(monkeypatch, loop, None)
            with pytest.raises(KeyboardInterrupt):
                attempt()
        assert session.statistics().calls == 0
        assert not any(isinstance(frame, CallFrame) for frame in cell.received[received:])

    def test_a_thread_that_waits_when_another_closes_the_session_is_told(self, cell: FakeCell) -> None:
        """In a call, for an event, in a recipe: nobody waits for a loop that has ended."""
        session, holder = open_session(cell), open_session(cell)
        holder.open("/a", create=True).acquire()
        handle = session.open("/a", events=EventMask.CONTENTS_MODIFIED)
        events, barrier = handle.events(), chubby.Barrier(session, "/barrier", "me", 2)
        ended: list[type[BaseException] | None] = []

        def work(action: Callable[[], object]) -> None:
            try:
                action()
            except ChubbyError as error:
                ended.append(type(error))
            else:
                ended.append(None)

        actions: list[Callable[[], object]] = [handle.acquire, events.get, barrier.enter]
        threads = [threading.Thread(target=work, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        until(lambda: bool(cell.tree.nodes["/a"].waiters) and "/barrier/party-me" in cell.tree.nodes)
        session.close()
        holder.close()
        for thread in threads:
            thread.join(30)
        assert sorted(map(str, ended)) == sorted(map(str, [SessionExpired, None, SessionExpired]))

    def test_what_the_loop_never_got_to_is_an_error_not_a_wait(self, cell: FakeCell) -> None:
        """Another thread closed the last session between our look and our call."""
        session = open_session(cell)
        handle = session.open("/a", create=True)
        session.close()
        session._seam.closed = False
        attempts: list[Callable[[], object]] = [handle.get_lock_info, lambda: session.open("/a")]
        for attempt in attempts:
            with pytest.raises(SessionExpired, match="closed by its owner"):
                attempt()

    def test_at_the_end_of_the_process_open_sessions_are_closed(self, cell: FakeCell) -> None:
        """Locks are released now, not when the lease runs out."""
        session = open_session(cell)
        session.open("/a", create=True).acquire()
        portal._registry.close_all()
        assert session._seam.closed and not cell.sessions
