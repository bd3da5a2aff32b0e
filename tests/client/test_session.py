"""The asyncio face of a session, against a cell in the same process (DESIGN §6)."""

from __future__ import annotations

import asyncio

import pytest

from chubby import aio
from chubby.client.driver import boot_clock
from chubby.client.state import SessionState
from chubby.client.stream import Phase
from chubby.errors import (
    BadArgument,
    BadPath,
    ForkedProcess,
    MembershipRefused,
    NodeExists,
    NoNode,
    NoQuorum,
    SequencerInvalid,
    SessionExpired,
    TooLarge,
)
from chubby.types.calls import CreateMode, MemberAction, Mode
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.stream import CallFrame
from chubby.types.time import from_seconds
from chubby.types.transaction import Absent, Create, Read, Remove, Write
from tests.client.conftest import LEASE, lose, sleep_through, until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork


class TestOpening:
    """Names, options, handles."""

    async def test_open_may_be_awaited_or_entered(self, session: aio.Session) -> None:
        """Entered, it is closed in the end."""
        async with session.open("/ls/local/a", create=True, contents=b"1") as handle:
            assert handle.created and handle.name == "/ls/here/a" and handle.path == "/a"
            assert (await handle.get_contents_and_stat())[0] == b"1"
        again = await session.open("/a")
        assert not again.created and again.instance == handle.instance
        assert session.statistics().handles == 1
        await again.close()
        await again.close()
        assert session.statistics().handles == 0

    async def test_relative_to_a_handle(self, session: aio.Session) -> None:
        """The paper §2.6: name relative to a directory handle."""
        async with session.open("svc", create=True) as directory, directory.open("leader", create=True) as leader:
            assert leader.path == "/svc/leader"

    async def test_errors_are_typed(self, session: aio.Session) -> None:
        """And say which node."""
        with pytest.raises(NoNode, match="/missing"):
            await session.open("/missing")
        await session.open("/a", create=True)
        with pytest.raises(NodeExists):
            await session.open("/a", create=CreateMode.MUST)
        with pytest.raises(BadArgument):
            await session.open("/b", ephemeral=True)
        with pytest.raises(BadPath):
            await session.open("/a//b")

    async def test_absence_is_answered_from_the_cache(self, session: aio.Session, cell: FakeCell) -> None:
        """DESIGN §5: absence is cached, until somebody makes the node."""
        for _ in range(3):
            with pytest.raises(NoNode):
                await session.open("/missing")
        assert sum("/missing" in str(frame) for frame in cell.received) == 1
        cell.change(None, cell.tree.keys_of((Create("/missing"),)), lambda _: _made(cell), boot_clock())
        await until(lambda: "/missing" in cell.tree.nodes)
        await session.open("/missing")

    async def test_sequential_nodes_tell_their_names(self, session: aio.Session) -> None:
        """Ten digits."""
        await session.open("/q", create=True)
        names = [(await session.open("/q/item-", create=CreateMode.MUST, sequential=True)).path for _ in range(3)]
        assert names == [f"/q/item-{number:010d}" for number in (1, 2, 3)]

    async def test_what_the_protocol_cannot_carry_fails_alone(self, session: aio.Session) -> None:
        """Nothing is sent of it, and the session goes on."""
        handle = await session.open("/a", create=True)
        with pytest.raises(TooLarge):
            await handle.set_contents(b"x" * (2 << 20))
        await handle.set_contents(b"x")
        assert session.statistics().streams == 1

    async def test_cancelled_it_leaves_no_handle(self, session: aio.Session, cell: FakeCell) -> None:
        """Closed when its answer comes."""
        task = asyncio.ensure_future(_opened(session, "/e"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: session.statistics().calls == 0 and "/e" not in cell.tree.nodes)
        assert session.statistics().handles == 0


def _made(cell: FakeCell) -> None:
    cell.tree.transact((), (Create("/missing"),))


async def _opened(session: aio.Session, name: str) -> aio.Handle:
    return await session.open(name, create=True, ephemeral=True)


class TestCells:
    """Transactions, and what operators ask."""

    async def test_transactions(self, session: aio.Session) -> None:
        """`if all guards: then, else otherwise`."""
        made = await session.transaction([Absent("/ls/local/a")], [Create("/ls/local/a", b"1"), Read("/a")])
        assert made.succeeded and made.results[1].contents == b"1"
        lost = await session.transaction([Absent("/a")], [Create("/a")], [Write("/a", b"2")])
        assert not lost.succeeded and lost.failed_guard == 0
        with pytest.raises(NoNode):
            await session.transaction(then=[Write("/a", b"3"), Remove("/nothing")])
        handle = await session.open("/a")
        assert (await handle.get_contents_and_stat())[0] == b"2", "nothing changed"

    async def test_locks_and_sessions(self, session: aio.Session) -> None:
        """What `chubby locks` and `chubby sessions` show."""
        handle = await session.open("/a", create=True)
        await handle.acquire()
        (lock,) = await session.locks()
        assert (lock.path, lock.holders[0].session) == ("/a", session.id)
        assert [info.session for info in await session.sessions()] == [session.id]

    async def test_status_asks_the_master_or_whom_one_says(self, session: aio.Session, network: FakeNetwork) -> None:
        """And if it is not there, any other."""
        assert (await session.status()).cell == "here"
        assert (await session.status(ADDRESSES[2])).cell == "here"
        network.up = False
        with pytest.raises(NoQuorum, match="cannot be reached"):
            await session.status()

    async def test_sequencers_are_checked_without_a_handle(self, session: aio.Session) -> None:
        """By whoever was passed one."""
        handle = await session.open("/a", create=True)
        await handle.acquire()
        sequencer = await handle.get_sequencer()
        assert (await session.check_sequencer(sequencer)).token == sequencer.token
        await handle.release()
        with pytest.raises(SequencerInvalid):
            await session.check_sequencer(sequencer)

    async def test_membership_and_handing_over(self, session: aio.Session, cell: FakeCell) -> None:
        """What `chubby replica` and `chubby step-down` ask."""
        await session.step_down(2)
        with pytest.raises(MembershipRefused):
            await session.change_members(MemberAction.ADD, 6, "10.0.0.6:1", "10.0.0.6:2")
        with pytest.raises(MembershipRefused):
            await session.change_members(MemberAction.REMOVE, 3, incarnation=77)
        sent = " ".join(str(frame) for frame in cell.received)
        assert "StepDown(successor=2)" in sent and "client_address='10.0.0.6:2'" in sent
        assert "client_address='10.0.0.6:2', incarnation=None" in sent and "incarnation=77" in sent


class TestWatches:
    """Changes of a subtree, in order, none lost."""

    async def test_changes_arrive_in_order(self, session: aio.Session) -> None:
        """From now on."""
        await session.open("/d", create=True)
        async with session.watch("/d", recursive=True) as watch:
            handle = await session.open("/d/a", create=True)
            await handle.set_contents(b"1")
            await handle.delete()
            kinds = [(await anext(watch)).kind for _ in range(3)]
        assert kinds == [EventKind.CREATED, EventKind.CONTENTS_MODIFIED, EventKind.DELETED]

    async def test_since_a_revision(self, session: aio.Session) -> None:
        """Of an earlier result."""
        handle = await session.open("/a", create=True)
        revision = (await session.transaction(then=[Write("/a", b"1")])).revision
        await handle.set_contents(b"2")
        await handle.set_contents(b"3")
        watch = await session.watch("/a", since_revision=revision)
        assert watch.revision == revision
        told = [await anext(watch) for _ in range(2)]
        assert [event.revision for event in told] == [revision + 1, revision + 2]

    async def test_across_connections_and_masters_each_once(
        self, session: aio.Session, network: FakeNetwork, cell: FakeCell
    ) -> None:
        """Resume names the cursor; what was told is not told again."""
        handle = await session.open("/a", create=True)
        watch = await session.watch("/a")
        for number in range(12):
            if number % 4 == 1:
                network.cut()
            elif number % 4 == 3:
                await network.fail_over(ADDRESSES[number % 3])
            await handle.set_contents(b"%d" % number)
        told = [await anext(watch) for _ in range(12)]
        assert [event.revision for event in told] == sorted({event.revision for event in told})
        assert watch._mailbox.take() is None
        await watch.close()
        await watch.close()
        assert session.statistics().watches == 0

    async def test_callbacks(self, session: aio.Session) -> None:
        """In a thread of their own; ended by what `on_event` gives."""
        seen: list[Event] = []
        async with session.watch("/a") as watch:
            undo = watch.on_event(seen.append)
            handle = await session.open("/a", create=True)
            await until(lambda: len(seen) == 1)
            undo()
            await handle.set_contents(b"1")
            assert (await anext(watch)).kind is EventKind.CONTENTS_MODIFIED
        assert len(seen) == 1

    async def test_closing_ends_the_iteration(self, session: aio.Session) -> None:
        """Whoever waits is let go."""
        watch = await session.watch("/a")
        task = asyncio.ensure_future(_count(watch))
        await asyncio.sleep(0.01)
        await watch.close()
        assert await task == 0


async def _count(watch: aio.Watch) -> int:
    return len([event async for event in watch])


class TestStates:
    """Jeopardy, safe, expired: on time, and to everybody who asked."""

    async def test_everybody_hears_from_the_present_state_on(self, session: aio.Session, network: FakeNetwork) -> None:
        """Two listeners do not take from each other."""
        first, second, seen = session.states(), session.states(), list[SessionState]()
        undo = session.on_state(seen.append)
        assert await anext(first) is SessionState.NORMAL
        assert await anext(second) is SessionState.NORMAL
        await until(lambda: seen == [SessionState.NORMAL])
        undo()
        undo()

    async def test_jeopardy_then_safe(self, session: aio.Session, network: FakeNetwork, cell: FakeCell) -> None:
        """Calls wait meanwhile, and nothing was lost."""
        states = session.states()
        handle = await session.open("/a", create=True)
        token = (await handle.acquire()).token
        network.up = False
        sleep_through(session, LEASE)
        assert [await anext(states), await anext(states)] == [SessionState.NORMAL, SessionState.JEOPARDY]
        assert not session.certain
        call = asyncio.ensure_future(handle.set_contents(b"1"))
        await asyncio.sleep(0)
        assert not call.done() and cell.tree.nodes["/a"].contents == b""
        network.up = True
        assert await anext(states) is SessionState.SAFE
        await call
        assert session.certain and (await handle.get_sequencer()).token == token

    async def test_asleep_for_longer_than_the_lease(self, session: aio.Session) -> None:
        """The very next look says so, before the loop has come round; nothing is answered from the cache (§6)."""
        handle = await session.open("/a", create=True)
        await handle.get_contents_and_stat()
        assert session._driver.near(handle.number) is not None
        asleep = session._driver.clock
        session._driver.clock = lambda: asleep() + from_seconds(LEASE)
        assert session.statistics().state is SessionState.NORMAL and not session.certain
        assert session._driver.near(handle.number) is None
        call = asyncio.ensure_future(handle.get_contents_and_stat())
        await until(lambda: session.state is not SessionState.NORMAL)
        assert (await call)[0] == b"" and session.statistics().state is SessionState.SAFE

    async def test_expired_everything_fails_and_iterations_raise(self, cell: FakeCell) -> None:
        """DESIGN §6: every later call on every handle fails."""
        network = FakeNetwork(cell)
        async with aio.connect("/ls/local", addresses=ADDRESSES, network=network) as session:
            handle = await session.open("/a", create=True, events=EventMask.CONTENTS_MODIFIED)
            silent = await session.open("/a")
            watch, states = await session.watch("/a"), session.states()
            lose(session)
            with pytest.raises(SessionExpired):
                await anext(handle.events())
            with pytest.raises(SessionExpired):
                await anext(watch)
            assert [state async for state in states][-1] is SessionState.EXPIRED
            for call in (handle.get_stat(), handle.acquire(), session.locks()):
                with pytest.raises(SessionExpired):
                    await call
            with pytest.raises(SessionExpired):
                await session.open("/a")
            with pytest.raises(SessionExpired):
                await anext(silent.events())
            await handle.close()
            await watch.close()
            assert session.state is SessionState.EXPIRED
            assert await anext(session.states()) is SessionState.EXPIRED

    async def test_a_new_epoch_is_gone_to_at_once(self, session: aio.Session, network: FakeNetwork) -> None:
        """DESIGN §6: the idle watch tells of it, long before silence would."""
        await until(lambda: session._driver.locator._following is not None)
        await asyncio.sleep(0.05)
        network.cell.epoch += 1
        network.master = ADDRESSES[1]
        await network.announce()
        await until(lambda: network.connected_to[-1] == ADDRESSES[1])
        await until(lambda: session._driver.core._stream.phase is Phase.ESTABLISHED)
        assert session.state is SessionState.NORMAL


async def test_in_a_fork_everything_is_refused(session: aio.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process id tells; nothing hangs."""
    handle = await session.open("/a", create=True)
    session._driver._pid += 1
    for attempt in (handle.get_stat(), handle.close(), session.close()):
        with pytest.raises(ForkedProcess, match="open a session of your own"):
            await attempt
    with pytest.raises(ForkedProcess):
        handle.poison()
    session._driver._pid -= 1


async def test_no_call_costs_a_task(session: aio.Session) -> None:
    """DESIGN §7: everything is batched by nature."""
    handle = await session.open("/a", create=True, mode=Mode.READ)
    before = len(asyncio.all_tasks())
    calls = [handle.get_lock_info() for _ in range(50)]
    pending = [call.send(None) for call in calls]
    assert len(asyncio.all_tasks()) == before
    waiting = [frame for frame in session._driver._outgoing if isinstance(frame, CallFrame)]
    assert len(waiting) == 50, "and all of them leave together"
    for call in calls:
        call.close()
    assert all(future is not None for future in pending)
