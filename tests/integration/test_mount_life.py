"""Mounts begin and end: signals with waiters blocked, kill -9, a cell that is not there, what is only read, all cells.

The commands are run as a user runs them; each test looks at the kernel's table of mounts for what is left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuse_mount import mount_table
from fuse_mount.users import server_of
from tests.integration.cells import Cell, alive, free_ports, wait_for
from tests.integration.mounts import WORKER, Mount, chubby, mounting, mounts, run, sh, stale
from tests.integration.programs import Starter

pytestmark = pytest.mark.fuse

WAITERS = 100
SOON = 5.0
"""Seconds for what takes less than one where the machine has nothing else to do."""


def mounted_at(directory: Path) -> bool:
    """Whether anything is."""
    return mount_table.at(str(directory)) is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_unmounts_though_many_wait(
    number: signal.Signals, mounted_cell: Cell, here: Path, tmp_path: Path, tool: Starter
) -> None:
    """Waiters and the holder get an error, their locks are free at once, the exit code is 0."""
    sh("echo text > f", here)
    with mounts(mounted_cell, tmp_path / "third") as (third,):
        path = str(third / here.name / "f")
        holder = tool(*WORKER, "obey", path)
        assert holder.answer() == {"opened": path}
        assert holder.ask("flock ex") == {"result": "ex"}
        crowd = tool(*WORKER, "wait", path, str(WAITERS))
        for _ in range(WAITERS):
            crowd.answer()
        with mounted_cell.connect(caching=False) as session:
            wait_for(lambda: any(len(lock.waiters) == WAITERS for lock in session.locks()), "all to wait")
        began = time.monotonic()
        third.signal(number)
        wait_for(lambda: not mounted_at(third.directory), "the end of the mount")
        unmounted = time.monotonic() - began
        assert third.process is not None
        assert third.process.wait(60) == 0
        print(f"{number.name}: unmounted after {unmounted:.2f} s, ended after {time.monotonic() - began:.2f} s")
        assert unmounted < SOON
        assert crowd.wait() == 0, "the processes that waited are gone"
        assert not any('"got"' in line for line in crowd.said), "nobody took it for a lock that it had"
        assert holder.ask("read") == {"error": "ENOTCONN"}
        began = time.monotonic()
        sh("flock f true", here)
        assert time.monotonic() - began < SOON, "no lease has to run out"


def test_a_mount_that_was_killed_is_cleared_by_its_helper(mounted_cell: Cell, tmp_path: Path) -> None:
    """fusermount3 waits for the death of the process, as `auto_unmount` has it."""
    with mounts(mounted_cell, tmp_path / "mount") as (mount,):
        sh("ls", mount.directory)
        mount.kill()
        wait_for(lambda: not mounted_at(mount.directory), "the helper")
        mount.start()
        sh("ls", mount.directory)


def test_a_stale_mount_is_said_to_be_one_and_cleared(mounted_cell: Cell, tmp_path: Path) -> None:
    """Without the helper, kill -9 leaves "Transport endpoint is not connected"; `chubby unmount` clears that."""
    mount = Mount(tmp_path / "mount", "--config", str(mounted_cell.file), PATH="/nonexistent")
    where = str(mount.directory)
    with mounting(mount):
        mount.kill()
        assert stale(mount)
        with pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
            os.listdir(where)
        assert "chubby unmount" in chubby("mount", "--config", str(mounted_cell.file), where, code=64)
        chubby("unmount", where)
        assert not mounted_at(mount.directory)
        assert "nothing is mounted" in chubby("unmount", where, code=1)
        mount.start()
        sh("ls", mount.directory)


@contextlib.contextmanager
def detached(directory: Path, *options: str) -> Iterator[int]:
    """`chubby mount` as it is by default: returns when it is mounted. The process that serves it, ended at last."""
    directory.mkdir()
    try:
        chubby("mount", *options, str(directory))
        mount = mount_table.at(str(directory))
        assert mount is not None and mount.ours
        server = server_of(mount.device)
        assert server is not None
        yield server
    finally:
        if mounted_at(directory):
            run("fusermount3", "-u", "-z", str(directory))


def test_in_the_background(mounted_cell: Cell, tmp_path: Path) -> None:
    """Mounted when the command returns, and unmounted, with the process gone, when `chubby unmount` does."""
    config = ("--config", str(mounted_cell.file))
    with detached(tmp_path / "mount", *config, "--log", str(tmp_path / "log")) as server:
        directory = tmp_path / "mount"
        assert sh("echo text > background; cat background", directory) == "text\n"
        assert "mounted" in chubby("mount", *config, str(directory), code=1)
        with (directory / "background").open() as user:
            said = chubby("unmount", str(directory), code=75)
            assert "in use" in said and str(os.getpid()) in said
            assert user.read() == "text\n"
        chubby("unmount", str(directory))
        assert not mounted_at(directory) and not alive(server)
    assert "is mounted at" in (tmp_path / "log").read_text() and "is unmounted" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("how", [(), ("--foreground",)], ids=["background", "foreground"])
def test_a_cell_that_cannot_be_reached(how: tuple[str, ...], tmp_path: Path) -> None:
    """It says so within the time given, and leaves nothing behind."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "mount").mkdir()
    began = time.monotonic()
    said = chubby("mount", "--address", address, "--timeout", "1", *how, str(tmp_path / "mount"), code=69)
    assert time.monotonic() - began < 1 + 2 * SOON
    assert address in said and "Traceback" not in said, said
    assert not mounted_at(tmp_path / "mount")


