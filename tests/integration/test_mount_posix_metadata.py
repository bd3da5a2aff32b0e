"""What POSIX says of attributes, kept on a mount or refused as docs/mount.md says.

`here` and `there` are one directory of the cell, on two mounts by two processes.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chubby.types.limits import ATTRIBUTES_LIMIT, NODES_QUOTA, TOTAL_BYTES_QUOTA
from tests.integration.cells import Cell
from tests.integration.mounts import Mount, run
from tests.integration.syscalls import SECOND, UTIME_NOW, UTIME_OMIT, opened, refusal, utimensat

pytestmark = pytest.mark.fuse

Act = Callable[[Path], object]
OURS = "user.chubby."


@pytest.fixture(params=["file", "directory"])
def thing(request: pytest.FixtureRequest, here: Path) -> Path:
    """A file, and in another run of the test a directory."""
    path = here / "thing"
    if request.param == "file":
        path.write_text("content")
    else:
        path.mkdir()
    return path


# ------------------------------------------------------------------------------------------------------------- mode


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o600, 0o644, 0o751, 0o777, 0o1755])
def test_modes_are_kept(thing: Path, there: Path, mode: int) -> None:
    """chmod(2) and fchmod(2): permissions and the sticky bit, on every machine."""
    thing.chmod(mode)
    assert stat.S_IMODE((there / "thing").stat().st_mode) == mode
    with opened(thing) as file:
        os.fchmod(file, 0o640)
    assert stat.S_IMODE((there / "thing").stat().st_mode) == 0o640


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
def test_setuid_and_setgid_are_not_kept(thing: Path, bit: int) -> None:
    """Whoever may write a node may set its owner too: such a bit would make anybody root."""
    thing.chmod(0o755 | bit)
    assert stat.S_IMODE(thing.stat().st_mode) == 0o755


def test_new_files_have_the_mode_asked_for_less_the_umask(here: Path, there: Path) -> None:
    """open(2), mkdir(2), mknod(2) and creat(2) alike."""
    before = os.umask(0o027)
    try:
        os.close(os.open(here / "f", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(here / "d", 0o777)
        os.mknod(here / "n", stat.S_IFREG | 0o777)
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((there / name).stat().st_mode) for name in "fdn"}
    assert modes == {"f": 0o640, "d": 0o750, "n": 0o750}


def test_nothing_is_enforced_from_a_mode(here: Path) -> None:
    """A file of mode 0 can be written and read by everyone who may by the node's access-control lists."""
    (here / "f").write_text("old")
    (here / "f").chmod(0)
    done = run("setpriv", "--reuid=0", "--bounding-set=-all", "--inh-caps=-all", "cat", str(here / "f"))
    assert done == "old"


def test_a_file_is_executed_if_anybody_may(here: Path) -> None:
    """access(2) allows reading and writing; `test -x` and execve(2) agree on what a program is."""
    (here / "f").write_text("#!/bin/sh\necho it runs\n")
    (here / "f").chmod(0)
    assert os.access(here / "f", os.R_OK | os.W_OK) and not os.access(here / "f", os.X_OK)
    assert refusal(os.execv, here / "f", ["f"]) == "EACCES"
    (here / "f").chmod(0o100)
    assert os.access(here / "f", os.X_OK) and run(str(here / "f")) == "it runs\n"
    assert os.access(here, os.R_OK | os.W_OK | os.X_OK)


# ------------------------------------------------------------------------------------------------------------ owner


def test_owners_are_kept(thing: Path, there: Path) -> None:
    """chown(2), lchown(2) and fchown(2); -1 leaves one as it is. They are shown on every machine, by number."""
    os.chown(thing, 12, 34)
    os.lchown(thing, 56, -1)
    with opened(thing) as file:
        os.fchown(file, -1, 78)
    found = (there / "thing").stat()
    assert (found.st_uid, found.st_gid) == (56, 78)


def test_a_new_file_is_its_makers(here: Path) -> None:
    """Without a kept owner it is the user's who has mounted."""
    (here / "f").touch()
    found = (here / "f").stat()
    assert (found.st_uid, found.st_gid) == (os.getuid(), os.getgid())


# ------------------------------------------------------------------------------------------------------------ times


def test_times_are_kept_to_the_nanosecond(thing: Path, there: Path) -> None:
    """utimensat(2) and futimens(3), also long before 1970 and long after now."""
    for access, change in ((1, 2), (-(10**18) - 1, 3 * 10**18 + 7), (10**18 + 123_456_789, 10**18)):
        os.utime(thing, ns=(access, change))
        found = (there / "thing").stat()
        assert (found.st_atime_ns, found.st_mtime_ns) == (access, change)
    with opened(thing) as file:
        os.utime(file, ns=(5 * SECOND, 6 * SECOND))
    assert (there / "thing").stat().st_mtime_ns == 6 * SECOND


