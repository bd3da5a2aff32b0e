"""Every cell in one mount: two cells in memory, each with its own session, connected to when somebody goes there."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat as posix
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from chubby.client.waiting import heed
from chubby.errors import ConfigError, NoQuorum
from fuse_mount.attributes import View
from fuse_mount.cell_files import CellFiles
from fuse_mount.controls import FIRST
from fuse_mount.daemon import Files
from fuse_mount.every_cell import EveryCell
from fuse_mount.filesystem import Caller, FileLock
from fuse_mount.touches import TOUCHED
from tests.client.test_sync import until
from tests.fuse_mount.shown import CALLER, FLAGS, GROUP, USER, FakeMounted, Shown, refused

FILE_BITS = 44


class World:
    """Cells by name, and the mount of all of them. `attempts` counts how often each was to be connected to."""

    def __init__(self, *names: str) -> None:
        self.configured = list(names)
        self.cells: dict[str, Shown] = {}
        self.attempts: dict[str, int] = {}
        self.before: dict[str, Callable[[], object]] = {}
        self.mounted = FakeMounted()
        self.files = EveryCell(lambda: self.configured, self.make, View(USER, GROUP))
        self.files.start()
        self.files.attach(self.mounted)

    def make(self, name: str, number: int) -> CellFiles:
        """The files of a cell, after whatever shall come `before`."""
        self.attempts[name] = self.attempts.get(name, 0) + 1
        self.before.get(name, lambda: None)()
        made = self.cells[name] = Shown(number=number, prefix=f"/{name}")
        return made.files

    def write(self, path: str, data: bytes) -> None:
        """A shell's `>` of a new file."""
        file = self.files.create(path, FLAGS, 0o644, CALLER).file
        self.files.write(file, data, 0)
        self.files.flush(file)
        self.files.release(file)

    def read(self, path: str) -> bytes:
        """What `cat` shows."""
        file = self.files.open(path, os.O_RDONLY, CALLER).file
        try:
            return self.files.read(file, 1 << 20, 0)
        finally:
            self.files.release(file)

    def ls(self, path: str) -> list[str]:
        """The names in a directory."""
        return [name for name, _ in self.files.readdir(path)]

    def close(self) -> None:
        """End everything."""
        self.files.close()
        for cell in self.cells.values():
            cell.close()


@pytest.fixture
def world() -> Iterator[World]:
    """Two cells."""
    made = World("east", "west")
    yield made
    made.close()


def the_seam(files: EveryCell) -> Files:
    """That it is what the process of a mount needs, is checked when this is."""
    return files


# ------------------------------------------------------------------------------------------------------------- the top


def test_the_cells_are_the_names_at_the_top(world: World) -> None:
    """In order, a directory each; none of them is asked for that."""
    assert world.ls("/") == ["east", "west"]
    for path in ("/", "/east", "/west"):
        assert posix.S_ISDIR(world.files.getattr(path)["st_mode"])
    assert world.files.listxattr("/") == world.files.listxattr("/east") == []
    for name in ("security.selinux", "system.posix_acl_access"):
        with refused(errno.ENODATA):
            world.files.getxattr("/east", name, CALLER)
    assert world.files.statfs("/")["f_namemax"] == 255
    assert world.attempts == {}


@pytest.mark.parametrize("path", ["/north", "/north/a", "/.git", "/two words", "/-x", "/.chubby", "/.contents"])
def test_no_other_names_are_there(world: World, path: str) -> None:
    """ENOENT, whatever looks for them."""
    with refused(errno.ENOENT):
        world.files.getattr(path)
    with refused(errno.ENOENT):
        world.files.open(path, os.O_RDONLY, CALLER) if path.count("/") > 1 else world.files.readdir(path)
    assert world.attempts == {}


def test_a_cell_that_is_configured_later_is_there_then(world: World) -> None:
    """And one that is configured no longer can still be used by who used it before; it is listed no more."""
    world.write("/east/a", b"text")
    world.configured[:] = ["north", "west"]
    assert world.ls("/") == ["north", "west"]
    assert world.read("/east/a") == b"text"
    world.write("/north/b", b"text")
    assert world.cells["north"].there("/b")


def test_no_two_directories_have_the_same_number(world: World) -> None:
    """find(1) would take one with the number of one above it for a loop."""
    paths = ["/", "/east", "/west", "/east/.chubby", "/west/.chubby"]
    assert len({world.files.getattr(path)["st_ino"] for path in paths}) == len(paths)


def test_nothing_is_made_or_removed_at_the_top(world: World) -> None:
    """Cells are configured: EPERM."""
    world.write("/east/a", b"text")
    for path in ("/", "/east", "/north"):
        acts: list[Callable[[], object]] = [
            partial(world.files.mkdir, path, 0o755, CALLER),
            partial(world.files.rmdir, path),
            partial(world.files.unlink, path),
            partial(world.files.create, path, FLAGS, 0o644, CALLER),
            partial(world.files.rename, path, "/east/b", 0),
            partial(world.files.rename, "/east/a", path, 0),
        ]
        for act in acts:
            with refused(errno.EPERM):
                act()
    for act in (
        lambda: world.files.chmod("/", 0o700),
        lambda: world.files.chown("/", 1, 1),
        lambda: world.files.utimens("/", None),
        lambda: world.files.truncate("/", 0),
        lambda: world.files.setxattr("/", "user.x", b"1", 0),
        lambda: world.files.removexattr("/", "user.x"),
    ):
        with refused(errno.EPERM):
            act()
    assert world.cells["east"].there("/a")


