"""On a mount: crowds that wait for a lock, who ends among them, conversions, and the content that goes with a lock."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import chubby
from chubby.types.nodes import LockInfo
from tests.integration.cells import Cell, alive, wait_for
from tests.integration.mounts import WORKER, Mount, run, sh
from tests.integration.programs import Program, Starter, cli

pytestmark = pytest.mark.fuse

CROWD = 500
AT_ONCE = 5.0
"""Seconds that a thing may take which takes milliseconds where the machine has nothing else to do."""


class Queue:
    """What the cell says of the lock of one file."""

    def __init__(self, session: chubby.Session, path: Path) -> None:
        """`path` is a file in a directory of the cell's root."""
        self._session = session
        self._name = f"/{path.parent.name}/{path.name}"

    def _lock(self) -> LockInfo | None:
        return next((lock for lock in self._session.locks() if lock.path == self._name), None)

    @property
    def waiters(self) -> int:
        """How many wait."""
        lock = self._lock()
        return 0 if lock is None else len(lock.waiters)

    @property
    def holders(self) -> int:
        """How many hold it."""
        lock = self._lock()
        return 0 if lock is None else len(lock.holders)

    def wait(self, waiters: int, patience: float = 90.0) -> None:
        """Until so many wait."""
        wait_for(lambda: self.waiters == waiters, f"{waiters} who wait", patience)


def opened(tool: Starter, path: Path, mode: str = "r+") -> Program:
    """A process that has the file open, and does what it is told."""
    program = tool(*WORKER, "obey", str(path), mode)
    assert program.answer() == {"opened": str(path)}
    return program


def took(action: Callable[[], object]) -> float:
    """How many seconds it takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def test_five_hundred_wait_and_nothing_is_held_up(
    mounted_cell: Cell, here: Path, there: Path, tool: Starter, start: Starter
) -> None:
    """`ls`, reads, writes and locks of others, signals to waiters, the holder's release: all work at once meanwhile."""
    sh("echo text > f; echo other > g", here)
    holder = opened(tool, here / "f")
    assert holder.ask("flock ex") == {"result": "ex"}
    with mounted_cell.connect(caching=False) as session:
        queue = Queue(session, here / "f")
        crowd = tool(*WORKER, "wait", str(here / "f"), str(CROWD))
        waiting = [crowd.answer() for _ in range(CROWD)]
        queue.wait(CROWD)
        locks = json.loads(
            said(cli(start, "locks", f"/ls/test/{here.name}", "--json", "--config", str(mounted_cell.file)))
        )
        assert [len(lock["waiters"]) for lock in locks] == [CROWD]

        slowest = max(
            took(lambda: sh("ls -l; cat f g; echo more >> g; flock g true", here)),
            took(lambda: sh("ls -l; cat f g", there)),
            took(lambda: holder.ask("write the holder's")),
        )
        print(f"the slowest command took {slowest:.2f} s")
        assert slowest < AT_ONCE

        victims = [int(each["process"]) for each in waiting[:20]]
        ending = max(
            took(lambda: end(victims[:10], signal.SIGINT)),
            took(lambda: end(victims[10:], signal.SIGKILL)),
            took(lambda: queue.wait(CROWD - len(victims), AT_ONCE)),
        )
        print(f"ten waiters end, and leave the queue, in {ending:.2f} s")
        assert ending < AT_ONCE

        released = took(lambda: (holder.ask("flock un"), crowd.answer()))
        print(f"from the release to the next one's grant: {released:.2f} s")
        assert released < AT_ONCE
        granted = 1
        all_of_them = time.monotonic()
        while "done" not in crowd.answer():
            granted += 1
        print(f"{granted} had it one after the other, in {time.monotonic() - all_of_them:.1f} s")
        assert granted == CROWD - len(victims)
        assert crowd.wait() == 0
        queue.wait(0)
    assert sh("cat f", there) == "the holder's"


def said(program: Program) -> str:
    """Everything it says until it ends well."""
    assert program.wait() == 0, program.said
    return "\n".join(program.said)


def end(processes: list[int], number: int) -> None:
    """Send them a signal, and wait until they have gone."""
    for process in processes:
        os.kill(process, number)
    wait_for(lambda: not any(map(alive, processes)), "their end")


@pytest.mark.needs("flock")
def test_a_waiter_that_gives_up_leaves_the_queue(mounted_cell: Cell, here: Path, there: Path, tool: Starter) -> None:
    """SIGINT, SIGTERM, SIGKILL and `flock -w` end a waiter at once, on the holder's mount and on another."""
    sh("echo text > f", here)
    holder = opened(tool, here / "f")
    holder.ask("flock ex")
    with mounted_cell.connect(caching=False) as session:
        queue = Queue(session, here / "f")
        for place in (here, there):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                waiter = tool("flock", str(place / "f"), "true")
                queue.wait(1)
                waiter.signal(number)
                assert took(waiter.wait) < AT_ONCE
                assert took(lambda: queue.wait(0)) < AT_ONCE
            began = time.monotonic()
            run("flock", "--wait", "0.5", str(place / "f"), "true", code=1)
            assert 0.5 <= time.monotonic() - began < 0.5 + AT_ONCE
            assert took(lambda: queue.wait(0)) < AT_ONCE
        assert holder.ask("flock un") == {"result": "un"}
        assert queue.holders == 0


