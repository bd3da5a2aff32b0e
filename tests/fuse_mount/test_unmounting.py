"""Mounts for real, of files in memory: how they end, and what is said of those that do not."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fuse_mount import mount_table, unmounting
from fuse_mount.mount_table import Life, MountPoint
from fuse_mount.orders import Locator, Order
from fuse_mount.starting import check_directory, start
from fuse_mount.troubles import MountError, Trouble
from fuse_mount.unmounting import Unmounted, unmount
from fuse_mount.users import children_of, server_of
from tests.fuse_mount.fake_mount import AUTO, ENTANGLED, MOUNTED, program
from tests.integration.cells import alive, wait_for

pytestmark = pytest.mark.fuse

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0

Begin = Callable[..., int]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where to mount."""
    made = tmp_path / "place"
    made.mkdir()
    return made


@pytest.fixture
def begin(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Mounts at `place`, or a directory given, and returns the process. Afterwards nothing is left of any."""
    monkeypatch.chdir(ROOT)
    processes: list[int] = []
    places: list[Path] = []

    def mount(
        where: Path = place, kernel: Sequence[str] = (), read_only: bool = False, behaviour: str = MOUNTED
    ) -> int:
        order = Order(
            str(where), "memory", Locator(), kernel=tuple(kernel), read_only=read_only, log=str(place.parent / "log")
        )
        places.append(where)
        processes.append(start(order, program(behaviour)))
        return processes[-1]

    yield mount
    for process in processes:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    for where in places:
        while mount_table.at(str(where)) is not None:
            subprocess.run(["umount", "--force", "--lazy", str(where)], check=True)


def ended(process: int) -> int:
    """The exit code of a process that ends by itself."""
    watch = os.pidfd_open(process)
    try:
        assert select.select([watch], [], [], PATIENCE)[0], "it has not ended"
    finally:
        os.close(watch)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def found(place: Path) -> MountPoint:
    """What is mounted there."""
    mount = mount_table.at(str(place))
    assert mount is not None
    return mount


def trouble_of(place: Path, lazy: bool = False) -> tuple[Trouble, str]:
    """Why it cannot be unmounted."""
    with pytest.raises(MountError) as raised:
        unmount(place, lazy)
    return raised.value.trouble, str(raised.value)


def test_a_mount_stands_in_the_table(begin: Begin, place: Path) -> None:
    """With its type, its source and its process, by the time one is told that it is mounted."""
    process = begin()
    mount = found(place)
    assert mount.ours and mount.type == "fuse.chubby" and mount.source == "memory"
    assert server_of(mount.device) == process
    assert mount_table.probe(str(place)) is Life.LIVE
    assert (place / "hello").read_text() == "hello"


def test_unmounting_waits_for_the_end_of_its_process(begin: Begin, place: Path) -> None:
    """In good order: exit code 0, nothing in the table."""
    process = begin()
    assert unmount(place) == Unmounted(str(place), "memory")
    assert os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    assert ended(process) == 0
    assert mount_table.at(str(place)) is None


def test_unmounting_waits_for_the_end_of_libfuses_helper(begin: Begin, place: Path) -> None:
    """Which would unmount whatever is mounted there next."""
    process = begin(kernel=(AUTO,))
    helper = children_of(process)
    assert len(helper) == 1 and alive(helper[0])
    assert unmount(place).server is None
    assert not alive(process) and not alive(helper[0])


@pytest.mark.parametrize("command", [["umount"], ["fusermount3", "-u"], ["umount", "--lazy"]], ids=" ".join)
def test_it_may_be_unmounted_by_other_means(begin: Begin, place: Path, command: list[str]) -> None:
    """That ends its process, and is no error."""
    process = begin()
    subprocess.run([*command, str(place)], check=True)
    assert ended(process) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("kernel", [(), (AUTO,)], ids=["", AUTO])
def test_a_signal_unmounts_although_it_is_in_use(
    begin: Begin, place: Path, number: signal.Signals, kernel: Sequence[str]
) -> None:
    """Whoever has a file open gets errors from then on; nobody waits for them."""
    process = begin(kernel=kernel)
    file = os.open(place / "hello", os.O_RDONLY)
    os.kill(process, number)
    assert ended(process) == 0
    assert mount_table.at(str(place)) is None
    with pytest.raises(OSError, match="not connected"):
        os.close(file)


def test_a_signal_unmounts_although_somebody_waits_for_a_lock(begin: Begin, place: Path) -> None:
    """The waiter is woken with an error, and every process ends."""
    process = begin()
    held = os.open(place / "hello", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with subprocess.Popen(["flock", str(place / "hello"), "true"], stderr=subprocess.DEVNULL) as waiter:
        wait_for(lambda: calls(waiter.pid, FLOCK), "a waiter")
        os.kill(process, signal.SIGTERM)
        assert ended(process) == 0
        assert waiter.wait(PATIENCE) != 0
    with pytest.raises(OSError, match="not connected"):
        os.close(held)


FLOCK = (b"73", b"32")
"""The number of flock(2): on x86-64, and everywhere else."""


def calls(process: int, numbers: Sequence[bytes]) -> bool:
    """Whether a process is within a system call of that number."""
    return Path(f"/proc/{process}/syscall").read_bytes().split()[0] in numbers


def test_killed_it_is_stale_and_cleared(begin: Begin, place: Path) -> None:
    """Every use is "Transport endpoint is not connected"; one is told what to do, and does it."""
    process = begin()
    os.kill(process, signal.SIGKILL)
    assert ended(process) == -signal.SIGKILL
    assert mount_table.probe(str(place)) is Life.STALE
    with pytest.raises(MountError, match=f"clear it away with `chubby unmount {place}`") as raised:
        check_directory(place)
    assert raised.value.trouble is Trouble.DIRECTORY
    assert unmount(place) == Unmounted(str(place), "memory", stale=True)
    assert check_directory(place) == str(place)


def test_killed_it_is_cleared_by_libfuse_where_that_was_asked_for(begin: Begin, place: Path) -> None:
    """As every mount of ours does where there is a fusermount3."""
    process = begin(kernel=(AUTO,))
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: mount_table.at(str(place)) is None, "the unmount")
    assert ended(process) == -signal.SIGKILL


def test_killed_while_it_used_its_own_mount(begin: Begin, place: Path) -> None:
    """That thread of it waits for an answer of another one which was killed: no signal ends it, and libfuse's helper
    waits for its end. It is silent, not stale; cleared nevertheless, and then all of it ends.
    """
    process = begin(behaviour=ENTANGLED)
    wait_for(lambda: waits_in_kernel(process), "a thread that waits")
    watch = os.pidfd_open(process)
    try:
        os.kill(process, signal.SIGKILL)
        wait_for(lambda: not alive(process), "the end of its first thread")
        assert not select.select([watch], [], [], 0.1)[0], "another one is left"
        assert mount_table.probe(str(place), 0.1) is Life.SILENT
        with pytest.raises(MountError, match="clear it away"):
            check_directory(place)
        assert unmount(place) == Unmounted(str(place), "memory", stale=True)
        assert select.select([watch], [], [], PATIENCE)[0]
    finally:
        os.close(watch)
    assert ended(process) == -signal.SIGKILL


def waits_in_kernel(process: int) -> bool:
    """Whether a thread of it waits for FUSE to answer."""
    return any(wait.read_text() == "request_wait_answer" for wait in Path(f"/proc/{process}/task").glob("*/wchan"))


def test_a_mount_in_use_is_left_alone(begin: Begin, place: Path) -> None:
    """And who uses it is said."""
    process = begin()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=place) as inside:
        trouble, text = trouble_of(place)
        assert trouble is Trouble.BUSY
        assert f"{place} is in use by cat (process {inside.pid}: {place})" in text and "--lazy" in text
    with (place / "hello").open():
        assert trouble_of(place)[0] is Trouble.BUSY
    assert unmount(place).server is None and ended(process) == 0


def test_a_mount_that_its_own_process_uses_in_passing_is_waited_for(
    begin: Begin, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells the kernel's watchers what happened elsewhere, by touching files: nobody has to hear of that."""
    process, really, tries = begin(), unmounting._umount, 0

    def busy_at_first(directory: str, flags: int) -> int:
        nonlocal tries
        tries += 1
        return errno.EBUSY if tries <= 3 else really(directory, flags)

    monkeypatch.setattr(unmounting, "_umount", busy_at_first)
    monkeypatch.setattr(unmounting, "PASSING", 60.0)
    assert unmount(place).server is None and ended(process) == 0 and tries == 4


def test_a_mount_in_use_is_put_out_of_sight(begin: Begin, place: Path) -> None:
    """And ends with its last user."""
    process = begin()
    with (place / "hello").open() as file:
        assert unmount(place, lazy=True) == Unmounted(str(place), "memory", server=process)
        assert mount_table.at(str(place)) is None and list(place.iterdir()) == []
        assert file.read() == "hello"
    assert ended(process) == 0


def test_one_of_two_places_of_a_mount(begin: Begin, place: Path) -> None:
    """The other one goes on, and so does the process; nobody waits for it."""
    process, other = begin(), place.parent / "other"
    other.mkdir()
    subprocess.run(["mount", "--bind", str(place), str(other)], check=True)
    try:
        assert unmount(place) == Unmounted(str(place), "memory", server=process, elsewhere=(str(other),))
        assert (other / "hello").read_text() == "hello"
        assert unmount(other) == Unmounted(str(other), "memory")
    finally:
        subprocess.run(["umount", "--quiet", str(other)], check=False, stderr=subprocess.DEVNULL)
    assert ended(process) == 0


def test_a_place_is_known_by_any_of_its_names(begin: Begin, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbolic links and relative names."""
    (place.parent / "link").symlink_to("place")
    for name in ("link", "./place/", "link/../place"):
        process = begin()
        monkeypatch.chdir(place.parent)
        assert unmount(name).directory == str(place)
        assert ended(process) == 0
        monkeypatch.chdir(ROOT)


def test_a_place_that_is_taken(begin: Begin, place: Path) -> None:
    """By one of ours: nothing is started."""
    begin()
    with pytest.raises(MountError, match=f"memory is mounted at {place} already") as raised:
        check_directory(place)
    assert raised.value.trouble is Trouble.MOUNTED


def test_where_nothing_is_mounted(place: Path) -> None:
    """A directory, a file in it, or nothing."""
    for name in (place, place / "none", Path("/etc/passwd")):
        assert trouble_of(name) == (Trouble.NOT_MOUNTED, f"nothing is mounted at {name}")


def test_what_is_not_ours_is_left_alone() -> None:
    """Whatever it is."""
    trouble, text = trouble_of(Path("/proc"), lazy=True)
    assert trouble is Trouble.DIRECTORY and "is a mount of type proc (proc), not fuse.chubby: use umount" in text


def test_a_process_that_hangs_is_not_waited_for_without_end(begin: Begin, place: Path) -> None:
    """It is unmounted; that the process goes on is told."""
    process = begin()
    os.kill(process, signal.SIGSTOP)
    try:
        assert unmount(place, patience=0.1) == Unmounted(str(place), "memory", server=process)
    finally:
        os.kill(process, signal.SIGCONT)
    assert ended(process) == 0


def test_it_is_read_only(begin: Begin, place: Path) -> None:
    """Whoever wants to write is refused by the kernel, which the table shows."""
    begin(read_only=True)
    assert "ro" in found(place).options
    with pytest.raises(OSError, match="Read-only file system"):
        (place / "new").write_text("x")


# ------------------------------------------------------------------------------------ who may not ask the kernel


class Helper:
    """A `fusermount3` of our own, and a kernel that lets nobody unmount."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.file = folder / "fusermount3"
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.setattr(unmounting, "_umount", lambda directory, flags: 1)

    def does(self, script: str) -> None:
        """What it does when it is called."""
        self.file.write_text(f"#!/bin/sh\n{script}\n")
        self.file.chmod(0o755)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    """As for a user who is not root."""
    return Helper(tmp_path / "bin", monkeypatch)


def test_who_is_not_root_unmounts_by_fusermount3(begin: Begin, place: Path, helper: Helper) -> None:
    """Lazily too. What it refuses is told."""
    helper.does('shift $(($# - 1)); exec umount "$1"')
    process = begin()
    assert unmount(place).server is None and ended(process) == 0
    begin()
    helper.does('[ "$2" = -z ] && exec umount --lazy "$4"')
    unmount(place, lazy=True)
    begin()
    helper.does("echo 'fusermount3: entry for /x not found in /etc/mtab' >&2; exit 1")
    trouble, text = trouble_of(place)
    assert trouble is Trouble.REFUSED and "not found in /etc/mtab" in text
    helper.does("echo 'fusermount3: failed to unmount /x: Device or resource busy' >&2; exit 1")
    assert trouble_of(place)[0] is Trouble.BUSY


def test_who_is_not_root_and_has_no_fusermount3(
    begin: Begin, place: Path, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is told what to install."""
    begin()
    monkeypatch.setattr(unmounting, "HELPER", "fusermount3-that-is-not-there")
    trouble, text = trouble_of(place)
    assert trouble is Trouble.REFUSED and "package fuse3" in text