# ------------------------------------------------------------------------------------------------------------- in cells


def test_each_cell_has_its_own_files(world: World) -> None:
    """The same name in two is two files, with two numbers, and each number says of which cell."""
    world.write("/east/a", b"east")
    world.write("/west/a", b"west")
    assert world.cells["east"].contents("/a") == b"east" and world.read("/west/a") == b"west"
    numbers = [world.files.getattr(f"/{name}/a")["st_ino"] >> 48 for name in ("east", "west")]
    assert numbers == [1, 2]
    assert world.ls("/east") == ["a"] and world.ls("/east/.chubby")[0] == "status"


def test_every_call_goes_to_the_cell_it_names(world: World) -> None:
    """By path."""
    files = world.files
    files.mkdir("/east/d", 0o755, CALLER)
    world.write("/east/d/a", b"text")
    files.chmod("/east/d/a", 0o600)
    files.chown("/east/d/a", 7, 8)
    files.utimens("/east/d/a", (10, 20))
    files.setxattr("/east/d/a", "user.note", b"mine", 0)
    files.truncate("/east/d/a", 2)
    found = files.getattr("/east/d/a")
    assert (found["st_mode"] & 0o777, found["st_uid"], found["st_size"]) == (0o600, 7, 2)
    assert files.getxattr("/east/d/a", "user.note", CALLER) == b"mine" and "user.note" in files.listxattr("/east/d/a")
    files.removexattr("/east/d/a", "user.note")
    files.rename("/east/d/a", "/east/b", 0)
    files.rmdir("/east/d")
    assert world.ls("/east") == ["b"]
    files.unlink("/east/b")
    assert world.ls("/east") == [] and world.attempts == {"east": 1}
    assert files.statfs("/east")["f_bsize"] == 4096 and files.getxattr("/east", "user.chubby.instance", CALLER) == b"1"


def test_every_call_goes_to_the_cell_of_its_file(world: World) -> None:
    """By number: the same one within two cells is two files."""
    files = world.files
    east = files.create("/east/a", os.O_RDWR | os.O_CREAT, 0o644, CALLER).file
    west = files.create("/west/a", os.O_RDWR | os.O_CREAT, 0o644, CALLER).file
    assert east & ((1 << FILE_BITS) - 1) == west & ((1 << FILE_BITS) - 1) and east != west
    files.write(east, b"east", 0)
    files.write(west, b"western", 0)
    files.ftruncate(west, 4)
    assert files.read(east, 10, 0) == b"east" and files.read(west, 10, 0) == b"west"
    assert files.file_path(east) == "/east/a" and files.fgetattr(west)["st_ino"] == files.getattr("/west/a")["st_ino"]
    files.fsync(east)
    assert world.cells["east"].contents("/a") == b"east" and world.cells["west"].contents("/a") == b""
    files.flock(west, fcntl.LOCK_EX, CALLER)
    assert world.cells["west"].cell.tree.nodes["/a"].holders and not world.cells["east"].cell.tree.nodes["/a"].holders
    lock = FileLock(fcntl.F_WRLCK)
    files.lock(east, 7, lock, False, CALLER)
    assert files.test_lock(east, 8, lock, Caller(USER, GROUP, 1)).kind == fcntl.F_WRLCK
    assert files.poll(east, None) & select.POLLIN
    for file in (east, west):
        files.flush(file)
        files.release(file)
    assert not world.cells["west"].cell.tree.nodes["/a"].holders


@pytest.mark.parametrize("flags", [0, 1])
def test_nothing_moves_from_one_cell_to_another(world: World, flags: int) -> None:
    """EXDEV, on which mv copies; the other cell need not even be there."""
    world.write("/east/a", b"text")
    with refused(errno.EXDEV):
        world.files.rename("/east/a", "/west/a", flags)
    with refused(errno.EXDEV):
        world.files.rename("/west/a", "/east/b", flags)
    assert world.attempts == {"east": 1} and world.ls("/east") == ["a"]


def test_numbers_of_files_controls_and_touches_never_meet(world: World) -> None:
    """Within a cell's share of the numbers there is room for all three kinds, and for a trillion files of each."""
    assert TOUCHED + 1 == FIRST and 2 * FIRST < 1 << FILE_BITS
    file = world.files.create("/west/a", FLAGS, 0o644, CALLER).file
    control = world.files.open("/west/.chubby/version", os.O_RDONLY, CALLER).file
    assert file >> FILE_BITS == control >> FILE_BITS == 1
    inner = [number & ((1 << FILE_BITS) - 1) for number in (file, control)]
    assert inner[0] < TOUCHED < FIRST < inner[1]
    assert world.files.file_path(control) == "/west/.chubby/version"
    for number in (file, control):
        world.files.release(number)