def test_times_that_are_left_out_or_now(thing: Path) -> None:
    """UTIME_OMIT and UTIME_NOW, each for itself; without times both are now."""
    os.utime(thing, ns=(5 * SECOND, 6 * SECOND))
    utimensat(thing, UTIME_OMIT, 7 * SECOND)
    assert (thing.stat().st_atime_ns, thing.stat().st_mtime_ns) == (5 * SECOND, 7 * SECOND)
    began = time.time_ns()
    utimensat(thing, UTIME_NOW, UTIME_OMIT)
    assert thing.stat().st_mtime_ns == 7 * SECOND
    assert began <= thing.stat().st_atime_ns <= time.time_ns()
    os.utime(thing)
    assert began <= thing.stat().st_mtime_ns <= time.time_ns()


CHANGES_OF_CONTENT: dict[str, Act] = {
    "write": lambda path: path.write_text("another"),
    "the same again": lambda path: path.write_text("content"),
    "truncate": lambda path: os.truncate(path, 2),
    "append": lambda path: run("sh", "-c", f"echo >> {path}"),
}


@pytest.mark.parametrize("change", CHANGES_OF_CONTENT)
def test_a_change_of_content_moves_the_times(here: Path, there: Path, change: str) -> None:
    """st_mtime and st_ctime, even if they were set to the future, and even within one tick of the clock."""
    path = here / "f"
    for times in (None, (4 * 10**18, 4 * 10**18)):
        path.write_text("content")
        if times is not None:
            os.utime(path, ns=times)
        before = path.stat()
        CHANGES_OF_CONTENT[change](path)
        after = (there / "f").stat()
        assert after.st_mtime_ns != before.st_mtime_ns and after.st_ctime_ns > before.st_ctime_ns
        assert abs(after.st_mtime_ns - time.time_ns()) < 3600 * SECOND


CHANGES_OF_ATTRIBUTES: dict[str, Act] = {
    "chmod": lambda path: path.chmod(0o611),
    "chown": lambda path: os.chown(path, 1, 1),
    "setxattr": lambda path: os.setxattr(path, "user.x", b"1"),
}


@pytest.mark.parametrize("change", CHANGES_OF_ATTRIBUTES)
def test_a_change_of_attributes_moves_ctime_alone(thing: Path, change: str) -> None:
    """st_mtime stays, or every chmod would have make(1) build anew."""
    before = thing.stat()
    CHANGES_OF_ATTRIBUTES[change](thing)
    after = thing.stat()
    assert after.st_mtime_ns == before.st_mtime_ns and after.st_ctime_ns > before.st_ctime_ns


def test_reading_moves_no_time(thing: Path) -> None:
    """As with `noatime`: a read that wrote to the cell would cost all who cache the node."""
    before = thing.stat()
    os.listdir(thing) if thing.is_dir() else thing.read_bytes()
    assert thing.stat().st_atime_ns == before.st_atime_ns


def test_a_directory_does_not_tell_when_its_names_changed(here: Path) -> None:
    """The rule that does not hold: a node's time is that of the node, not of its children."""
    (here / "d").mkdir()
    before = (here / "d").stat()
    (here / "d/x").touch()
    (here / "d/x").unlink()
    assert (here / "d").stat().st_mtime_ns == before.st_mtime_ns


# --------------------------------------------------------------------------------------------------- numbers, sizes


def test_inode_numbers_are_stable_and_unique(here: Path, there: Path) -> None:
    """The same on every machine, whatever happens to content and attributes; and never given twice."""
    for number in range(50):
        (here / f"{number}").touch()
    numbers = {name: (here / name).stat().st_ino for name in os.listdir(here)}
    assert len(set(numbers.values())) == 50
    assert numbers == {name: (there / name).stat().st_ino for name in os.listdir(there)}
    (there / "7").write_text("changed")
    (there / "7").chmod(0o600)
    assert (here / "7").stat().st_ino == numbers["7"]
    (here / "8").unlink()
    (here / "8").touch()
    assert (there / "8").stat().st_ino not in numbers.values()


def test_numbers_of_links(here: Path) -> None:
    """1 for all: there are no links, and of a directory 2 would say that it has none below it."""
    (here / "f").touch()
    (here / "d/below").mkdir(parents=True)
    assert [(here / name).stat().st_nlink for name in ("f", "d", "d/below")] == [1, 1, 1]


