"""ConfigWatcher and ServiceRegistry: never older after newer, never a silent gap (DESIGN §6)."""

from __future__ import annotations

import asyncio

import pytest

from chubby import aio
from chubby.client.driver import boot_clock
from chubby.client.recipes.service_registry import AsyncServiceRegistry, Instance
from chubby.errors import DeadlineExceeded, NoQuorum, OutcomeUnknown, QuotaExceeded, SessionExpired
from tests.client.conftest import Another, lose, sleep_through, until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork


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

    async def test_session_lost(self, another: Another) -> None:
        """The iteration raises."""
        session = await another()
        watcher = aio.ConfigWatcher(session, "/config")
        await anext(watcher)
        waiting = asyncio.ensure_future(anext(watcher))
        lose(session)
        with pytest.raises(SessionExpired):
            await waiting
        with pytest.raises(SessionExpired):
            await watcher.read()
        await watcher.close()

    async def test_the_first_reading_may_fail(self, session: aio.Session, network: FakeNetwork) -> None:
        """No master within `call_timeout`: the iteration raises, and goes on with the value that it owes."""
        await session.open("/config", create=True, contents=b"1")
        async with aio.ConfigWatcher(session, "/config") as watcher:
            session.call_timeout = 30.0
            network.up = False
            network.cut()
            first = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(0)
            sleep_through(session, 31.0)
            with pytest.raises((NoQuorum, OutcomeUnknown, DeadlineExceeded)):
                await first
            network.up = True
            session.call_timeout = None
            assert await anext(watcher) == b"1"

    @pytest.mark.parametrize("cancelled", [False, True])
    async def test_a_reading_that_fails_is_made_up_for(
        self, session: aio.Session, another: Another, monkeypatch: pytest.MonkeyPatch, cancelled: bool
    ) -> None:
        """The watch told of a change, but no reading answered it: the next step does, without a further change."""
        handle = await (await another()).open("/config", create=True, contents=b"1")
        async with aio.ConfigWatcher(session, "/config") as watcher:
            assert await anext(watcher) == b"1"
            reading, original = asyncio.Event(), watcher._contents

            async def failing() -> bytes | None:
                monkeypatch.setattr(watcher, "_contents", original)
                reading.set()
                if cancelled:
                    await asyncio.Event().wait()
                raise NoQuorum("no master just now")

            monkeypatch.setattr(watcher, "_contents", failing)
            following = asyncio.ensure_future(anext(watcher))
            await handle.set_contents(b"2")
            await asyncio.wait_for(reading.wait(), 30)
            if cancelled:
                following.cancel()
            with pytest.raises((NoQuorum, asyncio.CancelledError)):
                await following
            assert await asyncio.wait_for(anext(watcher), 30) == b"2"


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

    async def test_an_entry_goes_with_a_killed_provider_not_with_its_jeopardy(
        self, session: aio.Session, another: Another, cell: FakeCell
    ) -> None:
        """Jeopardy is doubt: the entry stays. Only when the cell has let the session expire, it goes, and that is
        told.
        """
        provider = await another()
        registration = await AsyncServiceRegistry(provider, "/services").register("web", "a", "x:1")
        registry, lost = AsyncServiceRegistry(session, "/services"), asyncio.ensure_future(registration.lost())
        lose(provider)
        assert "lease" in await lost
        assert [instance.name for instance in await registry.instances("web")] == ["a"]
        following = registry.follow("web")
        assert [instance.name for instance in await anext(following)] == ["a"]
        cell.expire(provider.id, boot_clock())
        assert await asyncio.wait_for(anext(following), 30) == []

    async def test_a_registration_that_fails_half_way_keeps_nothing_alive(
        self, session: aio.Session, another: Another, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The name was taken, and the entry could not be taken over: the handle must not hold the old entry open."""
        owner = await another()
        await AsyncServiceRegistry(owner, "/services").register("web", "a", "old:1")

        async def refused(self: aio.Handle, contents: bytes, **options: object) -> None:
            raise QuotaExceeded("full")

        monkeypatch.setattr(aio.Handle, "set_contents", refused)
        with pytest.raises(QuotaExceeded):
            await AsyncServiceRegistry(session, "/services").register("web", "a", "new:1")
        assert session.statistics().handles == 0
        await owner.close()
        await until(lambda: "/services/web/a" not in cell.tree.nodes)

    async def test_an_address_that_is_no_text_takes_no_reader_down(self, session: aio.Session) -> None:
        """Somebody wrote bytes by hand; the others are listed all the same."""
        registry = AsyncServiceRegistry(session, "/services")
        registration = await registry.register("web", "a", "x:1")
        await registration.update({"address": b"\xff\xfe"})
        await registry.register("web", "b", "y:1")
        assert [instance.name for instance in await registry.instances("web")] == ["a", "b"]
