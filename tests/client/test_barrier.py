"""Barrier: wait for each other before and after a step, whoever dies (DESIGN §6)."""

from __future__ import annotations

import asyncio

import pytest

from chubby import aio
from chubby.client.driver import boot_clock
from chubby.client.recipes.barrier import AsyncBarrier
from chubby.errors import DeadlineExceeded, SessionExpired
from chubby.types.transaction import Create
from tests.client.conftest import LEASE, Another, lose, sleep_through, until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import FakeNetwork


class TestBarrier:
    """Wait for each other before and after a step."""

    async def test_all_enter_then_all_leave_round_after_round(self, another: Another) -> None:
        """Nobody is a round ahead of anybody else, and nobody is left behind."""
        parties = [await another() for _ in range(3)]
        inside, rounds = 0, 4
        problems: list[str] = []

        async def work(index: int) -> None:
            nonlocal inside
            for _ in range(rounds):
                async with AsyncBarrier(parties[index], "/barrier", f"p{index}", 3):
                    inside += 1
                    await asyncio.sleep(0.002 * index)
                    if not 1 <= inside <= 3:
                        problems.append(f"{inside} inside")
                inside -= 1

        async with asyncio.timeout(60):
            await asyncio.gather(*(work(index) for index in range(3)))
        assert not problems and inside == 0

    async def test_none_enters_before_the_last(self, session: aio.Session, another: Another) -> None:
        """Two of three wait."""
        entered: list[int] = []

        async def enter(index: int, who: aio.Session) -> None:
            await AsyncBarrier(who, "/barrier", f"p{index}", 3).enter()
            entered.append(index)

        tasks = [asyncio.ensure_future(enter(index, await another())) for index in range(2)]
        await until(lambda: len(session._driver.core.desk.flights) == 0)
        directory = await session.open("/barrier", create=True)
        async with asyncio.timeout(30):
            while len(await directory.read_dir()) < 2:
                await asyncio.sleep(0.01)
        assert entered == []
        await enter(2, session)
        await asyncio.gather(*tasks)
        assert sorted(entered) == [0, 1, 2]

    async def test_out_of_time_ones_node_is_gone(self, session: aio.Session, cell: FakeCell) -> None:
        """So that the others do not count it."""
        with pytest.raises(DeadlineExceeded, match="not all 2 parties"):
            await AsyncBarrier(session, "/barrier", "me", 2).enter(timeout=0.05)
        await until(lambda: "/barrier/party-me" not in cell.tree.nodes)
        assert session.statistics().handles == 0

    async def test_a_dead_party_has_left(self, session: aio.Session, another: Another) -> None:
        """Its node went with its session."""
        other = await another()
        ours, theirs = AsyncBarrier(session, "/barrier", "a", 2), AsyncBarrier(other, "/barrier", "b", 2)
        await asyncio.gather(ours.enter(), theirs.enter())
        leaving = asyncio.ensure_future(ours.leave())
        await asyncio.sleep(0.01)
        assert not leaving.done()
        await other.close()
        await asyncio.wait_for(leaving, 30)

    async def test_the_mark_of_the_dead_is_removed(self, session: aio.Session, cell: FakeCell) -> None:
        """All died inside; the next round must not walk through their open door."""
        cell.tree.transact((), (Create("/barrier"), Create("/barrier/ready")))
        with pytest.raises(DeadlineExceeded):
            await AsyncBarrier(session, "/barrier", "me", 2).enter(timeout=0.1)
        assert "/barrier/ready" not in cell.tree.nodes

    async def test_leaving_without_having_entered(self, session: aio.Session) -> None:
        """Nothing happens."""
        await AsyncBarrier(session, "/barrier", "me", 2).leave()

    async def test_a_jeopardy_while_one_waits_is_waited_out(
        self, session: aio.Session, network: FakeNetwork, another: Another, cell: FakeCell
    ) -> None:
        """Nobody enters twice, nobody is forgotten: who was cut off for a while hears of the last to come."""
        waiting = asyncio.ensure_future(AsyncBarrier(session, "/barrier", "a", 2).enter())
        await until(lambda: "/barrier/party-a" in cell.tree.nodes)
        network.up = False
        sleep_through(session, LEASE)
        other = AsyncBarrier(await another(), "/barrier", "b", 2)
        await other.enter()
        assert not waiting.done()
        network.up = True
        await asyncio.wait_for(waiting, 30)

    async def test_a_session_lost_while_one_waits_is_an_error(self, another: Another, cell: FakeCell) -> None:
        """Whoever waits to enter or to leave is told; its node is gone for the others when the cell knows of it."""
        lost, stays = await another(), await another()
        entering = asyncio.ensure_future(AsyncBarrier(lost, "/barrier", "a", 3).enter())
        await until(lambda: "/barrier/party-a" in cell.tree.nodes)
        lose(lost)
        with pytest.raises(SessionExpired):
            await entering
        cell.expire(lost.id, boot_clock())
        await until(lambda: "/barrier/party-a" not in cell.tree.nodes)
        with pytest.raises(DeadlineExceeded):
            await AsyncBarrier(stays, "/barrier", "b", 2).enter(timeout=0.05)

    async def test_a_session_closed_while_one_waits_is_an_error_too(self, another: Another, cell: FakeCell) -> None:
        """By another task: not the end of some iteration, which would mean nothing to whoever entered."""
        closing = await another()
        entering = asyncio.ensure_future(AsyncBarrier(closing, "/barrier", "a", 2).enter())
        await until(lambda: "/barrier/party-a" in cell.tree.nodes and closing.statistics().calls == 0)
        await closing.close()
        with pytest.raises(SessionExpired, match="closed by its owner"):
            await asyncio.wait_for(entering, 30)
