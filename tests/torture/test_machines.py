"""Machines and worlds of their own: what runs there sees nothing of us, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from chubby.cli import launch
from tests.integration.cells import PATIENCE, ROOT, alive, wait_for
from tests.torture import seclusion
from tests.torture.machines import CLIENTS, DESK, address_of, hardware_address, name_of, unavailable

pytestmark = [pytest.mark.machines, pytest.mark.timeout(2 * PATIENCE)]

WORLD = """
import os, subprocess, sys
from tests.torture import machines
from tests.torture.seclusion import mount
from tests.torture.switch import CUT, Network

desk, one = machines.make_desk(), machines.make(1)
network = Network([desk, one], seed=1)
os.mkdir(sys.argv[1])
mount("tmpfs", sys.argv[1], "tmpfs", options="size=1m")
open(sys.argv[1] + "/inside", "w").close()
listener = '''
import socket
made = socket.create_server(("10.77.0.1", 7))
print("listening", flush=True)
while True:
    connection, _ = made.accept()
    connection.sendall(b"hello")
'''
there = subprocess.Popen(one.inside(sys.executable, "-c", listener), stdout=subprocess.PIPE, text=True)
assert there.stdout.readline() == "listening\\n"

def reached(patience):
    import socket
    try:
        with socket.create_connection(("10.77.0.1", 7), patience) as connection:
            return connection.recv(5) == b"hello"
    except OSError:
        return False

found = [reached(10)]
network.impose("test", {(1, machines.DESK): CUT})
found.append(reached(0.5))
network.impose("test", {})
found.append(reached(10))
print(*found, flush=True)
sys.stdin.readline()
sys.exit(7)
"""
"""A program that makes a machine, talks to it, cuts it off, and waits."""


@contextmanager
def secluded(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a world of its own."""
    script = (*launch.PYTHON, seclusion.__file__, str(os.getpid()))
    with subprocess.Popen(
        [*script, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found += [int(each.name), *descendants(int(each.name))]
    return found


def hear(process: subprocess.Popen[str]) -> str:
    """The next line it says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def python(code: str, *arguments: str) -> Sequence[str]:
    """A program that may import the project."""
    return (sys.executable, "-c", code, *arguments)


def test_a_machine_is_reached_through_the_switch_alone(tmp_path: Path) -> None:
    """Cut off one way it cannot be reached; afterwards it can again. Its mounts are nobody else's; the exit code is
    the command's.
    """
    disk = tmp_path / "disk"
    with secluded(*python(WORLD, str(disk))) as process:
        assert hear(process) == "True False True"
        assert disk.exists() and not list(disk.iterdir()), "what is mounted there is not seen from outside"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(PATIENCE) == 7


def test_kill_9_leaves_nothing(tmp_path: Path) -> None:
    """Not a process, whoever started it, and with the last of them goes the rest."""
    with secluded(*python(WORLD, str(tmp_path / "disk"))) as process:
        assert hear(process) == "True False True"
        below = descendants(process.pid)
        assert len(below) >= 4, "the first process, the run, the switch, the listener"
        process.kill()
        process.wait()
        wait_for(lambda: not any(map(alive, below)), "the end of all of them")


@pytest.mark.parametrize("number", seclusion.HANDED_DOWN)
def test_signals_are_handed_down(number: signal.Signals) -> None:
    """To the command, which has the last word."""
    code = f"""
import signal, sys
signal.signal({int(number)}, lambda *_: sys.exit(9))
print("ready", flush=True)
signal.pause()
"""
    with secluded(*python(code)) as process:
        assert hear(process) == "ready"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 9


def test_orphans_are_cleared_away() -> None:
    """The first process is everybody's last parent."""
    code = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.read(read, 1)
        os._exit(0)
    os._exit(0)
os.wait()
os.write(write, b"x")
os.close(write)
deadline = time.monotonic() + 60
while time.monotonic() < deadline and len([name for name in os.listdir("/proc") if name.isdigit()]) > 2:
    pass
print(len([name for name in os.listdir("/proc") if name.isdigit()]), os.getpid() > 1)
"""
    with secluded(*python(code)) as process:
        assert hear(process) == "2 True"
        assert process.wait(PATIENCE) == 0


def test_names_and_addresses() -> None:
    """The number says it all."""
    assert [name_of(number) for number in (1, CLIENTS + 2, DESK)] == ["r1", "c2", "desk"]
    assert address_of(3) == "10.77.0.3"
    assert hardware_address(DESK) == "02:00:00:00:00:c8"


def test_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where these tests run it is possible; a program that is missing is named."""
    assert unavailable() is None
    monkeypatch.setattr("tests.torture.machines.PROGRAMS", ("nsenter", "no-such-program"))
    assert unavailable() == "no-such-program not installed (iproute2, util-linux)"
