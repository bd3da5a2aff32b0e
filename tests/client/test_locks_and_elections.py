"""Lock and Election: one at a time, known to everybody, and honest about doubt (DESIGN §6)."""

from __future__ import annotations

import asyncio

import pytest

from chubby import aio
from chubby.client.driver import boot_clock
from chubby.client.recipes.election import AsyncElection
from chubby.client.recipes.lock import AsyncLock
from chubby.errors import DeadlineExceeded, HandleInvalid, LockNotHeld, SequencerInvalid, SessionExpired
from chubby.types.nodes import LockMode
from tests.client.conftest import GRACE, LEASE, Another, cut_off, sleep_through, until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import FakeNetwork


def waiters(cell: FakeCell, path: str) -> int:
    """How many wait for the lock of a node."""
    node = cell.tree.nodes.get(path)
    return len(node.waiters) if node else 0


class TestLock:
    """A named mutex with a fencing token."""

    async def test_one_at_a_time_and_tokens_grow(self, session: aio.Session, another: Another, cell: FakeCell) -> None:
        """Whoever is next gets it when the first one leaves."""
        second = await another()
        async with AsyncLock(session, "/lock") as first_held:
            task = asyncio.ensure_future(AsyncLock(second, "/lock").acquire())
            await until(lambda: waiters(cell, "/lock") == 1)
            first_held.ensure()
            assert first_held.certain
        second_held = await task
        assert second_held.token > first_held.token
        assert (await session.check_sequencer(second_held.sequencer)).token == second_held.token

    async def test_out_of_time(self, session: aio.Session, another: Another, cell: FakeCell) -> None:
        """DeadlineExceeded; nothing is left, neither in the queue nor open."""
        second = await another()
        async with AsyncLock(session, "/lock"):
            with pytest.raises(DeadlineExceeded):
                await AsyncLock(second, "/lock", timeout=0.05).acquire()
            assert waiters(cell, "/lock") == 0 and second.statistics().handles == 0

    async def test_shared(self, session: aio.Session, another: Another) -> None:
        """Readers together."""
        second = await another()
        mode = LockMode.SHARED
        async with AsyncLock(session, "/lock", mode=mode) as ours, AsyncLock(second, "/lock", mode=mode) as theirs:
            assert ours.token == theirs.token

    async def test_uncertain_in_jeopardy_lost_at_the_end(self, another: Another, cell: FakeCell) -> None:
        """`ensure` raises before anybody else can get the lock; leaving never fails."""
        session = await another()
        async with AsyncLock(session, "/lock", lock_delay=1.0) as held:
            cut_off(session)
            sleep_through(session, LEASE)
            assert cell.tree.nodes["/lock"].holders, "nobody else can have it yet"
            assert not held.certain
            with pytest.raises(SessionExpired, match="may be lost: the session lease ran out"):
                held.ensure()
            sleep_through(session, GRACE)
            with pytest.raises(SessionExpired, match="is lost: the session is expired"):
                held.ensure()

    async def test_safe_again_it_is_held_as_before(
        self, session: aio.Session, network: FakeNetwork, another: Another, cell: FakeCell
    ) -> None:
        """Jeopardy is doubt, not loss: the same token, and whoever waits goes on waiting."""
        second = await another()
        async with AsyncLock(session, "/lock") as held:
            task = asyncio.ensure_future(AsyncLock(second, "/lock").acquire())
            await until(lambda: waiters(cell, "/lock") == 1)
            network.up = False
            sleep_through(session, LEASE)
            assert not held.certain
            network.up = True
            await until(lambda: held.certain)
            held.ensure()
            assert (await session.check_sequencer(held.sequencer)).token == held.token
            assert not task.done()
        assert (await task).token > held.token

    async def test_a_holder_that_is_killed(self, session: aio.Session, another: Another, cell: FakeCell) -> None:
        """Without a word: its lock goes to the next once the cell has let its session expire, not before."""
        victim = await another()
        held = await AsyncLock(victim, "/lock").acquire()
        cut_off(victim)
        task = asyncio.ensure_future(AsyncLock(session, "/lock").acquire())
        await until(lambda: waiters(cell, "/lock") == 1)
        assert not task.done()
        cell.expire(victim.id, boot_clock())
        assert (await task).token > held.token
        with pytest.raises(SequencerInvalid):
            await session.check_sequencer(held.sequencer)

    async def test_a_waiter_that_is_killed_leaves_the_queue(
        self, session: aio.Session, another: Another, cell: FakeCell
    ) -> None:
        """pains: an orphan in the queue. A waiter dies with its session, and the one behind it moves up."""
        victim, third = await another(), await another()
        async with AsyncLock(session, "/lock"):
            dying = asyncio.ensure_future(AsyncLock(victim, "/lock").acquire())
            await until(lambda: waiters(cell, "/lock") == 1)
            task = asyncio.ensure_future(AsyncLock(third, "/lock").acquire())
            await until(lambda: waiters(cell, "/lock") == 2)
            cell.expire(victim.id, boot_clock())
            with pytest.raises(SessionExpired):
                await dying
            assert waiters(cell, "/lock") == 1
        assert (await task).token > 0

    async def test_its_node_is_deleted_meanwhile(self, session: aio.Session, another: Another, cell: FakeCell) -> None:
        """By whoever may: a waiter is told, and nothing of it is left open."""
        second = await another()
        async with AsyncLock(session, "/lock"):
            waiting = asyncio.ensure_future(AsyncLock(second, "/lock").acquire())
            await until(lambda: waiters(cell, "/lock") == 1)
            await (await session.open("/lock")).delete()
            with pytest.raises(HandleInvalid):
                await waiting
            assert second.statistics().handles == 0

    async def test_it_is_not_reentrant(self, session: aio.Session) -> None:
        """A second acquire would wait for itself; it says so. Released, it can be taken again."""
        lock = AsyncLock(session, "/lock")
        await lock.acquire()
        with pytest.raises(AssertionError, match="reentrant"):
            await lock.acquire()
        await lock.release()
        await lock.release()
        async with lock:
            pass


