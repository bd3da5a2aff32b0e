"""Election, Lock, ServiceRegistry, ConfigWatcher, Barrier: what they promise, and their error handling (DESIGN §6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from chubby import aio
from chubby.client.recipes.barrier import AsyncBarrier
from chubby.client.recipes.election import AsyncElection
from chubby.client.recipes.lock import AsyncLock
from chubby.client.recipes.service_registry import AsyncServiceRegistry, Instance
from chubby.errors import DeadlineExceeded, LockNotHeld, SessionExpired
from chubby.types.nodes import LockMode
from chubby.types.transaction import Create
from tests.client.conftest import until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork

Another = Callable[[], Awaitable[aio.Session]]


@asynccontextmanager
async def sessions(cell: FakeCell) -> AsyncIterator[Another]:
    """Gives further sessions with `cell`, closed in the end."""
    async with AsyncExitStack() as stack:

        async def another() -> aio.Session:
            connecting = aio.connect("/ls/local", addresses=ADDRESSES, network=FakeNetwork(cell))
            return await stack.enter_async_context(connecting)

        yield another


@pytest.fixture
async def another(cell: FakeCell) -> AsyncIterator[Another]:
    """Gives further sessions with the cell of the test."""
    async with sessions(cell) as made:
        yield made


def waiters(cell: FakeCell, path: str) -> int:
    """How many wait for the lock of a node."""
    node = cell.tree.nodes.get(path)
    return len(node.waiters) if node else 0


async def down(session: aio.Session) -> None:
    """The session's network fails for good."""
    network = session.driver.network
    assert isinstance(network, FakeNetwork)
    network.up = False


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

    async def test_uncertain_in_jeopardy_lost_at_the_end(self, hasty_cell: FakeCell) -> None:
        """`ensure` raises before anybody else can get the lock; leaving never fails."""
        async with sessions(hasty_cell) as another:
            session = await another()
            async with AsyncLock(session, "/lock", lock_delay=1.0) as held:
                await down(session)
                await until(lambda: not held.certain)
                assert hasty_cell.tree.nodes["/lock"].holders, "nobody else can have it yet"
                with pytest.raises(SessionExpired, match="jeopardy"):
                    held.ensure()
                await until(lambda: session.state.final)
                with pytest.raises(SessionExpired):
                    held.ensure()

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

    async def test_told_when_the_session_is_lost(self, hasty_cell: FakeCell) -> None:
        """And that is final."""
        async with sessions(hasty_cell) as another:
            session = await another()
            leadership = await AsyncElection(session, "/leader").campaign()
            await down(session)
            assert "lease" in await leadership.lost()
            assert not leadership.certain


class TestConfigWatcher:
    """A value everybody follows."""

    async def test_the_present_value_then_each_change(self, session: aio.Session, another: Another) -> None:
        """None while there is none; of quick changes perhaps only the last."""
        writer = await another()
        async with aio.ConfigWatcher(session, "/config") as watcher:
            assert await anext(watcher) is None
            handle = await writer.open("/config", create=True, contents=b"1")
            assert await anext(watcher) == b"1"
            for number in range(2, 6):
                await handle.set_contents(b"%d" % number)
            seen = await anext(watcher)
            while seen != b"5":
                following = await anext(watcher)
                assert following is not None and seen is not None and following > seen, "never older after newer"
                seen = following
            await handle.delete()
            assert await anext(watcher) is None
            await writer.open("/config", create=True, contents=b"6")
            assert await anext(watcher) == b"6"
            assert await watcher.read() == b"6"

    async def test_decoded(self, session: aio.Session) -> None:
        """By a function of one's own."""
        await session.open("/limit", create=True, contents=b"42")
        async with aio.ConfigWatcher(session, "/limit", int) as watcher:
            assert await anext(watcher) == 42

    async def test_a_change_of_metadata_is_no_news(self, session: aio.Session, another: Another) -> None:
        """Only another content is."""
        handle = await (await another()).open("/config", create=True, contents=b"1")
        async with aio.ConfigWatcher(session, "/config") as watcher:
            assert await anext(watcher) == b"1"
            await handle.set_attributes({"a": b"1"})
            await handle.set_contents(b"1")
            await handle.set_contents(b"2")
            assert await anext(watcher) == b"2"

    async def test_across_connections_and_masters(
        self, session: aio.Session, another: Another, network: FakeNetwork
    ) -> None:
        """Nothing to do."""
        handle = await (await another()).open("/config", create=True, contents=b"0")
        async with aio.ConfigWatcher(session, "/config") as watcher:
            assert await anext(watcher) == b"0"
            for number in range(1, 5):
                network.cut() if number % 2 else await network.fail_over(ADDRESSES[number % 3])
                await handle.set_contents(b"%d" % number)
                assert await anext(watcher) == b"%d" % number

    async def test_reads_are_cached(self, session: aio.Session, cell: FakeCell) -> None:
        """A value that does not change costs the master nothing."""
        await session.open("/config", create=True, contents=b"1")
        watcher = aio.ConfigWatcher(session, "/config")
        await watcher.read()
        asked = len(cell.received)
        for _ in range(20):
            assert await watcher.read() == b"1"
        assert len(cell.received) == asked
        await watcher.close()
        await watcher.close()

    async def test_session_lost(self, hasty_cell: FakeCell) -> None:
        """The iteration raises."""
        async with sessions(hasty_cell) as another:
            session = await another()
            watcher = aio.ConfigWatcher(session, "/config")
            await anext(watcher)
            await down(session)
            with pytest.raises(SessionExpired):
                await anext(watcher)


