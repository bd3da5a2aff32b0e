"""Backups on a schedule, archives, and a cell after its quorum is gone for good (docs/operations.md)."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from chubby.client.sequencer import SequencerBytes
from chubby.errors import SequencerInvalid
from chubby.types.nodes import NodeKind
from chubby.types.transaction import Create
from tests.integration.cells import SHORT_LEASES, Cell, running_cell, wait_for
from tests.integration.programs import Program, Starter, cli
from tests.integration.test_backup import answer, run, tree_of


@pytest.fixture(scope="module")
def module_cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Three replicas, with a few files."""
    with running_cell(tmp_path_factory.mktemp("cell"), 3) as cell:
        with cell.connect() as session:
            session.transaction(
                [],
                [
                    Create("/ls/test/both", b"content and children"),
                    Create("/ls/test/both/with space \u2603", bytes(range(256))),
                    Create("/ls/test/empty", kind=NodeKind.DIRECTORY),
                ],
            )
        yield cell


class Schedule:
    """`chubby backup schedule` every second, of which it keeps two."""

    def __init__(self, start: Starter, cell: Cell, folder: Path) -> None:
        """Begun."""
        self.folder = folder
        options = ("--every", "1s", "--keep", "2", "--json", "--timeout", "2", "--config", str(cell.file))
        self.program: Program = cli(start, "backup", "schedule", str(folder), *options)

    def made(self) -> list[str]:
        """The files it says it has made."""
        lines = [line for line in list(self.program.said) if line.startswith("{")]
        return [found["name"] for line in lines if "bytes" in (found := json.loads(line))]

    def failures(self) -> int:
        """How many exports it says have failed."""
        return sum("this backup failed" in line for line in list(self.program.said))

    def end(self, number: signal.Signals) -> list[str]:
        """Stop it in its good way; what it leaves."""
        self.program.signal(number)
        assert self.program.wait() == 0, self.program.said
        return sorted(each.name for each in self.folder.iterdir())


def test_a_schedule_prunes_and_outlives_failures(cell: Cell, start: Starter, tmp_path: Path) -> None:
    """Two are kept; with the cell gone it tells so and goes on; once the cell is back there are backups again."""
    schedule = Schedule(start, cell, tmp_path / "backups")
    wait_for(lambda: len(schedule.made()) > 3, "four backups")
    cell.kill(*cell.members)
    wait_for(lambda: schedule.failures() > 1, "two failures")
    before = len(schedule.made())
    cell.start()
    wait_for(lambda: len(schedule.made()) > before + 1, "backups of the cell that is back")
    left = schedule.end(signal.SIGINT)
    assert left == sorted(schedule.made())[-2:]
    for name in left:
        assert answer("backup", "verify", str(tmp_path / "backups" / name))["valid"] is True


def test_a_schedule_that_is_stopped_at_work_leaves_no_half_file(cell: Cell, start: Starter, tmp_path: Path) -> None:
    """Here the only replica that answers stands still in the middle of an export."""
    schedule = Schedule(start, cell, tmp_path / "backups")
    wait_for(lambda: len(schedule.made()) > 1, "two backups")
    for replica in cell.members:
        cell.signal(replica, signal.SIGSTOP)
    try:
        wait_for(lambda: schedule.failures() > 0, "a failure instead of a wait for ever")
        left = schedule.end(signal.SIGTERM)
    finally:
        for replica in cell.members:
            cell.signal(replica, signal.SIGCONT)
    assert len(left) == 2 and not [name for name in left if name.endswith(".part")]


def test_an_archive_unpacks_with_tar(cell: Cell, tmp_path: Path) -> None:
    """`tar x`, and every file is where one expects it; a node with both is a folder with `.contents`."""
    archive = tmp_path / "cell.tar"
    exported = answer("backup", "export", "--format", "tar", str(archive), "--config", str(cell.file))
    assert exported["bytes"] == archive.stat().st_size
    unpacked = subprocess.run(["tar", "x", "-f", archive, "-C", tmp_path], capture_output=True, text=True, check=False)
    assert (unpacked.returncode, unpacked.stderr) == (0, "")
    top = tmp_path / "test"
    assert sorted(str(each.relative_to(top)) for each in top.rglob("*")) == [
        "acl",
        "both",
        "both/.contents",
        "both/with space \u2603",
        "empty",
    ]
    assert (top / "both" / ".contents").read_bytes() == b"content and children"
    assert (top / "both" / "with space \u2603").read_bytes() == bytes(range(256))
    assert (top / "empty").is_dir()
    refused = run("backup", "restore", str(archive), "--config", str(cell.file), "--data", str(tmp_path / "data"))
    assert refused.returncode == 74 and "is no backup" in refused.stderr and not (tmp_path / "data").exists()


