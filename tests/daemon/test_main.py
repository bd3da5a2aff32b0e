"""`chubbyd` itself: what it refuses, and with which words and exit code."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from chubby.daemon.founding import format_replica
from chubby.daemon.main import EXIT_CONFIG, EXIT_STORAGE, EXIT_USAGE, main, run
from chubby.storage.directory import DataDirectory
from chubby.storage.files import OsFiles
from tests.daemon.samples import CELL, LOCAL, small_cell


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A process that ends need not take its handlers back; pytest goes on, and would not hear of Ctrl-C any more."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("arguments", [[], ["--config", "x"], ["--config", "x", "--replica", "one"], ["--no-such"]])
def test_wrong_usage_has_its_exit_code(arguments: list[str]) -> None:
    """64 as `chubby` has it, and a hint."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == EXIT_USAGE and "--help" in result.stderr


def test_an_unknown_replica_is_named_along_with_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clear error that names file, key and remedy."""
    assert run(LOCAL, 9, tmp_path) == EXIT_CONFIG
    words = capsys.readouterr().err
    assert "no replica 9" in words and "1, 2, 3, 4, 5" in words and "local.toml" in words


def test_a_missing_configuration_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a traceback."""
    assert run(tmp_path / "none.toml", 1, tmp_path) == EXIT_CONFIG
    assert "none.toml" in capsys.readouterr().err


def test_a_directory_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two processes never share a log."""
    with DataDirectory(OsFiles(str(tmp_path)), 1):
        assert run(LOCAL, 1, tmp_path) == EXIT_STORAGE
    assert "in use" in capsys.readouterr().err


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Photographs are not overwritten because of a wrong --data."""
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    assert run(LOCAL, 1, tmp_path) == EXIT_STORAGE
    assert "holiday.jpg" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told_with_its_address(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line, and the code of a wrong configuration: a restart will not help."""
    config = small_cell(tmp_path)
    with DataDirectory(OsFiles(tmp_path / "data"), 1) as directory:
        format_replica(directory, config, 1, CELL)
    for address, whom in ((config.replicas[0].peer, "replicas"), (config.replicas[0].client, "clients")):
        host, _, port = address.rpartition(":")
        with socket.create_server((host, int(port))):
            assert run(Path(config.source), 1, tmp_path / "data") == EXIT_CONFIG
        assert capfd.readouterr().err == f"chubbyd: cannot listen for {whom} at {address}: Address already in use\n"


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was tried, not as a number in brackets."""
    (tmp_path / "file").write_bytes(b"")
    assert run(LOCAL, 1, tmp_path / "file" / "data") == EXIT_STORAGE
    assert capsys.readouterr().err == f"chubbyd: making the data directory {tmp_path}/file/data: Not a directory\n"