@pytest.mark.needs("setfattr", "flock")
def test_read_only(mounted_cell: Cell, here: Path, tmp_path: Path) -> None:
    """Everything can be read, the newest each time; whatever would change the cell is refused, locks too."""
    sh("echo text > f; mkdir d", here)
    with mounts(mounted_cell, tmp_path / "third", options=["--read-only"]) as (third,):
        place = third / here.name
        assert sh("cat f; ls", place) == "text\nd\nf\n"
        commands = ("echo x > f", "echo x > new", ": >> f", "rm f", "mkdir e", "rmdir d", "mv f g", "chmod 600 f")
        for command in (*commands, "touch f", "setfattr -n user.x -v y f", "truncate -s 0 f"):
            assert "Read-only file system" in sh(command, place, code=None), command
        assert "Read-only file system" in sh("flock f true", place, code=None)
        sh("echo newer > f; flock f true", here)
        assert sh("cat f", place) == "newer\n"


@pytest.mark.needs("flock")
def test_all_cells(mounted_cell: Cell, here: Path, tmp_path: Path, tool: Starter) -> None:
    """`--all`: a directory for each configured cell; what is in one is as in a mount of its own, locks too."""
    home = tmp_path / "home"
    write_configurations(mounted_cell, home / ".config/chubby")
    mount = Mount(tmp_path / "ls", "--all", "--timeout", "2", HOME=str(home))
    with mounting(mount):
        assert {"test", "silent"} <= set(sh("ls", mount.directory).split())
        place = mount / "test" / here.name
        sh("echo text > f", here)
        assert sh("cat f; echo more >> f", place) == "text\n"
        assert sh("cat f", here) == "text\nmore\n"
        holder = tool("flock", str(place / "f"), "-c", "echo got; read line")
        assert holder.hear() == "got"
        run("flock", "--nonblock", str(here / "f"), "true", code=1)
        silent = tool("ls", str(mount / "silent"))
        assert sh("cat f", place) == "text\nmore\n", "a cell that is silent is no trouble to others"
        assert silent.wait() == 2
        holder.tell("go")
        assert holder.wait() == 0


def write_configurations(cell: Cell, directory: Path) -> None:
    """Of the cell `test`, and of one called `silent`, whose replicas do not run."""
    directory.mkdir(parents=True)
    text = cell.file.read_text()
    (directory / "test.toml").write_text(text)
    for peer, client in cell.members.values():
        for address in (peer, client):
            text = text.replace(address, f"127.0.0.1:{free_ports(1)[0]}")
    (directory / "silent.toml").write_text(text.replace('name = "test"', 'name = "silent"'))