class TestElection:
    """One leader among many, known to everybody."""

    async def test_one_leads_the_next_takes_over(self, session: aio.Session, another: Another, cell: FakeCell) -> None:
        """And everybody is told of each."""
        second, observer = await another(), await another()
        seen: list[bytes] = []

        async def observe() -> None:
            async for value in AsyncElection(observer, "/leader").leaders():
                seen.append(value)

        async with AsyncElection(session, "/leader", b"first") as leadership:
            watching = asyncio.ensure_future(observe())
            task = asyncio.ensure_future(AsyncElection(second, "/leader", b"second").campaign())
            await until(lambda: waiters(cell, "/leader") == 1 and seen == [b"first"])
            assert await AsyncElection(observer, "/leader").leader() == b"first"
            assert leadership.certain
            await leadership.announce(b"first, moved")
            await until(lambda: seen[-1] == b"first, moved")
        following = await task
        assert following.token > leadership.token
        await until(lambda: seen[-1] == b"second")
        watching.cancel()

    async def test_nobody_yet(self, session: aio.Session) -> None:
        """Empty."""
        assert await AsyncElection(session, "/leader").leader() == b""

    async def test_a_deposed_leader_does_not_overwrite_its_successor(
        self, session: aio.Session, another: Another, cell: FakeCell
    ) -> None:
        """Announcing is guarded by the token."""
        first, second = (
            AsyncElection(session, "/leader", b"first"),
            AsyncElection(await another(), "/leader", b"second"),
        )
        old = await first.campaign()
        await old.handle.release()
        await second.campaign()
        with pytest.raises(LockNotHeld):
            await old.announce(b"still me")
        await first.resign()
        assert cell.tree.nodes["/leader"].contents == b"second"

    async def test_resigning_empties_the_file(self, session: aio.Session, cell: FakeCell) -> None:
        """At once, and twice does no harm."""
        election = AsyncElection(session, "/leader", b"me")
        await election.campaign()
        await election.resign()
        await election.resign()
        assert cell.tree.nodes["/leader"].contents == b"" and not cell.tree.nodes["/leader"].holders

    async def test_out_of_time_or_cancelled_nothing_is_left(
        self, session: aio.Session, another: Another, cell: FakeCell
    ) -> None:
        """Neither in the queue nor open."""
        second = await another()
        async with AsyncElection(session, "/leader"):
            with pytest.raises(DeadlineExceeded):
                await AsyncElection(second, "/leader").campaign(timeout=0.05)
            task = asyncio.ensure_future(AsyncElection(second, "/leader").campaign())
            await until(lambda: waiters(cell, "/leader") == 1)
            task.cancel()
            await until(lambda: waiters(cell, "/leader") == 0)
            await until(lambda: second.statistics().handles == 0)

    async def test_told_when_it_is_over(self, session: aio.Session, another: Another) -> None:
        """`lost`: the node was deleted, or we resigned."""
        election = AsyncElection(session, "/leader")
        leadership = await election.campaign()
        waiting = asyncio.ensure_future(leadership.lost())
        theirs = await (await another()).open("/leader")
        await theirs.delete()
        assert "deleted" in await waiting
        await election.resign()
        leadership = await AsyncElection(session, "/leader").campaign()
        waiting = asyncio.ensure_future(leadership.lost())
        await asyncio.sleep(0)
        await leadership.handle.close()
        assert await waiting == "resigned"

    async def test_told_when_the_session_is_lost(self, another: Another) -> None:
        """And that is final; a jeopardy before is not told as a loss."""
        session = await another()
        leadership = await AsyncElection(session, "/leader").campaign()
        waiting = asyncio.ensure_future(leadership.lost())
        cut_off(session)
        sleep_through(session, LEASE)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done() and not leadership.certain
        sleep_through(session, GRACE)
        assert "lease" in await waiting
        with pytest.raises(SessionExpired):
            await leadership.announce(b"still me")

    async def test_a_leader_that_is_killed_is_succeeded(
        self, session: aio.Session, another: Another, cell: FakeCell
    ) -> None:
        """Its value stands until its successor writes its own; the followers see no gap."""
        victim = await another()
        await AsyncElection(victim, "/leader", b"victim").campaign()
        task = asyncio.ensure_future(AsyncElection(session, "/leader", b"heir").campaign())
        await until(lambda: waiters(cell, "/leader") == 1)
        cut_off(victim)
        assert await AsyncElection(session, "/leader").leader() == b"victim"
        cell.expire(victim.id, boot_clock())
        await task
        assert await AsyncElection(session, "/leader").leader() == b"heir"

    async def test_resigning_in_jeopardy_waits_for_no_master(self, another: Another, cell: FakeCell) -> None:
        """The file cannot be emptied now; resigning never fails, and the end of the session releases the lock."""
        session = await another()
        election = AsyncElection(session, "/leader", b"me")
        await election.campaign()
        cut_off(session)
        sleep_through(session, LEASE)
        resigning = asyncio.ensure_future(election.resign())
        await asyncio.sleep(0)
        sleep_through(session, GRACE)
        await resigning
        assert cell.tree.nodes["/leader"].contents == b"me"
