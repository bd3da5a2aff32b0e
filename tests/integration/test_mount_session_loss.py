"""On a mount: the cell is away for longer than lease and grace period, and comes back.

Each story has a cell of its own, with the shortest grace period that leaves time to look around in it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cells import SHORT_LEASES, Cell, alive, running_cell, wait_for
from tests.integration.mounts import WORKER, Mount, mounts, sh
from tests.integration.programs import Program, Starter

pytestmark = pytest.mark.fuse

GRACE = 6
"""Seconds."""
PROMPT = 3.0
"""Seconds in which a program obeys Ctrl-C, on a machine that has much else to do."""


@pytest.fixture(scope="module")
def brief_cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Three replicas; a session whose cell is away ends after lease and grace."""
    timing = SHORT_LEASES.replace('grace_period = "40s"', f'grace_period = "{GRACE}s"')
    assert f'"{GRACE}s"' in timing
    with running_cell(tmp_path_factory.mktemp("brief"), replicas=3, extra=timing) as cell:
        yield cell


@pytest.fixture
def mount(brief_cell: Cell, tmp_path: Path) -> Iterator[Mount]:
    """A mount of it, when it is whole."""
    brief_cell.heal()
    with mounts(brief_cell, tmp_path / "mount") as (made,):
        yield made


def opened(tool: Starter, path: Path, mode: str = "r+") -> Program:
    """A process that has the file open, and does what it is told."""
    program = tool(*WORKER, "obey", str(path), mode)
    assert program.answer() == {"opened": str(path)}
    return program


def away(cell: Cell) -> None:
    """No replica answers any more."""
    for replica in cell.members:
        cell.signal(replica, signal.SIGSTOP)


def back(cell: Cell) -> None:
    """All go on."""
    for replica in cell.members:
        cell.signal(replica, signal.SIGCONT)


def wait_state(mount: Mount, state: str) -> None:
    """Until the mount says that its session is in this state; it says so without asking the cell."""
    wait_for(lambda: mount.session()["state"] == state, f"a session in {state}")


def wait_asking(program: Program) -> None:
    """Until it waits for an answer of a FUSE file system."""
    place = Path(f"/proc/{program.pid}/wchan")
    wait_for(lambda: "request_wait_answer" in place.read_text(), f"{program.arguments} to ask the mount")


def test_in_jeopardy_calls_wait_and_obey_ctrl_c(brief_cell: Cell, mount: Mount, tool: Starter) -> None:
    """stat, open and flock wait for the cell; SIGINT ends them; when it is back in time nothing was lost."""
    sh("echo text > f; echo text > g", mount.directory)
    holder = opened(tool, mount / "f")
    holder.ask("flock ex")
    away(brief_cell)
    wait_state(mount, "jeopardy")
    try:
        commands = (["stat", str(mount / "g")], ["cat", str(mount / "g")], ["flock", str(mount / "g"), "true"])
        programs = [tool(*command) for command in commands]
        for program in programs:
            wait_asking(program)
        for program in programs:
            began = time.monotonic()
            program.signal(signal.SIGINT)
            assert program.wait() == -signal.SIGINT
            assert time.monotonic() - began < PROMPT
        patient = tool("stat", "--format", "%s", str(mount / "g"))
        assert holder.ask("read") == {"result": "text\n"}, "what is open is read from memory"
    finally:
        back(brief_cell)
    assert patient.hear() == "5"
    assert holder.ask("write more") == {"result": 4}
    assert holder.ask("flock un") == {"result": "un"}
    assert sh("cat f", mount.directory) == "more"
    assert mount.session()["tenure"] == "1"


def test_after_the_session_everything_opened_before_is_over(brief_cell: Cell, mount: Mount, tool: Starter) -> None:
    """Every descriptor gives EIO and its locks are gone; a new session begins by itself, and new opens use it."""
    sh("echo text > f; echo text > g", mount.directory)
    before = mount.session()
    holder, reader, mapping = opened(tool, mount / "f"), opened(tool, mount / "g", "r"), opened(tool, mount / "g", "r")
    assert holder.ask("flock ex") == {"result": "ex"}
    assert holder.ask("write unsaved") == {"result": len("unsaved")}
    assert reader.ask("read") == mapping.ask("mapped") == {"result": "text\n"}
    away(brief_cell)
    try:
        wait_state(mount, "expired")
        newcomer = tool("cat", str(mount / "g"))
        for act in ("read", "write x", "sync", "flock un", "flock try-ex", "lockf ex"):
            began = time.monotonic()
            assert holder.ask(act) == {"error": "EIO"}, act
            assert time.monotonic() - began < PROMPT, act
        assert reader.ask("read") == {"error": "EIO"}
        mapping.tell("mapped")
        assert mapping.wait() == -signal.SIGBUS, "the pages of a mapping are gone, too"
        assert alive(newcomer.pid), "it waits for the next session"
    finally:
        back(brief_cell)
    assert newcomer.hear() == "text"
    after = mount.session()
    assert after["session"] != before["session"] and after["tenure"] == "2" and after["state"] in ("normal", "safe")
    assert f"session {before['session']} of cell test has expired" in mount.log()
    assert f"a new session, {after['session']}" in mount.log()
    other = opened(tool, mount / "f")
    assert other.ask("flock ex") == {"result": "ex"}, "the lock was lost with its session"
    assert other.ask("read") == {"result": "text\n"}, "and so was what had not been written"
    for act in ("read", "write again", "flock try-sh"):
        assert holder.ask(act) == {"error": "EIO"}, "for good"
    holder.end()
    assert other.ask("flock ex") == {"result": "ex"}, "the end of an old descriptor takes nothing from a new one"
    assert other.ask("write saved") == {"result": len("saved")}
    assert other.ask("flock un") == {"result": "un"}
    assert sh("cat f", mount.directory) == "saved"


def test_all_replicas_are_killed_and_start_again(brief_cell: Cell, mount: Mount, tool: Starter) -> None:
    """The same with kill -9 and a new start of the cell: the mount finds it again, and waiters learn of the loss."""
    sh("echo text > f", mount.directory)
    holder, waiter = opened(tool, mount / "f"), opened(tool, mount / "f")
    holder.ask("flock ex")
    waiter.tell("flock ex")
    brief_cell.kill(*brief_cell.members)
    assert waiter.answer() == {"error": "EIO"}
    assert mount.session()["state"] == "expired"
    brief_cell.start()
    assert sh("cat f; echo new > f; flock f cat f", mount.directory) == "text\nnew\n"
    assert mount.session()["tenure"] == "2"
