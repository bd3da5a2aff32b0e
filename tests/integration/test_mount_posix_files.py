"""What POSIX says of reading and writing, kept on a mount or refused as docs/mount.md says.

`here` and `there` are one directory of the cell, on two mounts by two processes.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
from collections.abc import Callable
from pathlib import Path

import pytest

from chubby.types.limits import CONTENT_LIMIT
from tests.integration.cells import Cell, wait_for
from tests.integration.mounts import mounts
from tests.integration.syscalls import fallocate, opened, refusal

pytestmark = pytest.mark.fuse

Act = Callable[[int], object]
TERMINAL = 0x5401
"""TCGETS: what programs ask a file to learn whether it is a terminal."""

# -------------------------------------------------------------------------------------------------------- one file

READ_ONLY, WRITE_ONLY, BOTH, APPEND = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND

RULES: dict[str, tuple[int, str, Act]] = {
    "read: open to write": (WRITE_ONLY, "EBADF", lambda file: os.read(file, 1)),
    "write: open to read": (READ_ONLY, "EBADF", lambda file: os.write(file, b"x")),
    "ftruncate: open to read": (READ_ONLY, "EINVAL", lambda file: os.ftruncate(file, 0)),
    "pread: a negative offset": (BOTH, "EINVAL", lambda file: os.pread(file, 1, -1)),
    "pwrite: a negative offset": (BOTH, "EINVAL", lambda file: os.pwrite(file, b"x", -1)),
    "pwrite: beyond the limit": (BOTH, "EFBIG", lambda file: os.pwrite(file, b"x", CONTENT_LIMIT)),
    "pwrite: across the limit": (BOTH, "EFBIG", lambda file: os.pwrite(file, b"xy", CONTENT_LIMIT - 1)),
    "write: more than the limit": (BOTH, "EFBIG", lambda file: os.write(file, bytes(CONTENT_LIMIT + 1))),
    "write: to the end, beyond the limit": (APPEND, "EFBIG", lambda file: os.write(file, bytes(CONTENT_LIMIT))),
    "ftruncate: beyond the limit": (BOTH, "EFBIG", lambda file: os.ftruncate(file, CONTENT_LIMIT + 1)),
    "lseek: before the beginning": (READ_ONLY, "EINVAL", lambda file: os.lseek(file, -1, os.SEEK_SET)),
    "lseek: for data at the end": (READ_ONLY, "ENXIO", lambda file: os.lseek(file, 10, os.SEEK_DATA)),
    "fallocate": (BOTH, "EOPNOTSUPP", lambda file: fallocate(file, 0, 0, 100)),
    "ioctl: of a terminal": (READ_ONLY, "ENOTTY", lambda file: fcntl.ioctl(file, TERMINAL, bytes(64))),
    "mmap: shared, of a file open to write": (BOTH, "ENODEV", lambda file: mmap.mmap(file, 10)),
    "fsync: open to read": (READ_ONLY, "", os.fsync),
    "fdatasync": (BOTH, "", os.fdatasync),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules(here: Path, rule: str) -> None:
    """Each call on an open file is refused as it should be, and changes nothing."""
    flags, expected, act = RULES[rule]
    (here / "f").write_bytes(b"0123456789")
    with opened(here / "f", flags) as file:
        assert refusal(act, file) == expected
    assert (here / "f").read_bytes() == b"0123456789"


def test_creat_and_modes_of_open(here: Path, there: Path) -> None:
    """O_CREAT makes once, O_TRUNC empties, O_EXCL makes or fails, also between machines."""
    with opened(here / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY) as file:
        os.write(file, b"first")
    assert refusal(os.open, there / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY) == "EEXIST"
    with opened(there / "f", os.O_CREAT | os.O_RDWR) as file:
        assert os.read(file, 100) == b"first"
    with opened(there / "f", os.O_CREAT | os.O_TRUNC | os.O_WRONLY):
        pass
    wait_for(lambda: (here / "f").read_bytes() == b"", "the last close of what was cut, and only cut")


def test_a_new_file_is_there_before_it_is_closed(here: Path, there: Path) -> None:
    """open(2) makes the name; the content follows at the close."""
    with opened(here / "f", os.O_CREAT | os.O_WRONLY) as file:
        os.write(file, b"later")
        assert (there / "f").read_bytes() == b""
    assert (there / "f").read_bytes() == b"later"


def test_o_trunc_without_permission_to_write_cuts_nothing(here: Path) -> None:
    """POSIX leaves open what O_RDONLY | O_TRUNC does; local file systems of Linux cut."""
    (here / "f").write_text("stays")
    with opened(here / "f", os.O_RDONLY | os.O_TRUNC) as file:
        assert os.read(file, 100) == b"stays"


def test_offsets(here: Path) -> None:
    """read(2), write(2) and lseek(2) share one offset, also with dup(2); pread(2) and pwrite(2) leave it alone."""
    (here / "f").write_bytes(b"0123456789")
    with opened(here / "f", os.O_RDWR) as file:
        other = os.dup(file)
        assert os.read(file, 3) == b"012" and os.read(other, 2) == b"34"
        assert os.pread(file, 2, 8) == b"89" and os.pwrite(file, b"X", 0) == 1
        assert os.lseek(other, 0, os.SEEK_CUR) == 5
        assert os.write(other, b"ab") == 2 and os.read(file, 10) == b"789"
        assert os.lseek(file, -1, os.SEEK_END) == 9 and os.lseek(file, 100, os.SEEK_SET) == 100
        assert os.read(file, 1) == b""
        assert os.lseek(file, 3, os.SEEK_DATA) == 3 and os.lseek(file, 3, os.SEEK_HOLE) == 10
        os.close(other)
    assert (here / "f").read_bytes() == b"X1234ab789"


def test_vectors(here: Path) -> None:
    """readv(2) and writev(2) are one read and one write of all."""
    with opened(here / "f", os.O_CREAT | os.O_RDWR) as file:
        assert os.writev(file, [b"one ", b"two ", b"three"]) == 13
        parts = [bytearray(4), bytearray(20)]
        assert os.preadv(file, parts, 4) == 9
        assert bytes(parts[0]) == b"two " and parts[1][:5] == b"three"


def test_gaps_read_as_zeros(here: Path, there: Path) -> None:
    """A write after the end, and a file made longer, are filled with zeros; what was cut off does not come back."""
    with opened(here / "f", os.O_CREAT | os.O_RDWR) as file:
        os.pwrite(file, b"end", 10)
        assert os.pread(file, 100, 0) == bytes(10) + b"end"
        os.ftruncate(file, 11)
        os.ftruncate(file, 13)
        assert os.pread(file, 100, 0) == bytes(10) + b"e" + bytes(2)
    assert (there / "f").read_bytes() == bytes(10) + b"e" + bytes(2)
    os.truncate(there / "f", 3)
    assert (here / "f").stat().st_size == 3
    os.truncate(there / "f", CONTENT_LIMIT)
    assert (here / "f").read_bytes() == bytes(CONTENT_LIMIT)


def test_the_largest_file(here: Path, there: Path) -> None:
    """A content of exactly the limit is fine, in one write or many, and so are all its bytes elsewhere."""
    content = os.urandom(CONTENT_LIMIT)
    (here / "f").write_bytes(content)
    assert (there / "f").read_bytes() == content
    with opened(there / "g", os.O_CREAT | os.O_WRONLY) as file:
        for start in range(0, CONTENT_LIMIT, 50_000):
            os.write(file, content[start : start + 50_000])
        assert refusal(os.write, file, b"x") == "EFBIG"
    assert (here / "g").read_bytes() == content


def test_appending(here: Path, there: Path) -> None:
    """O_APPEND writes at the end, wherever that is when it is committed, and whatever the offset; also with pwrite."""
    (here / "log").write_bytes(b"one\n")
    with opened(here / "log", os.O_WRONLY | os.O_APPEND) as mine, opened(there / "log", APPEND) as other:
        os.lseek(mine, 0, os.SEEK_SET)
        os.write(mine, b"two\n")
        os.pwrite(other, b"three\n", 0)
        os.fsync(mine)
        os.fsync(other)
        os.write(mine, b"four\n")
    assert (there / "log").read_bytes() == b"one\ntwo\nthree\nfour\n"


def test_copy_file_range_and_sendfile(here: Path) -> None:
    """The kernel copies by reading and writing."""
    (here / "from").write_bytes(b"0123456789")
    with opened(here / "from") as old, opened(here / "to", os.O_CREAT | os.O_RDWR) as new:
        assert os.copy_file_range(old, new, 4, 2) == 4
        assert os.sendfile(new, old, 8, 2) == 2
    assert (here / "to").read_bytes() == b"234589"


def test_posix_fallocate_is_imitated_by_the_c_library(here: Path) -> None:
    """It writes zeros where fallocate(2) is not to be had."""
    with opened(here / "f", os.O_CREAT | os.O_RDWR) as file:
        os.posix_fallocate(file, 0, 1000)
    assert (here / "f").read_bytes() == bytes(1000)


def test_mapping(here: Path, there: Path) -> None:
    """Files that are open to read can be mapped; a private mapping may be written to."""
    (here / "f").write_bytes(b"0123456789")
    with opened(there / "f") as file:
        with mmap.mmap(file, 10, mmap.MAP_SHARED, mmap.PROT_READ) as shared:
            assert shared[:] == b"0123456789"
        with mmap.mmap(file, 10, mmap.MAP_PRIVATE) as private:
            private[0:2] = b"XX"
            assert private[:] == b"XX23456789"
    assert (here / "f").read_bytes() == b"0123456789"


# ------------------------------------------------------------------------------------------- who sees what, and when


def test_every_descriptor_of_a_mount_sees_what_was_written(here: Path) -> None:
    """Within one mount write(2) is seen by read(2) at once, through any descriptor, and so is the size."""
    (here / "f").write_bytes(b"old")
    with opened(here / "f", os.O_RDWR) as writer, opened(here / "f") as reader:
        assert os.pread(reader, 100, 0) == b"old"
        os.pwrite(writer, b"newer", 0)
        assert os.pread(reader, 100, 0) == b"newer"
        assert os.fstat(reader).st_size == 5 == (here / "f").stat().st_size


@pytest.mark.parametrize("commit", [os.fsync, os.fdatasync], ids=["fsync", "fdatasync"])
def test_other_mounts_see_it_at_fsync(here: Path, there: Path, commit: Act) -> None:
    """What is written gathers here until fsync, fdatasync or close; then it is everybody's, at once."""
    (here / "f").write_bytes(b"old")
    with opened(here / "f", os.O_RDWR) as file:
        os.pwrite(file, b"new", 0)
        assert (there / "f").read_bytes() == b"old"
        commit(file)
        assert (there / "f").read_bytes() == b"new"
        os.ftruncate(file, 1)
        commit(file)
        assert (there / "f").read_bytes() == b"n"


