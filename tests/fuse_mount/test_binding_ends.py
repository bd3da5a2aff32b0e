"""How a mount begins and ends, and what it looks like from outside."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fuse_mount.binding import MountOptions, arguments, mount_point, serve
from fuse_mount.troubles import MountError, Trouble
from tests.fuse_mount.memory import MemoryFiles
from tests.fuse_mount.served import Served, served, within_deadline

pytestmark = pytest.mark.fuse

NOBODY = 65534


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Served]:
    """A MemoryFiles, mounted."""
    with served(tmp_path / "mount") as found:
        yield found


def table() -> dict[str, list[str]]:
    """The fields of the table of mounts, by directory."""
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return {fields[1]: fields for fields in lines}


def test_the_table_of_mounts_shows_the_cell_and_the_type(mount: Served) -> None:
    """`mount -t fuse.chubby` lists it."""
    source, _, kind, options, *_ = table()[str(mount.directory)]
    assert (source, kind) == ("cell", "fuse.chubby")
    assert {"rw", "nosuid", "nodev"} <= set(options.split(","))
    assert "default_permissions" not in options and "allow_other" not in options


def test_options_of_the_kernel(tmp_path: Path) -> None:
    """They are passed on."""
    with served(tmp_path / "mount", kernel=["noexec", "noatime"]) as mount:
        assert {"noexec", "noatime"} <= set(table()[str(mount.directory)][3].split(","))


def test_a_mount_knows_where_it_is_and_who_asks(mount: Served) -> None:
    """The thread, so that one of its own is told apart from everybody else."""
    (mount / "f").touch()
    assert mount.ask("directory") == str(mount.directory)
    thread, asked = mount.ask("request by", "/f")
    assert thread == asked != mount.process.pid


def test_a_read_only_mount(tmp_path: Path) -> None:
    """The kernel refuses before anybody is asked."""
    with served(tmp_path / "mount", read_only=True) as mount:
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            (mount / "f").touch()
        assert mount.calls("create") == []


@pytest.mark.parametrize("allowed", [True, False])
def test_other_users_only_if_allowed(allowed: bool) -> None:
    """`allow_other`. The caller's user and group are told."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with served(Path(folder) / "mount", allow_other=allowed) as mount:
            (mount / "f").touch()
            done = subprocess.run(["touch", mount / "g"], user=NOBODY, group=NOBODY, capture_output=True, check=False)
            assert (done.returncode == 0) is allowed
            if allowed:
                assert ((mount / "g").stat().st_uid, (mount / "g").stat().st_gid) == (NOBODY, NOBODY)


def test_umount_ends_it(mount: Served) -> None:
    """umount(8) from elsewhere: `serve` returns."""
    subprocess.run(["umount", mount.directory], check=True)
    assert mount.end() == 0


def test_unmount_ends_it_and_says_so_twice_without_harm(mount: Served) -> None:
    """By our own will."""
    assert mount.ask("unmount") is None
    assert mount.end() == 0
    assert str(mount.directory) not in table()


def test_unmount_with_a_file_open(mount: Served) -> None:
    """It does not wait for whoever uses it; their calls fail from then on."""
    descriptor = os.open(mount / "f", os.O_WRONLY | os.O_CREAT)
    mount.ask("unmount")
    assert mount.end() == 0
    with pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
        os.write(descriptor, b"x")
    with suppress(OSError):
        os.close(descriptor)
    assert str(mount.directory) not in table()


def test_auto_unmount_clears_up_after_a_kill(tmp_path: Path) -> None:
    """By fusermount3, which outlives the process that serves."""
    with served(tmp_path / "mount", auto_unmount=True) as mount:
        (mount / "f").touch()
        mount.process.kill()
        mount.end()
        within_deadline(lambda: str(mount.directory) not in table())


def test_signals_are_left_alone(mount: Served) -> None:
    """libfuse would catch SIGHUP and SIGTERM, and obey only when one of its threads has something to do."""
    caught = next(
        int(line.split()[1], 16)
        for line in Path(f"/proc/{mount.process.pid}/status").read_text().splitlines()
        if line.startswith("SigCgt")
    )
    assert not caught & (1 << (signal.SIGHUP - 1) | 1 << (signal.SIGTERM - 1))


def test_the_choice_of_library_is_nobody_elses_business(mount: Served) -> None:
    """Neither `os.environ` nor children find the variable by which mfusepy chooses."""
    assert mount.ask("environment") == [None, ""]


def test_what_mounted_raises_ends_the_mount(tmp_path: Path) -> None:
    """Nobody is left with a mount that nobody knows of."""

    def trouble(_mount: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        serve(MemoryFiles(), str(tmp_path), MountOptions("cell"), trouble)
    assert str(tmp_path) not in table()


def test_unmount_from_within_mounted(tmp_path: Path) -> None:
    """Before the first request."""
    serve(MemoryFiles(), str(tmp_path), MountOptions("cell"), lambda mount: mount.unmount())
    assert str(tmp_path) not in table()


def test_a_name_with_a_comma_is_no_option(tmp_path: Path) -> None:
    """Whatever a cell is called."""
    seen = []

    def look(mount: object) -> None:
        seen.append(table()[str(tmp_path)][0])
        raise InterruptedError

    with pytest.raises(InterruptedError):
        serve(MemoryFiles(), str(tmp_path), MountOptions("a,ro\\b"), look)
    assert seen == ["a,ro\\134b"]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_only_a_directory_can_be_mounted_at(tmp_path: Path, name: str) -> None:
    """A trouble with the directory, in words."""
    (tmp_path / "file").touch()
    with pytest.raises(MountError, match=name) as caught:
        mount_point(str(tmp_path / name))
    assert caught.value.trouble is Trouble.DIRECTORY


def test_arguments_name_what_is_wanted() -> None:
    """And nothing else."""
    plain = arguments(MountOptions("cell"))
    assert plain == [b"chubby", b"-o", b"fsname=cell,subtype=chubby"]
    everything = MountOptions("cell", read_only=True, allow_other=True, auto_unmount=True, kernel=("noexec", "sync"))
    assert arguments(everything)[2] == plain[2] + b",ro,allow_other,auto_unmount,noexec,sync"
