"""Finding a cell, opening a session with it, and what is said and left behind if that fails (DESIGN §6)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from chubby import aio
from chubby.client.driver import boot_clock
from chubby.client.ready import Ready
from chubby.client.state import SessionState
from chubby.errors import BadPath, ConfigError, NoQuorum
from tests.client.conftest import until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork


class TestConnecting:
    """Finding a cell, opening a session with it."""

    async def test_connect_may_be_awaited_or_entered(self, network: FakeNetwork, cell: FakeCell) -> None:
        """DESIGN §6."""
        session = await aio.connect("/ls/local", addresses=ADDRESSES, network=network)
        assert session.state is SessionState.NORMAL and session.id in cell.sessions
        assert "normal" in repr(session) and session.certain
        await session.close()
        assert not cell.sessions, "closed in good order, not left to its lease"
        assert network.closed
        await session.close()

    async def test_the_cell_says_its_own_name(self, session: aio.Session) -> None:
        """`local` is only what the client calls it."""
        assert session.cell == "here"

    async def test_another_cell_than_asked_for_is_an_error(self, network: FakeNetwork) -> None:
        """A wrong address must not lead into the wrong cell in silence."""
        with pytest.raises(ConfigError, match="'here', not to 'there'"):
            await aio.connect("/ls/there", addresses=ADDRESSES, network=network)
        assert network.closed

    async def test_without_a_master_it_says_what_each_replica_said(self, network: FakeNetwork) -> None:
        """pains: a misspelled replica went unnoticed."""
        network.up = False
        with pytest.raises(NoQuorum, match=r"10\.0\.0\.2:1: 10\.0\.0\.2:1 cannot be reached"):
            await aio.connect("/ls/local", addresses=ADDRESSES, network=network, timeout=1.0)
        assert network.closed

    async def test_the_error_says_in_one_line_what_was_tried(self, network: FakeNetwork) -> None:
        """Which cell, how often, for how long, and why each replica was of no use."""
        network.up = False
        with pytest.raises(NoQuorum) as caught:
            await aio.connect("/ls/local", addresses=ADDRESSES, network=network, timeout=1.0)
        pattern = (
            r"no quorum: no master was found in \d+ attempts? over \d+\.\d s \(cell local; 10\.0\.0\.1:1: [^;\n]+; "
        )
        assert re.match(pattern, str(caught.value))
        assert "\n" not in str(caught.value)

    async def test_closed_without_a_master_nothing_is_left_running(self, network: FakeNetwork) -> None:
        """The cell could not be told; a handle closed afterwards must not start the search again."""
        session = await aio.connect("/ls/local", addresses=ADDRESSES, network=network)
        handle = await session.open("/a", create=True)
        network.up = False
        network.cut()
        await session.close(timeout=0.05)
        before = len(network.asked), len(network.connected_to)
        loop = asyncio.get_running_loop()
        session._driver.clock = lambda: boot_clock() + 10**12
        await handle.close()
        assert session._driver._timer is None and session._driver.core.gone
        for _ in range(5):
            await asyncio.sleep(0)
        assert (len(network.asked), len(network.connected_to)) == before
        assert not [task for task in asyncio.all_tasks(loop) if "_open_link" in repr(task)]

    async def test_cancelled_it_leaves_nothing(self, network: FakeNetwork) -> None:
        """No connection, no timer."""
        network.up = False
        task = asyncio.ensure_future(_await(aio.connect("/ls/local", addresses=ADDRESSES, network=network)))
        await until(lambda: bool(network.asked))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert network.closed

    async def test_a_configuration_file(self, network: FakeNetwork, tmp_path: Path) -> None:
        """`config=`; the addresses of its replicas are asked."""
        file = tmp_path / "here.toml"
        file.write_text(
            '[cell]\nname = "here"\nreplicas = [{id = 1, peer = "127.0.0.1:7101", client = "127.0.0.1:7201"}]\n'
            f'[storage]\ndirectory = "{tmp_path}"\n'
        )
        async with aio.connect("/ls/local", config=file, network=network) as session:
            assert session.cell == "here"
        assert network.asked[0] == "127.0.0.1:7201"

    async def test_the_environment(self, network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
        """CHUBBY_CELL; see `chubby.config` for the order."""
        monkeypatch.delenv("CHUBBY_CONFIG", raising=False)
        monkeypatch.setenv("CHUBBY_CELL", "10.0.0.2:1")
        async with aio.connect(network=network):
            pass
        assert network.asked[0] == "10.0.0.2:1"

    @pytest.mark.parametrize("target", ["local", "/svc"])
    async def test_a_target_is_a_full_name(self, network: FakeNetwork, target: str) -> None:
        """Before anything else is tried."""
        with pytest.raises(BadPath):
            await aio.connect(target, addresses=ADDRESSES, network=network)
        assert not network.asked


async def _await(ready: Ready[aio.Session]) -> aio.Session:
    return await ready