def test_o_sync_waits_for_fsync_too(here: Path, there: Path) -> None:
    """The rule that does not hold: a write may not wait for the cell, so O_SYNC and O_DSYNC change nothing."""
    (here / "f").write_bytes(b"old")
    with opened(here / "f", os.O_RDWR | os.O_SYNC) as file:
        os.pwrite(file, b"new", 0)
        assert (there / "f").read_bytes() == b"old"
    assert (there / "f").read_bytes() == b"new"


def test_the_last_close_wins(here: Path, there: Path) -> None:
    """Two mounts that write one file without a lock: the whole content of whoever closes last."""
    (here / "f").write_bytes(b"____")
    with opened(there / "f", os.O_RDWR) as other:
        os.pwrite(other, b"B", 1)
        with opened(here / "f", os.O_RDWR) as mine:
            os.pwrite(mine, b"A", 0)
        assert (there / "f").read_bytes() == b"_B__", "there it shows what was written there"
    assert (here / "f").read_bytes() == b"_B__"


def test_a_descriptor_that_was_open_before_is_told(here: Path, there: Path) -> None:
    """A reader with the file open sees what was written elsewhere, size and bytes, soon and without opening anew."""
    (here / "f").write_bytes(b"old")
    with opened(there / "f") as reader:
        assert os.pread(reader, 100, 0) == b"old"
        (here / "f").write_bytes(b"newer and longer")
        wait_for(lambda: os.pread(reader, 100, 0) == b"newer and longer", "the new content")
        assert os.fstat(reader).st_size == 16


