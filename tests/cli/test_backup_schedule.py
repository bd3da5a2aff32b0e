"""`chubby backup schedule` without a cell: intervals, pruning, failures. With a cell: tests/integration."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chubby.cli import backup_schedule, exits
from chubby.cli.backup_store import Store
from chubby.cli.main import chubby
from chubby.cli.options import Connection
from chubby.cli.stopping import Ended, Stop
from chubby.errors import NoQuorum
from chubby.storage.backup_format import BackupLabel

LABEL = BackupLabel("local", 7, 1_790_000_000_000, "0.1.0")


class Turns:
    """What becomes of each turn; after the last one a signal comes."""

    def __init__(self, *outcomes: bool) -> None:
        """True: it goes well."""
        self._outcomes = list(outcomes)

    def export_to(self, _connection: Connection, store: Store, _kind: str, _stop: Stop) -> tuple[int, BackupLabel]:
        """Stands in for the real one."""
        if not self._outcomes:
            raise Ended(signal.SIGINT)
        if not self._outcomes.pop(0):
            raise NoQuorum("no replica of the cell answers")
        return store.write([b"a backup"]), LABEL


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, turns: Turns, *options: str) -> Result:
    """The command, with no time between turns."""
    monkeypatch.setattr(backup_schedule, "export_to", turns.export_to)
    monkeypatch.setattr(backup_schedule, "_cell_name", lambda _connection, _stop: "local")
    monkeypatch.setattr(Stop, "pause", lambda *_: None)
    return CliRunner().invoke(chubby, ["backup", "schedule", str(folder), *options])


def names(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(each.name for each in folder.iterdir())


def test_it_ends_well_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Others in the folder are left alone; a signal is its good end: exit code 0."""
    old = [f"local-2020010{day}T000000Z.chubby" for day in (1, 2, 3)]
    for name in (*old, "other-20200101T000000Z.chubby", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    result = run(monkeypatch, tmp_path, Turns(True), "--keep", "2")
    assert result.exit_code == exits.OK and result.stderr == ""
    kept = names(tmp_path)
    assert kept[0] == old[2] and kept[1].startswith("local-20") and kept[2:] == [
        "notes.txt", "other-20200101T000000Z.chubby"
    ]  # fmt: skip
    assert result.stdout.splitlines() == [f"{kept[1]}: 8 bytes", f"{old[0]}: removed", f"{old[1]}: removed"]


def test_a_failure_is_told_and_removes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And the next turn tries again."""
    (tmp_path / "local-20200101T000000Z.chubby").write_bytes(b"")
    result = run(monkeypatch, tmp_path, Turns(False, False), "--keep", "1")
    assert result.exit_code == exits.OK and result.stdout == ""
    assert (
        result.stderr.splitlines()
        == ["chubby: this backup failed, the next turn tries again: no replica of the cell answers"] * 2
    )
    assert names(tmp_path) == ["local-20200101T000000Z.chubby"]


def test_the_newest_is_never_removed_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put back, it makes names that come before those of older backups."""
    (tmp_path / "local-29990101T000000Z.chubby").write_bytes(b"")
    lines = run(monkeypatch, tmp_path, Turns(True), "--keep", "1", "--json").stdout.splitlines()
    made, removed = (json.loads(line) for line in lines)
    assert made == {"name": names(tmp_path)[0], "bytes": 8}
    assert removed == {"name": "local-29990101T000000Z.chubby", "removed": True}


def test_a_file_is_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That would fail at every turn, for ever."""
    (tmp_path / "file").write_bytes(b"")
    result = run(monkeypatch, tmp_path / "file", Turns())
    assert result.exit_code == exits.USAGE and "is a file: name a folder" in result.stderr


@pytest.mark.parametrize("every", ["foo", "1d", "0s", "500ms", "4", "25h"])
def test_intervals_that_make_no_sense(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, every: str) -> None:
    """Wrong usage, with what to write."""
    result = run(monkeypatch, tmp_path, Turns(), "--every", every)
    assert result.exit_code == exits.USAGE and "--every" in result.stderr and "write" in result.stderr
