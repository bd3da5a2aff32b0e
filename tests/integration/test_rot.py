"""Disks that lose or alter what they hold (DESIGN §3 Incarnations, Disk): the replica says so and comes back by itself.

A log that grows by 8 MiB makes a snapshot here, so that there are two to rot.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import chubby
from chubby.types.identity import ReplicaId
from tests.integration.cells import SHORT_LEASES, Cell, running_cell, wait_for

BIG = "/ls/test/big"
KIBIBYTE = 1024
SMALL_LOG = 'snapshot_log_bytes = "8MiB"\n' + SHORT_LEASES


@pytest.fixture(scope="module")
def module_cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Five replicas, each with two snapshots and some log after them."""
    with running_cell(tmp_path_factory.mktemp("rot"), extra=SMALL_LOG) as cell:
        with cell.connect(caching=False) as session:
            write_until(cell, session, lambda: all(len(snapshots(cell, each)) > 1 for each in cell.members))
        yield cell


@pytest.fixture
def session(cell: Cell) -> Iterator[chubby.Session]:
    """A client that lives through it all."""
    with cell.connect(caching=False) as session:
        yield session


def snapshots(cell: Cell, replica: ReplicaId) -> list[Path]:
    """Its snapshots of something, oldest first."""
    return [file for file in sorted((cell.data[replica] / "current/snapshots").glob("*.snap")) if int(file.stem)]


def segments(cell: Cell, replica: ReplicaId) -> list[Path]:
    """The segments of its log that are in use, oldest first."""
    files = sorted((cell.data[replica] / "current/wal").glob("*.wal"))
    return [file for file in files if file.read_bytes()[:512].strip(b"\0")]


def write_until(cell: Cell, session: chubby.Session, enough: Callable[[], bool]) -> None:
    """Write content that does not compress away, until there is enough."""
    with session.open(BIG, create=True) as handle:

        def more() -> bool:
            for number in range(20):
                handle.set_contents(bytes(number + index % 199 for index in range(200 * KIBIBYTE)))
            return enough()

        wait_for(more, "snapshots")
        handle.set_contents(b"the last word")


def flip(file: Path, offset: int) -> None:
    """Let one byte rot."""
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte[0] ^ 0x40]))


def expect_rebirth(cell: Cell, session: chubby.Session, replica: ReplicaId, word: str) -> None:
    """The replica, started again, says why, takes a new incarnation, and votes again without anybody's help."""
    before, said = cell.identity(replica) if cell.data[replica].exists() else None, len(cell.log(replica))
    cell.start(replica)
    with session.open(BIG) as handle:
        assert handle.get_contents_and_stat()[0] == b"the last word", "the others go on meanwhile"
    wait_for(lambda: "new incarnation" in cell.log(replica)[said:], "the announcement")
    line = next(line for line in cell.log(replica)[said:].splitlines() if "new incarnation" in line)
    assert "WARNING" in line and word in line, line
    cell.wait_whole()
    after = cell.identity(replica)
    assert before is None or (after.cell == before.cell and after.incarnation != before.incarnation)


def victim(cell: Cell, session: chubby.Session) -> ReplicaId:
    """A follower, killed -9."""
    replica = cell.followers()[-1]
    cell.kill(replica)
    return replica


def test_a_lost_data_directory(cell: Cell, session: chubby.Session) -> None:
    """An empty directory never votes; the replica returns as a learner and is promoted (DESIGN §3 Incarnations)."""
    replica = victim(cell, session)
    before = cell.identity(replica)
    shutil.rmtree(cell.data[replica])
    expect_rebirth(cell, session, replica, "empty")
    assert cell.identity(replica).incarnation != before.incarnation


def test_a_byte_flipped_in_the_log(cell: Cell, session: chubby.Session) -> None:
    """Not torn but rotten: something valid follows (DESIGN §3 Disk)."""
    replica = victim(cell, session)
    flip(segments(cell, replica)[-1], 512 + 40)
    expect_rebirth(cell, session, replica, ".wal")
    assert list(cell.data[replica].glob("rotten-*")), "what was there is put aside for inspection"


def test_a_missing_segment_of_the_log(cell: Cell, session: chubby.Session) -> None:
    """A file that is missing is lost vote state like any other (DESIGN §3 Incarnations)."""
    replica = victim(cell, session)
    segments(cell, replica)[-1].unlink()
    expect_rebirth(cell, session, replica, ".wal")


def test_the_newest_snapshot_rotten(cell: Cell, session: chubby.Session) -> None:
    """The one before it and the log since are as good: no vote state is lost, the incarnation stays (DESIGN §3 Disk:
    two verified snapshots and the log since the older).
    """
    write_until(cell, session, lambda: all(len(snapshots(cell, each)) > 1 for each in cell.members))
    replica = victim(cell, session)
    before, said = cell.identity(replica), len(cell.log(replica))
    newest = snapshots(cell, replica)[-1]
    flip(newest, newest.stat().st_size // 2)
    cell.start(replica)
    wait_for(lambda: newest.name in cell.log(replica)[said:], "the announcement")
    assert "new incarnation" not in cell.log(replica)[said:]
    cell.wait_whole()
    assert cell.identity(replica) == before


def test_every_snapshot_rotten(cell: Cell, session: chubby.Session) -> None:
    """Nothing to begin with: a new incarnation (DESIGN §3 Incarnations)."""
    write_until(cell, session, lambda: all(len(snapshots(cell, each)) > 1 for each in cell.members))
    replica = victim(cell, session)
    for file in snapshots(cell, replica):
        flip(file, file.stat().st_size // 2)
    expect_rebirth(cell, session, replica, ".snap")


def test_the_former_master_comes_back_empty(cell: Cell, session: chubby.Session) -> None:
    """kill -9 of the master, its disk lost: another leads, and it returns under a new incarnation."""
    master = cell.wait_master()
    cell.kill(master)
    shutil.rmtree(cell.data[master])
    expect_rebirth(cell, session, master, "empty")
    with session.open(BIG) as handle:
        handle.set_contents(b"the last word")