class TestServiceRegistry:
    """Who offers a service, and where."""

    async def test_entries_come_and_go_with_their_sessions(
        self, session: aio.Session, another: Another, cell: FakeCell
    ) -> None:
        """And whoever follows is told."""
        registry, provider = AsyncServiceRegistry(session, "/services"), await another()
        seen: list[list[str]] = []

        async def follow() -> None:
            async for instances in registry.follow("web"):
                seen.append([instance.address for instance in instances])

        following = asyncio.ensure_future(follow())
        await until(lambda: seen == [[]])
        theirs = AsyncServiceRegistry(provider, "/services")
        async with await theirs.register("web", "a", "10.0.0.1:80", {"zone": b"eu"}):
            entry = Instance("a", "10.0.0.1:80", {"zone": b"eu", "address": b"10.0.0.1:80"})
            await until(lambda: seen[-1] == ["10.0.0.1:80"])
            assert await registry.instances("web") == [entry]
            await theirs.register("web", "b", "10.0.0.2:80")
            await until(lambda: seen[-1] == ["10.0.0.1:80", "10.0.0.2:80"])
        await until(lambda: seen[-1] == ["10.0.0.2:80"])
        await provider.close()
        await until(lambda: seen[-1] == [])
        following.cancel()

    async def test_an_unknown_service_has_no_instances(self, session: aio.Session) -> None:
        """Not an error."""
        assert await AsyncServiceRegistry(session, "/services").instances("nothing") == []

    async def test_a_name_that_is_taken_is_taken_over(self, session: aio.Session, another: Another) -> None:
        """One's own former entry, for instance; both keep it alive from then on."""
        ours = await AsyncServiceRegistry(session, "/services").register("web", "a", "old:1")
        second = await another()
        await AsyncServiceRegistry(second, "/services").register("web", "a", "new:1")
        await ours.close()
        found = await AsyncServiceRegistry(session, "/services").instances("web")
        assert [instance.address for instance in found] == ["new:1"]

    async def test_updates_and_loss(self, session: aio.Session, another: Another) -> None:
        """Attributes change; an entry deleted by somebody is told of."""
        registry = AsyncServiceRegistry(session, "/services")
        registration = await registry.register("web", "a", "x:1")
        await registration.update({"load": b"7"})
        assert (await registry.instances("web"))[0].attributes["load"] == b"7"
        waiting = asyncio.ensure_future(registration.lost())
        theirs = await (await another()).open("/services/web/a")
        await theirs.delete()
        assert "deleted" in await waiting

    async def test_nodes_that_are_no_entries_are_left_out(self, session: aio.Session) -> None:
        """Somebody's notes, for instance."""
        registry = AsyncServiceRegistry(session, "/services")
        await registry.register("web", "a", "x:1")
        await session.open("/services/web/README", create=True)
        assert [instance.name for instance in await registry.instances("web")] == ["a"]


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
        await until(lambda: len(session.driver.core.desk.flights) == 0)
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
