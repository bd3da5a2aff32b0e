"""Another process does to a mount what its own must not."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuse_mount.hand import LIMIT, WORKER, Hand, look


@pytest.fixture
def hand() -> Iterator[Hand]:
    """One that ends with the test."""
    made = Hand()
    yield made
    made.close()


def gone(process: int) -> bool:
    """Whether there is no such process, nor what is left of one."""
    return not Path(f"/proc/{process}").exists()


def test_it_does_what_it_is_told(hand: Hand, tmp_path: Path) -> None:
    """One thing after the other, in one process."""
    assert hand.process == 0
    name = tmp_path / "täglich, 'x'\n"
    hand.do("create", str(name))
    first = hand.process
    name.write_bytes(b"12345")
    hand.do("modify", str(name))
    os.utime(name, (1, 1))
    hand.do("utime", str(name))
    hand.do("look", str(name))
    assert name.read_bytes() == b"12345" and name.stat().st_mtime > 1
    hand.do("unlink", str(name))
    hand.do("mkdir", str(tmp_path / "d"))
    assert not name.exists() and (tmp_path / "d").is_dir()
    assert hand.process == first != os.getpid()


@pytest.mark.parametrize(
    ("what", "name", "number"),
    [("create", "there", errno.EEXIST), ("unlink", "missing", errno.ENOENT), ("modify", "", errno.EISDIR)],
)
def test_what_came_of_it_is_raised(hand: Hand, tmp_path: Path, what: str, name: str, number: int) -> None:
    """By its number; and it goes on."""
    (tmp_path / "there").touch()
    with pytest.raises(OSError) as raised:
        hand.do(what, str(tmp_path / name))
    assert raised.value.errno == number
    hand.do("look", str(tmp_path))


def test_killed_it_begins_anew(hand: Hand, tmp_path: Path) -> None:
    """What it was told meanwhile fails, once."""
    hand.do("look", str(tmp_path))
    first = hand.process
    os.kill(first, signal.SIGKILL)
    with pytest.raises(BrokenPipeError):
        hand.do("look", str(tmp_path))
    hand.do("look", str(tmp_path))
    assert hand.process != first and gone(first)


def test_closed_while_it_is_busy(hand: Hand, tmp_path: Path) -> None:
    """What it was doing fails at once; nothing is left, and nothing begins any more."""
    os.mkfifo(tmp_path / "fifo")  # opening it to write waits for a reader
    raised: list[OSError] = []

    def wait() -> None:
        try:
            hand.do("modify", str(tmp_path / "fifo"))
        except OSError as error:
            raised.append(error)

    hand.do("look", str(tmp_path))
    process = hand.process
    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.2)  # by then it is busy, most likely; what follows holds if it is not
    hand.close()
    thread.join(60)
    assert not thread.is_alive() and [type(error) for error in raised] == [BrokenPipeError]
    assert gone(process)
    hand.close()
    with pytest.raises(BrokenPipeError):
        hand.do("look", str(tmp_path))


def test_it_ends_with_who_started_it(tmp_path: Path) -> None:
    """Killed, too: its input is at an end."""
    script = f"""
import os, signal
from fuse_mount.hand import Hand
hand = Hand()
hand.do("look", {str(tmp_path)!r})
print(hand.process, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    process, pause = int(ended.stdout), threading.Event()
    for _ in range(6000):
        if gone(process):
            return
        pause.wait(0.01)
    raise AssertionError(f"{process} goes on")


def test_looking_once_leaves_nothing(tmp_path: Path) -> None:
    """Whatever is there."""
    look(str(tmp_path))
    look(str(tmp_path / "missing"))
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    assert not any(str(WORKER).encode() in command for command in commands)
    assert LIMIT > 0
