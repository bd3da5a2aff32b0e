"""A thread's own check ends a call that waits, and leaves nothing behind (DESIGN §6 timeouts and cancellation)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from chubby.client.waiting import FIRST, LONGEST, SLICE, Patience, heed
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import open_session, until


@pytest.fixture(autouse=True)
def heedless() -> Iterator[None]:
    """No check outlives its test."""
    yield
    heed(None)


def interruption() -> None:
    """A check that ends the wait."""
    raise InterruptedError("nobody is interested any more")


def test_a_check_ends_an_acquire_without_a_ghost(cell: FakeCell) -> None:
    """What it raises comes out, the queue is left, and the session goes on."""
    with open_session(cell) as session, open_session(cell) as other:
        holder = other.open("/a", create=True)
        holder.acquire()
        handle, node = session.open("/a"), cell.tree.nodes["/a"]
        heed(lambda: interruption() if node.waiters else None)
        with pytest.raises(InterruptedError, match="nobody is interested"):
            handle.acquire()
        heed(None)
        until(lambda: not node.waiters)
        holder.release()
        handle.try_acquire()


def test_a_check_ends_what_waits_in_jeopardy(cell: FakeCell) -> None:
    """Any call, not acquire alone."""
    with open_session(cell) as session:
        session.open("/a", create=True)
        cell.mute = True
        heed(interruption)
        with pytest.raises(InterruptedError):
            session.open("/b")
        heed(None)
        cell.mute = False


def test_it_is_the_thread_s_own(cell: FakeCell) -> None:
    """Another thread waits as before."""
    with open_session(cell) as session, open_session(cell) as other:
        holder = other.open("/a", create=True)
        holder.acquire()
        handle, node, got = session.open("/a"), cell.tree.nodes["/a"], threading.Event()

        def wait() -> None:
            handle.acquire()
            got.set()

        heed(interruption)
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: bool(node.waiters))
        heed(None)
        holder.release()
        assert got.wait(60)
        thread.join()


def test_looking_up_becomes_rarer() -> None:
    """A thousand waiting threads should cost little; one without a check looks up for signals alone."""
    assert Patience().slice == SLICE
    checks: list[Callable[[], object]] = []
    heed(lambda: checks.append(interruption))
    patience, slices = Patience(), []
    for _ in range(20):
        slices.append(patience.slice)
        patience.look_up()
    assert slices[0] == FIRST and slices[-1] == LONGEST and slices == sorted(slices) and len(checks) == 20
