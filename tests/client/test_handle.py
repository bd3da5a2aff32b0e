"""The asyncio face of a handle: the paper's calls, one by one (DESIGN §6; paper §2.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from chubby import aio
from chubby.errors import (
    DeadlineExceeded,
    GenerationMismatch,
    HandleInvalid,
    HandlePoisoned,
    LockConflict,
    LockNotHeld,
    NotEmpty,
    OutcomeUnknown,
    SequencerInvalid,
)
from chubby.types.events import EventKind, EventMask
from chubby.types.nodes import AclNames, LockMode
from tests.client.conftest import until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork


@pytest.fixture
async def handle(session: aio.Session) -> aio.Handle:
    """A handle on `/a`."""
    return await session.open("/a", create=True, contents=b"first")


@pytest.fixture
async def other(network: FakeNetwork, handle: aio.Handle) -> AsyncIterator[aio.Handle]:
    """Another session's handle on `/a`."""
    theirs = FakeNetwork(network.cell)
    async with aio.connect("/ls/local", addresses=ADDRESSES, network=theirs) as session:
        yield await session.open("/a", events={EventMask.LOCK_ACQUIRED, EventMask.CONTENTS_MODIFIED})


class TestReading:
    """From the cache when it can."""

    async def test_content_and_metadata_of_one_instant(self, handle: aio.Handle) -> None:
        """GetContentsAndStat, GetStat."""
        contents, stat = await handle.get_contents_and_stat()
        assert contents == b"first" and stat.length == 5
        assert await handle.get_stat() == stat

    async def test_again_without_asking_the_master(self, handle: aio.Handle, cell: FakeCell) -> None:
        """DESIGN §5; and after a change by somebody else, asking."""
        await handle.get_contents_and_stat()
        asked = len(cell.received)
        for _ in range(100):
            await handle.get_contents_and_stat()
            await handle.get_stat()
        assert len(cell.received) == asked

    async def test_never_stale(self, handle: aio.Handle, other: aio.Handle) -> None:
        """Once their write is answered, our read shows it."""
        for number in range(20):
            await handle.get_contents_and_stat()
            await other.set_contents(b"%d" % number)
            assert (await handle.get_contents_and_stat())[0] == b"%d" % number

    async def test_directories(self, session: aio.Session, cell: FakeCell) -> None:
        """Whole, or page by page; a whole one is cached with its children's metadata."""
        directory = await session.open("/d", create=True)
        for name in "cab":
            await directory.open(name, create=True)
        assert [entry.name for entry in await directory.read_dir()] == ["a", "b", "c"]
        asked = len(cell.received)
        assert [entry.name for entry in await directory.read_dir()] == ["a", "b", "c"]
        page, more = await directory.read_dir_page(limit=2)
        assert [entry.name for entry in page] == ["a", "b"] and more
        rest, more = await directory.read_dir_page(after="b")
        assert [entry.name for entry in rest] == ["c"] and not more
        assert len(cell.received) == asked

    async def test_the_lock_is_never_cached(self, handle: aio.Handle) -> None:
        """DESIGN §5: lock fields are never cached."""
        assert (await handle.get_lock_info()).mode is None
        await handle.acquire(LockMode.SHARED)
        assert (await handle.get_lock_info()).mode is LockMode.SHARED


class TestChanging:
    """Content, ACLs, attributes, the node itself."""

    async def test_compare_and_set(self, handle: aio.Handle, other: aio.Handle) -> None:
        """Of two who read the same generation one wins."""
        generation = (await handle.get_stat()).content_generation
        await handle.set_contents(b"ours", generation=generation)
        with pytest.raises(GenerationMismatch):
            await other.set_contents(b"theirs", generation=generation)
        assert (await other.get_contents_and_stat())[0] == b"ours"

    async def test_acl_names_and_attributes(self, handle: aio.Handle) -> None:
        """Both are metadata."""
        acl = AclNames("anyone", "ops", "ops")
        assert (await handle.set_acl(acl)).acl == acl
        with pytest.raises(GenerationMismatch):
            await handle.set_acl(acl, generation=1)
        await handle.set_attributes({"a": b"1", "b": b"2"})
        assert (await handle.set_attributes({"a": b""})).attributes == {"b": b"2"}

    async def test_delete(self, session: aio.Session, handle: aio.Handle) -> None:
        """A handle is bound to its instance, though the name comes back."""
        child = await handle.open("child", create=True)
        with pytest.raises(NotEmpty):
            await handle.delete()
        await child.delete()
        await handle.delete()
        await session.open("/a", create=True)
        with pytest.raises(HandleInvalid):
            await handle.get_stat()

    async def test_the_session_may_limit_every_call(self, network: FakeNetwork) -> None:
        """`call_timeout`; a call that says otherwise, does otherwise; waiting for a lock is not limited by it."""
        theirs = FakeNetwork(network.cell)
        async with aio.connect("/ls/local", addresses=ADDRESSES, network=theirs, call_timeout=0.2) as session:
            handle = await session.open("/a", create=True)
            await handle.acquire()
            second = await session.open("/a")
            waiting = asyncio.ensure_future(second.acquire())
            network.cell.mute = True
            with pytest.raises(OutcomeUnknown):
                await handle.set_contents(b"1")
            with pytest.raises(DeadlineExceeded):
                await handle.get_lock_info(timeout=0.1)
            network.cell.mute = False
            assert not waiting.done()
            theirs.cut()
            await handle.release(timeout=30)
            await waiting