@pytest.mark.parametrize("file", [0, 1, 1 << FILE_BITS, (1 << FILE_BITS) + 1, 7 << FILE_BITS])
def test_numbers_that_nobody_has_open(world: World, file: int) -> None:
    """EBADF, be there such a cell or not."""
    world.ls("/east")
    with refused(errno.EBADF):
        world.files.read(file, 1, 0)
    with refused(errno.EBADF):
        world.files.release(file)


def test_the_kernel_is_told_by_the_names_of_the_mount(world: World) -> None:
    """Pages of `/east/a` are known to it as that."""
    world.write("/east/a", b"old")
    file = world.files.open("/east/a", os.O_RDONLY, CALLER).file
    world.mounted.dropped.clear()
    world.cells["east"].put("/a", b"new")
    until(lambda: "/east/a" in world.mounted.dropped)
    until(lambda: world.files.read(file, 10, 0) == b"new")
    world.files.release(file)


# ----------------------------------------------------------------------------------------------------------- connecting


def test_a_cell_is_connected_to_once(world: World) -> None:
    """However many come at first."""
    together, done = threading.Barrier(8), []

    def look() -> None:
        together.wait(20)
        done.append(world.ls("/east"))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [[]] * 8 and world.attempts == {"east": 1}


def test_a_cell_that_cannot_be_reached_keeps_nobody_from_another(world: World) -> None:
    """Who waits for it waits alone; those who came meanwhile fail with the same attempt, later ones begin another."""
    asked, answer = threading.Event(), threading.Event()
    outcomes: list[BaseException] = []
    waiting: set[int] = set()

    def unreachable() -> None:
        asked.set()
        assert answer.wait(20)
        raise NoQuorum("nobody is there")

    def look() -> None:
        heed(lambda: waiting.add(threading.get_ident()))
        try:
            world.ls("/east")
        except NoQuorum as error:
            outcomes.append(error)

    world.before["east"] = unreachable
    threads = [threading.Thread(target=look) for _ in range(6)]
    threads[0].start()
    assert asked.wait(20)
    for thread in threads[1:]:
        thread.start()
    world.write("/west/a", b"text")
    assert world.ls("/") == ["east", "west"] and world.files.getattr("/east")["st_nlink"] == 1
    until(lambda: len(waiting) == 5)
    answer.set()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6 and world.attempts["east"] == 1
    assert len({id(error) for error in outcomes}) == 6, "each thread raises its own"
    with refused(errno.ETIMEDOUT):
        world.ls("/east")
    assert world.attempts["east"] == 2
    del world.before["east"]
    assert world.ls("/east") == []


def test_a_cell_that_is_wrongly_configured(world: World) -> None:
    """EIO, with the reason in the log; once it is mended, it is there."""

    def wrong() -> None:
        raise ConfigError("east.toml: no replicas")

    world.before["east"] = wrong
    with refused(errno.EIO):
        world.files.getattr("/east/a")
    del world.before["east"]
    with refused(errno.ENOENT):
        world.files.getattr("/east/a")


# --------------------------------------------------------------------------------------------------------------- ending


def test_the_end_is_that_of_all_sessions(world: World) -> None:
    """And of the mount: no cell is connected to any more."""
    world.ls("/east")
    world.write("/west/a", b"text")
    world.files.close()
    for name in ("east", "west"):
        until(partial(_empty, world.cells[name]))
    world.configured.append("north")
    with refused(errno.ENOTCONN):
        world.files.getattr("/north/a")
    world.files.close()


def _empty(shown: Shown) -> bool:
    return not shown.cell.sessions


def test_a_cell_that_is_just_being_connected_to_when_the_mount_ends(world: World) -> None:
    """Its session ends, too."""
    arrived, gone_on = threading.Event(), threading.Event()
    outcomes: list[int | None] = []

    def late() -> None:
        arrived.set()
        assert gone_on.wait(20)

    def look() -> None:
        try:
            world.ls("/east")
        except OSError as error:
            outcomes.append(error.errno)

    world.before["east"] = late
    thread = threading.Thread(target=look)
    thread.start()
    assert arrived.wait(20)
    world.files.close()
    gone_on.set()
    thread.join()
    assert outcomes == [errno.ENOTCONN]
    until(lambda: not world.cells["east"].cell.sessions)


def test_a_cell_that_does_not_end_in_good_order_keeps_no_other_from_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are told at once."""
    world.ls("/east")
    world.ls("/west")
    east, west = world.cells["east"], world.cells["west"]
    real = east.files.close

    def close() -> None:
        real()
        until(lambda: not west.cell.sessions)
        raise NoQuorum("nobody took note")

    monkeypatch.setattr(east.files, "close", close)
    world.files.close()
    assert not west.cell.sessions
    monkeypatch.undo()
