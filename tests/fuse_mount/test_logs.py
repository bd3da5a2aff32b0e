"""Where logs go, and what systemd is told."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuse_mount import logs
from tests.fuse_mount.logs_as_before import as_before

__all__ = ["as_before"]

PATIENCE = 30.0


def say() -> None:
    """Something of ours that is worth knowing, something that is not, and of a library."""
    logging.getLogger("fuse_mount.daemon").info("unmounting")
    logging.getLogger("fuse_mount.daemon").debug("a detail")
    logging.getLogger("chubby.client").info("a detail of another")
    logging.getLogger("chubby.client").warning("a warning of another")


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """As syslog and systemd listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "socket"))
        made.settimeout(PATIENCE)
        yield made


def test_a_file(tmp_path: Path) -> None:
    """With time and process; at its end; and a new one when it was moved away."""
    file = tmp_path / "log"
    file.write_text("what was there\n")
    logs.log_to_file(str(file))
    say()
    first, *lines = file.read_text().splitlines()
    assert first == "what was there" and len(lines) == 2
    assert lines[0].endswith("fuse_mount.daemon: unmounting") and " INFO [" in lines[0]
    assert lines[1].endswith("chubby.client: a warning of another") and " WARNING [" in lines[1]
    file.rename(tmp_path / "log.1")
    say()
    assert len(file.read_text().splitlines()) == 2


def test_a_file_that_cannot_be_had(tmp_path: Path) -> None:
    """Is an error, not silence."""
    with pytest.raises(OSError, match="none/log"):
        logs.log_to_file(str(tmp_path / "none" / "log"))


def test_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """As all commands speak on stderr."""
    logs.log_to_terminal()
    say()
    assert capsys.readouterr().err == "chubby: unmounting\nchubby: a warning of another\n"


def test_syslog(listener: socket.socket, tmp_path: Path) -> None:
    """Under a name of its own, as a daemon: LOG_DAEMON is 3, and 3 * 8 + 6 is 30."""
    logs.log_to_system(tmp_path / "socket")
    say()
    message = listener.recv(4096)
    assert message.startswith(b"<30>chubby-mount[") and b"]: unmounting" in message
    assert listener.recv(4096).startswith(b"<28>")


def test_no_syslog(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is kept, and nothing is broken."""
    logs.log_to_system(tmp_path / "none")
    say()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_systemd(listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is told, word by word."""
    monkeypatch.setenv(logs.NOTIFY_VARIABLE, str(tmp_path / "socket"))
    logs.notify("READY=1\nSTATUS=ä")
    assert listener.recv(4096).decode() == "READY=1\nSTATUS=ä"


def test_systemd_by_an_abstract_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which it writes with an @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{tmp_path}")
        listener.settimeout(PATIENCE)
        monkeypatch.setenv(logs.NOTIFY_VARIABLE, f"@{tmp_path}")
        logs.notify("READY=1")
        assert listener.recv(4096) == b"READY=1"


@pytest.mark.parametrize("value", ["", "/nowhere/at/all"])
def test_nobody_wants_to_know(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """That is no error."""
    monkeypatch.setenv(logs.NOTIFY_VARIABLE, value)
    logs.notify("READY=1")
    monkeypatch.delenv(logs.NOTIFY_VARIABLE)
    logs.notify("READY=1")