class Life(msgspec.Struct, frozen=True):
    """What an old cell held: contents by name, and the sequencer of a lock."""

    contents: dict[str, bytes]
    sequencer: SequencerBytes


@contextmanager
def lived(cell: Cell) -> Iterator[Life]:
    """A cell with some files, and a lock that is held by a client within the block."""
    with cell.connect() as session, session.open("/ls/test/lock", create=True) as handle:
        session.transaction([], [Create("/ls/test/a", b"content"), Create("/ls/test/a/b", bytes(1000))])
        handle.acquire()
        handle.set_contents(b"old")
        contents = {name: contents for name, (contents, _) in tree_of(session, "/ls/test").items()}
        yield Life(contents, handle.get_sequencer())


def make_anew(folder: Path, old: Cell, source: Path) -> tuple[Cell, str]:
    """`chubby cell recover --from SOURCE`; the new cell, not started, and what the command says."""
    new = Cell(folder / "new", 3, SHORT_LEASES, formatted=False)
    command = ("cell", "recover", "--from", str(source), "--config", str(new.file))
    assert run(*command).returncode == 64, "without a terminal it cannot ask, and does nothing"
    assert not (folder / "new" / "data").exists()
    made = run(*command, "--yes")
    assert made.returncode == 0, made.stderr
    assert new.identity(1).cell != old.identity(1).cell and hex(new.identity(1).cell) in made.stdout
    return new, made.stdout


def expect_life(new: Cell, before: Life) -> None:
    """Start the new cell: the contents are there, and the fencing of the old one is beyond doubt."""
    try:
        new.start()
        new.wait_whole()
        with new.connect() as session:
            assert {name: contents for name, (contents, _) in tree_of(session, "/ls/test").items()} == before.contents
            with session.open("/ls/test/lock") as handle:
                handle.acquire()
                assert handle.get_sequencer().token > before.sequencer.token
                with pytest.raises(SequencerInvalid):
                    session.check_sequencer(before.sequencer)
                handle.set_contents(b"new")
    except BaseException:
        new.show_logs()
        raise
    finally:
        new.stop()


def test_a_new_cell_from_what_a_survivor_has(tmp_path: Path) -> None:
    """A majority is lost for good: the directory of the third replica has all that was acknowledged, the lock that was
    held goes, and the directory itself serves again afterwards as if nothing had been.
    """
    with running_cell(tmp_path, 3) as cell, lived(cell) as before:
        furthest = cell.wait_master()
        cell.kill(*cell.members)
        survivor = cell.data[furthest]
        new, told = make_anew(tmp_path, cell, survivor)
        assert "whatever the old cell acknowledged after that is lost" in told
        assert "locks (1) and ephemeral files do not come back to life" in told
        expect_life(new, before)
        cell.start()
        cell.wait_whole()


def test_a_new_cell_from_a_backup(tmp_path: Path) -> None:
    """Everything is lost but a backup; what came after it is gone, and said to be."""
    with running_cell(tmp_path, 3) as cell, lived(cell) as before:
        backup = tmp_path / "cell.chubby"
        answer("backup", "export", str(backup), "--config", str(cell.file))
        with cell.connect() as session:
            session.open("/ls/test/too-late", create=True).close()
        cell.kill(*cell.members)
        new, told = make_anew(tmp_path, cell, backup)
        assert "everything that the old cell acknowledged after the backup is lost" in told
        expect_life(new, before)
        cell.start()  # only so that its client can say goodbye at once


def test_a_running_replica_is_no_source(cell: Cell, tmp_path: Path) -> None:
    """Its directory is in use; nothing is made."""
    new = Cell(tmp_path / "new", 3, formatted=False)
    refused = run("cell", "recover", "--from", str(cell.data[1]), "--config", str(new.file), "--yes")
    assert refused.returncode == 74 and "in use" in refused.stderr
    assert not (tmp_path / "new" / "data").exists()