def test_poll(here: Path, there: Path) -> None:
    """A file can always be read and written; POLLPRI comes when it shows something else than was read last."""
    (here / "f").write_bytes(b"old")
    with opened(there / "f") as reader:
        os.read(reader, 100)
        urgent = select.poll()
        urgent.register(reader, select.POLLPRI)
        assert urgent.poll(0) == []
        (here / "f").write_bytes(b"new")
        assert urgent.poll(20_000) == [(reader, select.POLLPRI)]
        assert os.pread(reader, 100, 0) == b"new"
        always = select.poll()
        always.register(reader, select.POLLIN | select.POLLOUT)
        assert always.poll(0) == [(reader, select.POLLIN | select.POLLOUT)]


# ----------------------------------------------------------------------------------------- files that were removed


def test_a_file_removed_here_reads_and_writes_on(here: Path, there: Path) -> None:
    """unlink(2) takes the name; open descriptors go on, and what they write is lost with them."""
    (here / "f").write_bytes(b"gone")
    with opened(here / "f", os.O_RDWR) as writer, opened(here / "f") as reader:
        (here / "f").unlink()
        assert not (there / "f").exists() and os.listdir(here) == [], "and no other name appears"
        assert os.pread(reader, 100, 0) == b"gone"
        assert os.pwrite(writer, b"more", 4) == 4
        assert os.pread(reader, 100, 0) == b"gonemore"
        assert refusal(os.fsync, writer) == "" and refusal(os.ftruncate, writer, 2) == ""
    assert os.listdir(there) == []


