"""A real cell of one replica and what tests of `chubby mount` do with it. Nothing that they mount outlives them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from fuse_mount import mount_table
from fuse_mount.users import server_of
from tests.integration.cells import Cell, wait_for

PATIENCE = 60.0


@contextmanager
def nothing_left_in(directory: Path) -> Iterator[None]:
    """Whatever is mounted below `directory` in the end is taken away and its process ended; then the test fails."""
    try:
        yield
    finally:
        left = [mount for mount in mount_table.mounts() if mount.directory.startswith(f"{directory}/")]
        for mount in left:
            server = server_of(mount.device)
            if server is not None:
                os.kill(server, 9)
            subprocess.run(["umount", "--lazy", mount.directory], check=False)
        assert not left


class Machine:
    """A place to type `chubby ...`, where a cell runs that `cell.toml` configures."""

    def __init__(self, directory: Path, cell: Cell) -> None:
        """Commands run in `directory`."""
        self.directory = directory
        self.cell = cell
        self._before = _sessions(cell)
        self.place = directory / "place"
        self.place.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CHUBBY_")}
        self.environment = {**kept, "CHUBBY_CONFIG": str(cell.file)}

    def start(self, *words: str, within: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Type `chubby` and these words; `within` is a command that runs commands."""
        return subprocess.Popen(
            [*within, sys.executable, "-m", "chubby.cli", *words],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, within: Sequence[str] = ()) -> tuple[int, str]:
        """Type it, and wait: the exit code, and what it said to stderr."""
        with self.start(*words, within=within) as process:
            _, said = process.communicate(timeout=PATIENCE)
            return process.returncode, said

    def server(self, place: Path | None = None) -> int:
        """The process that serves the mount at a place."""
        mount = mount_table.at(str(place or self.place))
        assert mount is not None
        server = server_of(mount.device)
        assert server is not None
        return server

    def mounted(self, place: Path | None = None) -> bool:
        """Whether something is mounted at a place."""
        return mount_table.at(str(place or self.place)) is not None

    def wait_mounted(self, place: Path | None = None) -> None:
        """Until something is."""
        wait_for(lambda: self.mounted(place), "the mount")

    def new_sessions(self) -> set[int]:
        """The sessions that have begun since this was made, and have not ended."""
        return _sessions(self.cell) - self._before


def _sessions(cell: Cell) -> set[int]:
    """All but the one that asks."""
    with cell.connect() as session:
        return {info.session for info in session.sessions()} - {session.id}


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """One of one replica, with a master, for all tests of a module."""
    cell = Cell(tmp_path_factory.mktemp("cell"), replicas=1, admins=["anyone"])
    try:
        cell.start()
        cell.wait_master()
        yield cell
    finally:
        cell.stop()


@pytest.fixture
def here(tmp_path: Path, cell: Cell) -> Iterator[Machine]:
    """A place of each test's own, in which nothing may be left mounted."""
    with nothing_left_in(tmp_path):
        yield Machine(tmp_path, cell)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory to mount at, where no cell is configured."""
    for variable in ("CHUBBY_CELL", "CHUBBY_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "place"
    place.mkdir()
    return place
