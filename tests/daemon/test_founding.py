"""How a cell begins: every replica must come to the same first state without talking to the others."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from chubby.config.load import load_cell
from chubby.daemon.founding import (
    SLICE,
    first_configuration,
    first_incarnation,
    first_machine,
    format_replica,
    fresh_number,
    learn_cell,
)
from chubby.errors import ConfigError, StorageFailed
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.files import OsFiles
from tests.daemon.samples import CELL, small_cell
from tests.daemon.test_node import running
from tests.storage.fake_files import FakeFiles

LOCAL = Path(__file__).parents[2] / "cell_config" / "local.toml"


def test_the_first_state_follows_from_configuration_and_cell_number_alone() -> None:
    """DESIGN §3 Membership: configuration files bootstrap; two machines make the same genesis, byte for byte."""
    config = load_cell(LOCAL)
    one, other = first_machine(config, 7), first_machine(config, 7)
    assert one.digest() == other.digest()
    assert list(one.snapshot().slices(SLICE)) == list(other.snapshot().slices(SLICE))
    assert first_configuration(config, 7) == first_configuration(config, 7)


def test_another_cell_has_other_incarnations() -> None:
    """DESIGN §3 Incarnations: votes of one cell never count in another."""
    config = load_cell(LOCAL)
    ours = {voter.incarnation for voter in first_configuration(config, 7).voters}
    theirs = {voter.incarnation for voter in first_configuration(config, 8).voters}
    assert len(ours) == 5 and not ours & theirs
    assert all(0 < incarnation < 1 << 63 for incarnation in ours | theirs)


def test_the_order_of_replicas_in_the_file_does_not_matter(tmp_path: Path) -> None:
    """Whoever sorts their file differently still founds the same cell."""
    text = LOCAL.read_text()
    lines = [line for line in text.splitlines() if "{id" in line]
    shuffled = tmp_path / "local.toml"
    shuffled.write_text(text.replace("\n".join(lines), "\n".join(reversed(lines))))
    assert first_configuration(load_cell(shuffled), 7) == first_configuration(load_cell(LOCAL), 7)


def test_numbers_are_fresh_and_never_zero() -> None:
    """Zero means: no cell yet, nobody yet."""
    numbers = {fresh_number() for _ in range(1000)}
    assert len(numbers) == 1000
    assert all(0 < number < 1 << 63 for number in numbers)


def test_only_an_empty_directory_is_formatted(tmp_path: Path) -> None:
    """DESIGN §3: formatting is explicit, and never over something that voted."""
    config = load_cell(LOCAL)
    with DataDirectory(OsFiles(str(tmp_path)), 1) as directory:
        format_replica(directory, config, 1, 7)
        found = directory.inspect()
        assert found.condition is Condition.FORMATTED and found.identity is not None
        assert found.identity.incarnation == first_incarnation(7, 1)
        with pytest.raises(StorageFailed, match="empty"):
            format_replica(directory, config, 1, 8)
        assert directory.inspect().identity == found.identity


async def test_a_newcomer_learns_its_cell_from_any_member(tmp_path: Path) -> None:
    """DESIGN §3 Incarnations: an empty directory does not know its cell; whoever is up tells it."""
    config = small_cell(tmp_path, replicas=3)
    async with running(config, FakeFiles()):
        assert await asyncio.wait_for(learn_cell(config, 2), 60) == CELL
        assert await asyncio.wait_for(learn_cell(config, 2), 60) == CELL, "its port is free again"


async def test_newcomers_among_themselves_learn_nothing(tmp_path: Path) -> None:
    """Three empty directories are no cell: they wait until somebody knows, and give up in good order when told to."""
    config = small_cell(tmp_path, replicas=3)
    tasks = asyncio.all_tasks()
    asking = [asyncio.ensure_future(learn_cell(config, replica)) for replica in (1, 2, 3)]
    done, _ = await asyncio.wait(asking, timeout=1)
    assert not done
    for each in asking:
        each.cancel()
    await asyncio.wait(asking, timeout=60)
    assert all(each.cancelled() for each in asking)
    assert asyncio.all_tasks() == tasks


async def test_a_newcomer_whose_port_is_taken_is_told(tmp_path: Path) -> None:
    """Waiting would not help."""
    config = small_cell(tmp_path, replicas=3)
    host, _, port = config.replicas[0].peer.rpartition(":")
    with socket.create_server((host, int(port))), pytest.raises(ConfigError, match="Address already in use"):
        await learn_cell(config, 1)
