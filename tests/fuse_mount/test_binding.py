"""The binding on real mounts: what programs do arrives at the FileSystem, and its answers arrive at them."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuse_mount.served import Served, served, within_deadline

pytestmark = pytest.mark.fuse

AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Served]:
    """A MemoryFiles, mounted."""
    with served(tmp_path / "mount") as found:
        yield found


def rename(old: Path, new: Path, flags: int) -> int:
    """renameat2(2): 0 or an errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)
    return ctypes.get_errno() if failed else 0


def refused(number: int, *command: object) -> bool:
    """Whether a program fails with that errno."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return done.returncode != 0 and os.strerror(number) in done.stderr


# ------------------------------------------------------------------------------------------------------------ contents


def test_what_is_written_is_read(mount: Served) -> None:
    """create, write, flush, release; open, read; with the process that asks."""
    (mount / "f").write_bytes(b"hello")
    assert (mount / "f").read_bytes() == b"hello"
    (path, flags, mode, process), *_ = mount.calls("create")
    assert (path, process) == ("/f", os.getpid())
    assert isinstance(flags, int) and flags & os.O_CREAT
    assert isinstance(mode, int) and stat.S_IMODE(mode) == 0o644
    assert mount.calls("write") == [("/f", 5, 0)]
    within_deadline(lambda: mount.calls("release") == [("/f",), ("/f",)])
    assert len(mount.calls("flush")) == 2


def test_a_write_at_an_offset_and_one_at_the_end(mount: Served) -> None:
    """The kernel names the place; with O_APPEND it is the file system that knows where the end is."""
    (mount / "f").write_bytes(b"hello")
    with open(mount / "f", "r+b", buffering=0) as file:
        assert os.pwrite(file.fileno(), b"J", 0) == 1
    with open(mount / "f", "ab", buffering=0) as file:
        mount.put("/f", "longer now")
        file.write(b"!")
    assert (mount / "f").read_bytes() == b"longer now!"


def test_a_large_file_comes_and_goes_whole(mount: Served) -> None:
    """In several requests."""
    content = os.urandom(256 * 1024)
    (mount / "f").write_bytes(content)
    assert (mount / "f").read_bytes() == content
    assert sum(int(size or 0) for _, size, _ in mount.calls("write")) == len(content)


def test_truncation_by_name_by_descriptor_and_by_opening(mount: Served) -> None:
    """Three requests for the same thing; O_TRUNC comes with open, in one step."""
    (mount / "f").write_bytes(b"hello")
    os.truncate(mount / "f", 4)
    with open(mount / "f", "r+b") as file:
        os.ftruncate(file.fileno(), 6)
        assert (mount / "f").read_bytes() == b"hell\0\0"
    assert mount.calls("truncate") == [("/f", 4)]
    assert mount.calls("ftruncate") == [("/f", 6)]
    with open(mount / "f", "wb"):
        assert (mount / "f").stat().st_size == 0
    assert len(mount.calls("truncate")) == 1


def test_access_agrees_with_what_the_kernel_executes(mount: Served) -> None:
    """Reading and writing are nobody's matter but the file system's; a program is what has a bit that says so."""
    (mount / "f").write_text("#!/bin/sh\n")
    for mode, executable in ((0o000, False), (0o666, False), (0o001, True), (0o755, True)):
        (mount / "f").chmod(mode)
        assert os.access(mount / "f", os.R_OK | os.W_OK)
        assert os.access(mount / "f", os.X_OK) is executable
    assert os.access(mount.directory, os.R_OK | os.W_OK | os.X_OK)
    assert not os.access(mount / "missing", os.F_OK)


def test_fsync_arrives(mount: Served) -> None:
    """As what it is, not as a flush."""
    with open(mount / "f", "wb") as file:
        os.fsync(file.fileno())
        assert mount.calls("fsync") == [("/f",)]


def test_a_removed_file_is_read_and_written_on(mount: Served) -> None:
    """By its number. Only what goes by the name alone is told that it is stale: libfuse answers, it knows no name."""
    descriptor = os.open(mount / "f", os.O_RDWR | os.O_CREAT)
    try:
        os.write(descriptor, b"hello")
        os.unlink(mount / "f")
        assert os.listdir(mount.directory) == []
        assert mount.calls("rename") == []
        assert os.pread(descriptor, 9, 0) == b"hello"
        os.ftruncate(descriptor, 4)
        assert os.lseek(descriptor, 0, os.SEEK_END) == 4
        assert os.write(descriptor, b"!") == 1
        assert os.pread(descriptor, 9, 0) == b"hell!"
        for ask in (lambda: os.fchmod(descriptor, 0o600), lambda: os.utime(descriptor), lambda: os.fstat(descriptor)):
            with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
                ask()
    finally:
        os.close(descriptor)


# --------------------------------------------------------------------------------------------------------------- names


def test_directories_are_made_listed_and_removed(mount: Served) -> None:
    """Types and inode numbers are in the listing; errors are those of the file system."""
    (mount / "d").mkdir(mode=0o700)
    (mount / "d" / "f").touch()
    with os.scandir(mount / "d") as entries:
        assert [(entry.name, entry.is_file(), entry.inode() == entry.stat().st_ino) for entry in entries] == [
            ("f", True, True)
        ]
    assert mount.calls("readdir") == [("/d",)]
    with pytest.raises(OSError, match=os.strerror(errno.ENOTEMPTY)):
        (mount / "d").rmdir()
    (mount / "d" / "f").unlink()
    (mount / "d").rmdir()
    assert mount.calls("mkdir") == [("/d", 0o700, os.getpid())]
    assert not (mount / "d").exists()


def test_a_listing_begins_with_the_directory_and_its_parent(mount: Served) -> None:
    """As POSIX programs expect."""
    (mount / "f").touch()
    done = subprocess.run(["ls", "-a", "-U", mount.directory], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [".", "..", "f"]


def test_a_directory_of_a_thousand_names_is_listed_by_one_request(mount: Served) -> None:
    """However many buffers the kernel needs for them."""
    for number in range(1000):
        (mount / f"file-{number:04}").touch()
    assert sorted(os.listdir(mount.directory)) == [f"file-{number:04}" for number in range(1000)]
    assert mount.calls("readdir") == [("/",)]


def test_names_of_any_bytes_come_back(mount: Served) -> None:
    """UTF-8 or not."""
    names = [b"\xc3\xa4", b"\xff\xfe"]
    for name in names:
        os.close(os.open(os.fsencode(mount.directory) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    assert sorted(os.listdir(os.fsencode(mount.directory))) == names


def test_rename_comes_with_its_flags(mount: Served) -> None:
    """What mfusepy itself drops: a RENAME_NOREPLACE that replaces would be a lie."""
    (mount / "a").write_bytes(b"a")
    (mount / "b").write_bytes(b"b")
    assert rename(mount / "a", mount / "b", RENAME_NOREPLACE) == errno.EEXIST
    assert rename(mount / "a", mount / "b", RENAME_EXCHANGE) == errno.EINVAL
    assert rename(mount / "a", mount / "b", 0) == 0
    assert (mount / "b").read_bytes() == b"a"
    assert mount.calls("rename")[-2:] == [("/a", "/b", RENAME_EXCHANGE), ("/a", "/b", 0)]


def test_mode_owner_and_times_are_set_by_name_and_by_descriptor(mount: Served) -> None:
    """-1 leaves an owner; times are exact to the nanosecond."""
    (mount / "f").touch()
    mount.ask("forget")
    os.chmod(mount / "f", 0o640)
    os.chown(mount / "f", 12, -1)
    os.utime(mount / "f", ns=(1_000_000_007, 2_000_000_011))
    with open(mount / "f", "rb") as file:
        os.fchmod(file.fileno(), 0o600)
        os.fchown(file.fileno(), -1, 13)
    found = (mount / "f").stat()
    assert (found.st_mode, found.st_uid, found.st_gid) == (stat.S_IFREG | 0o600, 12, 13)
    assert (found.st_atime_ns, found.st_mtime_ns) == (1_000_000_007, 2_000_000_011)
    assert mount.calls("chown") == [("/f", 12, -1), ("/f", -1, 13)]


def test_one_of_two_times_can_stay_or_be_now(mount: Served) -> None:
    """touch -m, touch -a; without a time both are now."""
    (mount / "f").touch()
    os.utime(mount / "f", ns=(1, 2))
    subprocess.run(["touch", "-m", "-d", "@5", mount / "f"], check=True)
    assert ((mount / "f").stat().st_atime_ns, (mount / "f").stat().st_mtime_ns) == (1, 5 * 10**9)
    before = time.time_ns()
    subprocess.run(["touch", "-a", mount / "f"], check=True)
    assert before <= (mount / "f").stat().st_atime_ns <= time.time_ns()
    assert (mount / "f").stat().st_mtime_ns == 5 * 10**9
    os.utime(mount / "f")
    assert mount.calls("utimens")[-1] == ("/f", None)


def test_statfs_arrives(mount: Served) -> None:
    """`df` shows what the file system says."""
    found = os.statvfs(mount.directory)
    assert (found.f_blocks, found.f_bfree, found.f_bavail, found.f_namemax) == (1000, 400, 300, 99)


def test_extended_attributes(mount: Served) -> None:
    """Set, got, listed, removed, of any length, with the process that asks."""
    (mount / "f").touch()
    long = os.urandom(60_000)
    os.setxattr(mount / "f", "user.short", b"\0x", os.XATTR_CREATE)
    os.setxattr(mount / "f", "user.long", long)
    assert os.getxattr(mount / "f", "user.short") == b"\0x"
    assert os.getxattr(mount / "f", "user.long") == long
    assert os.listxattr(mount / "f") == ["user.short", "user.long"]
    os.removexattr(mount / "f", "user.long")
    with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
        os.getxattr(mount / "f", "user.long")
    assert ("/f", "user.short", os.XATTR_CREATE) in mount.calls("setxattr")
    assert ("/f", "user.short", os.getpid()) in mount.calls("getxattr")


def test_what_no_chubby_file_can_be_is_refused(mount: Served) -> None:
    """Links and devices: EPERM. Terminals: a file is none."""
    (mount / "f").touch()
    assert refused(errno.EPERM, "ln", mount / "f", mount / "g")
    assert refused(errno.EPERM, "ln", "-s", mount / "f", mount / "g")
    assert refused(errno.EPERM, "mkfifo", mount / "g")
    with open(mount / "f", "rb") as file:
        assert not file.isatty()
        with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
            mount.ask("opening", False, False, True)
            with open(mount / "f", "rb", buffering=0) as stream:
                os.lseek(stream.fileno(), 3, os.SEEK_SET)


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOSPC, errno.EBUSY, errno.EDQUOT])
def test_the_number_of_an_error_arrives(mount: Served, number: int) -> None:
    """Whatever the file system raises."""
    (mount / "f").touch()
    mount.ask("fail", "open", number)
    with pytest.raises(OSError, match="f") as caught:
        (mount / "f").read_bytes()
    assert caught.value.errno == number


def test_an_error_at_the_close_arrives(mount: Served) -> None:
    """From flush, as programs that look expect it."""
    descriptor = os.open(mount / "f", os.O_WRONLY | os.O_CREAT)
    mount.ask("fail", "flush", errno.EFBIG)
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        os.close(descriptor)


def test_a_bug_is_an_input_output_error_and_the_mount_goes_on(mount: Served) -> None:
    """It is not EINVAL, which would blame the caller, nor the end of all."""
    (mount / "f").write_bytes(b"hello")
    mount.ask("fail", "open", 0)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        (mount / "f").read_bytes()
    assert (mount / "f").read_bytes() == b"hello"