def test_kill_of_the_holder_frees_the_lock(here: Path, there: Path, tool: Starter) -> None:
    """kill -9, and just exiting: the next one has it at once, on whichever mount."""
    sh("echo text > f", here)
    for place, other in ((here, there), (there, here), (here, here)):
        holder, waiter = opened(tool, place / "f"), opened(tool, other / "f")
        holder.ask("flock ex")
        waiter.tell("flock ex")
        holder.signal(signal.SIGKILL)
        assert took(waiter.answer) < AT_ONCE
        assert waiter.said[-1] == '{"result": "ex"}'
        waiter.end()
    holder = opened(tool, here / "f")
    holder.ask("lockf ex")
    assert opened(tool, there / "f").ask("lockf try-ex") == {"error": "EAGAIN"}
    holder.end()
    wait_for(lambda: opened(tool, there / "f").ask("lockf try-ex") == {"result": "try-ex"}, "the lock of a dead one")


def test_conversions(here: Path, there: Path, tool: Starter) -> None:
    """Shared with shared, up when one is alone, down without anybody between; a refused upgrade may lose the old."""
    sh("echo text > f", here)
    one, other = opened(tool, here / "f"), opened(tool, there / "f")
    for how in ("flock", "lockf"):
        assert one.ask(f"{how} sh") == other.ask(f"{how} sh") == {"result": "sh"}
        assert other.ask(f"{how} un") == {"result": "un"}
        assert one.ask(f"{how} ex") == {"result": "ex"}
        assert other.ask(f"{how} try-sh") == {"error": "EAGAIN"}
        assert one.ask(f"{how} sh") == {"result": "sh"}
        assert other.ask(f"{how} try-sh") == {"result": "try-sh"}
        assert one.ask(f"{how} try-ex") == {"error": "EAGAIN"}
        one.tell(f"{how} ex")
        assert other.ask(f"{how} un") == {"result": "un"}
        assert one.answer() == {"result": "ex"}
        assert one.ask(f"{how} un") == {"result": "un"}


def test_one_process_that_locks_twice(here: Path, there: Path, tool: Starter) -> None:
    """flock and lockf of one descriptor do not wait for each other; others wait for both."""
    sh("echo text > f", here)
    one, other = opened(tool, here / "f"), opened(tool, there / "f")
    assert one.ask("flock ex") == {"result": "ex"}
    assert one.ask("lockf ex") == {"result": "ex"}
    assert one.ask("flock un") == {"result": "un"}
    assert other.ask("flock try-ex") == {"error": "EAGAIN"}, "the fcntl lock is still held"
    assert one.ask("lockf un") == {"result": "un"}
    assert other.ask("flock try-ex") == {"result": "try-ex"}
    assert one.ask("lockf try-sh") == {"error": "EAGAIN"}


@pytest.mark.parametrize(("how", "mode"), [("flock", "r"), ("flock", "r+"), ("lockf", "r+")])
def test_content_goes_with_the_lock(how: str, mode: str, here: Path, there: Path, tool: Starter) -> None:
    """Whoever gets it reads the newest through the descriptor that it has; whoever gives it back has written."""
    sh("echo 0 > f", here)
    writer, other = opened(tool, here / "f"), opened(tool, there / "f", mode)
    for number in range(10):
        text = f"{mode} {number}"
        assert writer.ask(f"{how} ex") == {"result": "ex"}
        other.tell(f"{how} ex")
        assert writer.ask(f"write {text}") == {"result": len(text)}
        assert writer.ask(f"{how} un") == {"result": "un"}
        assert other.answer() == {"result": "ex"}
        assert other.ask("read") == {"result": text}
        assert other.ask("stat") == {"result": len(text)}
        assert other.ask(f"{how} un") == {"result": "un"}


@pytest.mark.needs("getfattr")
def test_the_table_shows_who_holds(two_mounts: tuple[Mount, Mount], here: Path, there: Path, tool: Starter) -> None:
    """`user.chubby.lock.*` of the file, as the cell has it; the sequencer is told to the holder's process alone."""
    sh("echo text > f", here)
    shown = ("getfattr", "--absolute-names", "--only-values", "-n")
    holder = opened(tool, here / "f")
    holder.ask("flock ex")
    assert run(*shown, "user.chubby.lock.mode", str(there / "f")) == "exclusive"
    token = int(run(*shown, "user.chubby.lock.token", str(there / "f")))
    holders = run(*shown, "user.chubby.lock.holders", str(there / "f"))
    assert holders.split("/")[0] == two_mounts[0].session()["session"]
    assert run(*shown, "user.chubby.sequencer", str(here / "f")) == ""
    assert holder.ask("sequencer")["result"]
    holder.ask("flock un")
    assert holder.ask("sequencer") == {"result": ""}
    holder.ask("flock ex")
    assert int(run(*shown, "user.chubby.lock.token", str(there / "f"))) > token