@pytest.mark.parametrize(
    "act",
    [os.fstat, lambda file: os.fchmod(file, 0o600), lambda file: os.fchown(file, 1, 1), os.utime],
    ids=["fstat", "fchmod", "fchown", "futimens"],
)
def test_attributes_of_a_removed_file_are_out_of_reach(here: Path, act: Act) -> None:
    """The rule that does not hold: the kernel asks for them by name, and there is none."""
    (here / "f").write_bytes(b"gone")
    with opened(here / "f", os.O_RDWR) as file:
        (here / "f").unlink()
        assert refusal(act, file) == "ESTALE"


def test_a_name_that_is_given_again_is_another_file(here: Path) -> None:
    """Removed and made again here: the old descriptor has the old content, the name the new."""
    (here / "f").write_bytes(b"old")
    with opened(here / "f", os.O_RDWR) as file:
        (here / "f").unlink()
        (here / "f").write_bytes(b"new")
        assert os.pread(file, 100, 0) == b"old"
        os.pwrite(file, b"lost", 0)
    assert (here / "f").read_bytes() == b"new"


def test_a_file_removed_elsewhere_reads_on_and_cannot_be_written(here: Path, there: Path) -> None:
    """Content that is here can be read; a commit has nowhere to go, and says so."""
    (here / "f").write_bytes(b"gone")
    with opened(here / "f", os.O_RDWR) as file:
        (there / "f").unlink()
        assert os.pread(file, 100, 0) == b"gone"
        os.pwrite(file, b"lost", 0)
        assert refusal(os.fsync, file) == "ESTALE"


def test_a_file_made_again_elsewhere_is_stale(here: Path, there: Path) -> None:
    """A descriptor never shows another node of the same name."""
    (here / "f").write_bytes(b"old")
    with opened(here / "f") as file:
        assert os.pread(file, 100, 0) == b"old"
        (there / "f").unlink()
        (there / "f").write_bytes(b"new")
        wait_for(lambda: refusal(os.pread, file, 100, 0) == "ESTALE", "word of the new node")
        assert (here / "f").read_bytes() == b"new"


def test_an_error_of_a_write_is_told_at_the_close(mounted_cell: Cell, here: Path) -> None:
    """What could not be committed is an error of fsync or close, once; so check what close(2) returns."""
    (here / "f").write_bytes(b"mine")
    file = os.open(here / "f", os.O_RDWR)
    os.pwrite(file, b"lost", 0)
    with mounted_cell.connect() as session, session.open(f"/ls/test/{here.name}/f") as handle:
        handle.delete()
    assert refusal(os.close, file) == "ESTALE"


READ_ONLY_RULES: dict[str, Callable[[Path], object]] = {
    "open to write": lambda path: os.open(path, os.O_RDWR),
    "creat": lambda path: os.open(path.with_name("new"), os.O_CREAT | os.O_WRONLY),
    "mkdir": lambda path: os.mkdir(path.with_name("new")),
    "unlink": os.unlink,
    "rename": lambda path: os.rename(path, path.with_name("new")),
    "chmod": lambda path: os.chmod(path, 0o600),
    "utimensat": os.utime,
    "truncate": lambda path: os.truncate(path, 0),
    "setxattr": lambda path: os.setxattr(path, "user.x", b"1"),
    "flock": lambda path: _with(path, lambda file: fcntl.flock(file, fcntl.LOCK_SH)),
    "fcntl": lambda path: _with(path, lambda file: fcntl.lockf(file, fcntl.LOCK_SH)),
}


def _with(path: Path, act: Act) -> None:
    with opened(path) as file:
        act(file)


def test_a_mount_that_is_read_only(mounted_cell: Cell, here: Path, tmp_path: Path) -> None:
    """All that would change the cell is EROFS, locks included: a machine that only looks never holds anybody up."""
    (here / "f").write_text("content")
    with mounts(mounted_cell, tmp_path / "looks", options=["--read-only"]) as (mount,):
        path = mount / here.name / "f"
        for name, act in READ_ONLY_RULES.items():
            assert refusal(act, path) == "EROFS", name
        assert path.read_text() == "content" and os.listdir(path.parent) == ["f"]
        (here / "f").write_text("changed")
        assert path.read_text() == "changed"