class TestLocking:
    """Advisory, in line, with tokens."""

    async def test_first_come_first_served(self, handle: aio.Handle, other: aio.Handle, cell: FakeCell) -> None:
        """A release wakes whoever waits, and the token grows."""
        ours = await handle.acquire()
        waiting = asyncio.ensure_future(other.acquire())
        await until(lambda: bool(cell.tree.nodes["/a"].waiters))
        with pytest.raises(LockConflict):
            await other.try_acquire()
        await handle.release()
        theirs = await waiting
        assert theirs.token > ours.token
        event = await anext(other.events())
        assert event.kind is EventKind.LOCK_ACQUIRED
        with pytest.raises(LockNotHeld):
            await handle.release()

    async def test_shared(self, handle: aio.Handle, other: aio.Handle) -> None:
        """Readers share one hold period, and one token."""
        ours, theirs = await handle.acquire(LockMode.SHARED), await other.acquire(LockMode.SHARED)
        assert ours.token == theirs.token

    async def test_out_of_time_it_leaves_no_ghost(self, handle: aio.Handle, other: aio.Handle, cell: FakeCell) -> None:
        """pains: a failed acquire leaves an orphan in the queue."""
        await other.acquire()
        with pytest.raises(DeadlineExceeded, match="not granted within"):
            await handle.acquire(timeout=0.1)
        assert not cell.tree.nodes["/a"].waiters

    async def test_cancelled_it_leaves_no_ghost(self, handle: aio.Handle, other: aio.Handle, cell: FakeCell) -> None:
        """`task.cancel()`, `asyncio.timeout`, whatever ends the waiting."""
        await other.acquire()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await handle.acquire()
        await until(lambda: not cell.tree.nodes["/a"].waiters)
        await other.release()
        await handle.try_acquire()

    async def test_granted_while_cancelled_it_is_given_back(
        self, handle: aio.Handle, other: aio.Handle, cell: FakeCell
    ) -> None:
        """The grant was on its way, and never arrived."""
        cell.mute = True
        task = asyncio.ensure_future(handle.acquire())
        await until(lambda: bool(cell.tree.nodes["/a"].holders))
        cell.mute = False
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await other.acquire(timeout=30)

    async def test_it_survives_a_fail_over(self, handle: aio.Handle, other: aio.Handle, network: FakeNetwork) -> None:
        """DESIGN §1: locks, handles and queued lock requests survive."""
        token = (await handle.acquire()).token
        waiting = asyncio.ensure_future(other.acquire())
        await until(lambda: bool(network.cell.tree.nodes["/a"].waiters))
        await network.fail_over(ADDRESSES[1])
        assert (await handle.get_sequencer()).token == token
        await handle.release()
        assert (await waiting).token > token

    async def test_sequencers(self, handle: aio.Handle, other: aio.Handle) -> None:
        """GetSequencer, CheckSequencer, SetSequencer."""
        with pytest.raises(LockNotHeld):
            await handle.get_sequencer()
        await handle.acquire()
        sequencer = await handle.get_sequencer()
        assert (await other.check_sequencer(sequencer)).token == sequencer.token
        await other.set_sequencer(sequencer)
        await other.set_contents(b"guarded")
        await handle.release()
        with pytest.raises(SequencerInvalid):
            await other.get_contents_and_stat()

    async def test_a_bound_sequencer_survives_a_fail_over(
        self, handle: aio.Handle, other: aio.Handle, network: FakeNetwork
    ) -> None:
        """The new master is told of it before anything else goes through the handle."""
        await handle.acquire()
        await other.set_sequencer(await handle.get_sequencer())
        await network.fail_over(ADDRESSES[1])
        await other.set_contents(b"still guarded")
        await handle.release()
        with pytest.raises(SequencerInvalid):
            await other.set_contents(b"too late")


class TestEnds:
    """Close, poison, events."""

    async def test_close_never_fails_and_lets_go(self, handle: aio.Handle, cell: FakeCell) -> None:
        """Locks too."""
        await handle.acquire()
        await handle.close()
        assert not cell.tree.nodes["/a"].holders
        await handle.close()
        with pytest.raises(HandleInvalid, match="closed"):
            await handle.get_stat()

    async def test_poison(self, handle: aio.Handle, other: aio.Handle, cell: FakeCell) -> None:
        """Outstanding and later calls fail, without closing."""
        await other.acquire()
        waiting = asyncio.ensure_future(handle.acquire())
        await until(lambda: bool(cell.tree.nodes["/a"].waiters))
        handle.poison()
        with pytest.raises(HandlePoisoned):
            await waiting
        with pytest.raises(HandlePoisoned):
            await handle.get_contents_and_stat()
        await until(lambda: not cell.tree.nodes["/a"].waiters)
        await handle.close()

    async def test_events_from_the_first_one_on(self, session: aio.Session, other: aio.Handle) -> None:
        """Those that came before anybody looked, too."""
        watcher = await session.open("/a", events={EventMask.CONTENTS_MODIFIED, EventMask.HANDLE_INVALID})
        await other.set_contents(b"1")
        await other.set_contents(b"2")
        await until(lambda: len(session._driver.handle_mail[watcher.number]) == 2)
        seen: list[EventKind] = []
        watcher.on_event(lambda event: seen.append(event.kind))
        await other.delete()
        await until(lambda: len(seen) == 3)
        assert seen == [EventKind.CONTENTS_MODIFIED, EventKind.CONTENTS_MODIFIED, EventKind.HANDLE_INVALID]

    async def test_closing_ends_the_iteration(self, handle: aio.Handle) -> None:
        """Whoever waits is let go."""

        async def count() -> int:
            return len([event async for event in handle.events()])

        task = asyncio.ensure_future(count())
        await asyncio.sleep(0.01)
        await handle.close()
        assert await task == 0

    async def test_once_closed_there_is_nothing_to_wait_for(self, handle: aio.Handle) -> None:
        """Whoever asks for events of a closed handle gets none, at once."""
        await handle.close()
        assert [event async for event in handle.events()] == []
