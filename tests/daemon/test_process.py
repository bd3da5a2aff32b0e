"""`chubbyd` as a process: signals, two of them on one directory, and what it says when it is not let live."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from chubby.config.cell import CellConfig
from chubby.daemon.founding import format_replica
from chubby.daemon.main import EXIT_STORAGE
from chubby.storage.directory import DataDirectory
from chubby.storage.files import OsFiles
from tests.daemon.samples import CELL, small_cell
from tests.integration.cells import bound_to_us


class Chubbyd:
    """A real process, of which every word is kept."""

    def __init__(self, config: CellConfig, *before: str) -> None:
        """Started; `before` goes in front of the command."""
        self.process = subprocess.Popen(
            [*before, *bound_to_us("-m", "chubby.daemon", "--config", config.source, "--replica", "1")],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []

    def __enter__(self) -> Chubbyd:
        """Nothing beyond construction."""
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever it does, it ends."""
        self.process.kill()
        self.process.communicate()

    def until(self, words: str) -> None:
        """Read until it says so."""
        assert self.process.stderr is not None
        while words not in (self.said or [""])[-1]:
            line = self.process.stderr.readline()
            assert line, f"it ended, having said {self.said}"
            self.said.append(line)

    def end(self, number: int) -> int:
        """Send it a signal; its exit code."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=60)
        self.said += rest.splitlines()
        return self.process.wait()

    @property
    def complaints(self) -> list[str]:
        """What it said beyond the course of events."""
        return [line for line in self.said if " INFO " not in line]


@pytest.fixture
def formatted(tmp_path: Path) -> CellConfig:
    """A cell of one, whose directory is ready."""
    config = small_cell(tmp_path)
    with DataDirectory(OsFiles(config.replica_directory(1)), 1) as directory:
        format_replica(directory, config, 1, CELL)
    return config


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("when", ["serves clients", "master is replica 1"])
def test_a_signal_stops_it_without_a_word_of_complaint(formatted: CellConfig, number: int, when: str) -> None:
    """While the first ballots are on their way, and as master: handed over, closed, exit code 0."""
    with Chubbyd(formatted) as daemon:
        daemon.until(when)
        assert daemon.end(number) == 0
        assert daemon.complaints == []


def test_a_second_signal_changes_nothing(formatted: CellConfig) -> None:
    """Who is impatient gets no traceback either."""
    with Chubbyd(formatted) as daemon:
        daemon.until("master is replica 1")
        daemon.process.send_signal(signal.SIGINT)
        assert daemon.end(signal.SIGINT) == 0
        assert daemon.complaints == []


def test_a_second_daemon_on_one_directory_is_refused(formatted: CellConfig) -> None:
    """It names the process that has it; the first one does not notice."""
    with Chubbyd(formatted) as first:
        first.until("master is replica 1")
        with Chubbyd(formatted) as second:
            assert second.process.wait(60) == EXIT_STORAGE
            assert second.end(0) == EXIT_STORAGE
            (line,) = second.said
            assert line.startswith("chubbyd: data directory ") and f"(pid {first.process.pid})" in line
        assert first.end(signal.SIGTERM) == 0


def test_a_limit_on_the_size_of_files_is_told_as_one(formatted: CellConfig) -> None:
    """A segment cannot be made: one line that says which limit, and that the disk is to blame."""
    with Chubbyd(formatted, "prlimit", f"--fsize={8 * 1024 * 1024}") as daemon:
        assert daemon.process.wait(60) == EXIT_STORAGE
        daemon.end(0)
        (line,) = daemon.said
        assert "File too large" in line and "ulimit -f" in line