def test_sizes_and_blocks(here: Path) -> None:
    """A file has as many blocks of 512 bytes as its content takes: `du` counts contents. A directory has none."""
    for size in (0, 1, 512, 513, 100_000):
        (here / "f").write_bytes(bytes(size))
        found = (here / "f").stat()
        assert (found.st_size, found.st_blocks) == (size, -(-size // 512))
    assert here.stat().st_size == here.stat().st_blocks == 0
    assert (here / "f").stat().st_blksize >= 4096


def test_fstat_of_an_open_file_agrees_with_stat(here: Path) -> None:
    """Size and all, also while something written waits to be committed."""
    (here / "f").write_text("content")
    with opened(here / "f", os.O_RDWR) as file:
        assert os.fstat(file) == (here / "f").stat()
        os.pwrite(file, b"longer than before", 0)
        assert os.fstat(file).st_size == (here / "f").stat().st_size == 18
        os.ftruncate(file, 3)
        assert os.fstat(file).st_size == (here / "f").stat().st_size == 3


# --------------------------------------------------------------------------------------------------------- statvfs


def test_statvfs(here: Path, two_mounts: tuple[Mount, Mount]) -> None:
    """The quotas of the cell, and what is used of them: for all who use it, not for this user."""
    found = os.statvfs(here)
    assert found == os.statvfs(two_mounts[0] / ".chubby/status")
    assert found.f_blocks * found.f_frsize == TOTAL_BYTES_QUOTA
    assert 0 < found.f_bavail == found.f_bfree <= found.f_blocks
    assert 0 < found.f_favail == found.f_ffree < found.f_files == NODES_QUOTA
    assert found.f_namemax == 255
    assert found.f_flag & os.ST_NOSUID and found.f_flag & os.ST_NODEV and not found.f_flag & os.ST_RDONLY


# ----------------------------------------------------------------------------------------------------------- xattr

XATTRS: dict[str, tuple[str, Act]] = {
    "get: missing": ("ENODATA", lambda path: os.getxattr(path, "user.none")),
    "remove: missing": ("ENODATA", lambda path: os.removexattr(path, "user.none")),
    "set: XATTR_CREATE of what is there": ("EEXIST", lambda path: os.setxattr(path, "user.a", b"2", os.XATTR_CREATE)),
    "set: XATTR_REPLACE of what is not": ("ENODATA", lambda path: os.setxattr(path, "user.n", b"", os.XATTR_REPLACE)),
    "set: more than a node keeps": ("ENOSPC", lambda path: os.setxattr(path, "user.b", bytes(ATTRIBUTES_LIMIT))),
    "set: security": ("EOPNOTSUPP", lambda path: os.setxattr(path, "security.x", b"x")),
    "set: trusted": ("EOPNOTSUPP", lambda path: os.setxattr(path, "trusted.x", b"x")),
    "set: no such space of names": ("EOPNOTSUPP", lambda path: os.setxattr(path, "else.x", b"x")),
    "set: one of ours": ("EOPNOTSUPP", lambda path: os.setxattr(path, OURS + "instance", b"0")),
    "set: one of ours that is not": ("EOPNOTSUPP", lambda path: os.setxattr(path, OURS + "none", b"0")),
    "remove: one of ours": ("EOPNOTSUPP", lambda path: os.removexattr(path, OURS + "instance")),
    "get: an access-control list of POSIX": ("EOPNOTSUPP", lambda path: os.getxattr(path, "system.posix_acl_access")),
    "get: security": ("EOPNOTSUPP", lambda path: os.getxattr(path, "security.capability")),
    "get: of nothing": ("ENOENT", lambda path: os.getxattr(path.with_name("missing"), "user.a")),
    "set: of .chubby": ("EPERM", lambda path: os.setxattr(path.parent.parent / ".chubby/status", "user.a", b"")),
}


@pytest.mark.parametrize("rule", XATTRS)
def test_refused_extended_attributes(thing: Path, rule: str) -> None:
    """What getxattr(2), setxattr(2) and removexattr(2) refuse, and with which error."""
    expected, act = XATTRS[rule]
    os.setxattr(thing, "user.a", b"1")
    assert refusal(act, thing) == expected
    assert os.getxattr(thing, "user.a") == b"1"


def test_extended_attributes(thing: Path, there: Path) -> None:
    """Any value is kept, binary and empty ones too, on every machine; names are listed; removed is gone."""
    for value in (b"text", bytes(range(256)), b"", b"\0\0"):
        os.setxattr(thing, "user.any", value)
        assert os.getxattr(there / "thing", "user.any") == value
    assert "user.any" in os.listxattr(there / "thing")
    os.removexattr(there / "thing", "user.any")
    assert "user.any" not in os.listxattr(thing)


def test_what_the_cell_says_of_a_node(mounted_cell: Cell, here: Path) -> None:
    """`user.chubby.*` is what the client says of it."""
    (here / "f").write_text("content")
    shown = {name: os.getxattr(here / "f", name).decode() for name in os.listxattr(here / "f")}
    with mounted_cell.connect() as session, session.open(f"/ls/test/{here.name}/f") as handle:
        told = handle.get_stat()
    assert shown[OURS + "instance"] == str(told.instance) == str((here / "f").stat().st_ino)
    assert shown[OURS + "content_generation"] == str(told.content_generation)
    assert shown[OURS + "checksum"] == f"{told.checksum:016x}"
    assert shown[OURS + "ephemeral"] == "0" and shown[OURS + "lock.mode"] == "free"
