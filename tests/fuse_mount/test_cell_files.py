"""What the kernel asks of one cell: opening, making, cutting and looking at files, whoever else is at work."""

from __future__ import annotations

import errno
import os
import select
import stat as posix

import pytest

from chubby.types.calls import Open, SetContents
from chubby.types.nodes import NodeKind
from chubby.types.transaction import Create, Remove
from fuse_mount.attributes import View
from fuse_mount.cell_files import CellFiles
from fuse_mount.filesystem import FileSystem
from tests.client.test_sync import until
from tests.fuse_mount.shown import CALLER, FLAGS, GROUP, USER, Shown, refused, remade, shown, shown_fixture

__all__ = ["shown_fixture"]

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def the_seam(files: CellFiles) -> FileSystem:
    """That it is what the binding needs, is checked when this is."""
    return files


# -------------------------------------------------------------------------------------------------------------- reading


def test_what_others_wrote_is_read(here: Shown) -> None:
    """And what is written here is read by others."""
    here.put("/a", b"theirs")
    assert here.read("/a") == b"theirs"
    here.write("/a", b"ours")
    with here.elsewhere.open("/a") as handle:
        assert handle.get_contents_and_stat()[0] == b"ours"


def test_a_file_that_does_not_change_is_read_without_the_network(here: Shown) -> None:
    """A thousand times open, stat, read, close: not one call."""
    here.put("/a", b"text")
    assert here.read("/a") == b"text"
    here.forget()
    for _ in range(1_000):
        assert here.read("/a") == b"text" and here.size("/a") == 4
    assert here.calls() == {}


def test_an_open_after_the_writer_had_its_answer_sees_what_was_written(here: Shown) -> None:
    """Each time, at once, whatever was cached."""
    here.put("/a", b"")
    for number in range(50):
        assert here.exists("/a")
        here.put("/a", b"%d" % number)
        assert here.read("/a") == b"%d" % number


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_NOFOLLOW])
def test_what_cannot_be_opened(here: Shown, flags: int) -> None:
    """By name, whatever for."""
    here.put("/a")
    here.put("/d", b"text")
    here.put("/d/child")
    for path, number in (
        ("/missing", errno.ENOENT),
        ("/", errno.EISDIR),
        ("/d", errno.EISDIR),
        ("/.chubby", errno.EISDIR),
        ("/.contents", errno.ENOENT),
        ("/a/.contents", errno.ENOTDIR),
        ("/d/.contents/x", errno.ENOTDIR),
        ("/x\n", errno.EINVAL),
        ("/\udcff", errno.EILSEQ),
        (f"/{'x' * 300}", errno.ENAMETOOLONG),
        (f"/{'x/' * 2000}y", errno.ENAMETOOLONG),
    ):
        with refused(number):
            here.open(path, flags)


def test_a_number_that_nobody_has_open(here: Shown) -> None:
    """EBADF, whatever is asked."""
    for number in (1, (1 << 40) - 1, (1 << 40) + 5):
        with refused(errno.EBADF):
            here.files.read(number, 1, 0)
    for number in (1, (1 << 40) + 5):
        with refused(errno.EBADF):
            here.files.fgetattr(number)
        with refused(errno.EBADF):
            here.files.file_path(number)
        with refused(errno.EBADF):
            here.files.poll(number, None)
    with refused(errno.EBADF):
        here.files.release(1)


# ------------------------------------------------------------------------------------------------------------- creating


def test_a_file_is_made_by_opening_it(here: Shown) -> None:
    """There at once, empty, for everybody; with its mode."""
    file = here.create("/a", mode=0o640)
    assert here.stat("/a").kind is NodeKind.FILE and here.contents("/a") == b""
    assert here.files.getattr("/a")["st_mode"] == posix.S_IFREG | 0o640
    here.close_file(file)


@pytest.mark.parametrize("flags", [os.O_RDONLY | os.O_CREAT, os.O_RDONLY | os.O_CREAT | os.O_NOCTTY])
def test_a_file_is_made_to_read_it(here: Shown, flags: int) -> None:
    """flock(1) does: what matters to it is that there is one."""
    file = here.create("/a", flags)
    assert here.there("/a") and here.all_of(file) == b""
    here.put("/a", b"text")
    until(lambda: here.all_of(file) == b"text")
    here.close_file(file)
    assert here.contents("/a") == b"text"


def test_one_that_somebody_else_has_just_made_is_opened(here: Shown) -> None:
    """The kernel asks to make what was not there when it looked; with O_EXCL that is EEXIST."""
    here.put("/a", b"theirs")
    file = here.create("/a", os.O_RDWR | os.O_CREAT)
    assert here.all_of(file) == b"theirs"
    here.close_file(file)
    with refused(errno.EEXIST):
        here.create("/a", NEW)
    assert here.contents("/a") == b"theirs"
    here.close_file(here.create("/a", FLAGS))
    assert here.contents("/a") == b"", "O_TRUNC is for what is there"


def test_one_that_comes_and_goes_meanwhile(here: Shown) -> None:
    """There is one in the end, as was asked."""
    here.meddled.before(Open, Create("/a", b"theirs"))
    here.meddled.before(Open, Remove("/a"))
    file = here.create("/a", os.O_RDWR | os.O_CREAT)
    here.files.write(file, b"text", 0)
    here.close_file(file)
    assert here.contents("/a") == b"text"


@pytest.mark.parametrize("flags", [os.O_RDWR | os.O_CREAT, FLAGS, NEW])
def test_a_directory_that_has_come_meanwhile_is_not_written(here: Shown, flags: int) -> None:
    """Least of all emptied: its content is another file."""
    here.put("/d", b"precious")
    here.put("/d/child")
    with refused(errno.EEXIST if flags & os.O_EXCL else errno.EISDIR):
        here.create("/d", flags)
    assert here.contents("/d") == b"precious"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/no/where", errno.ENOENT),
        ("/.chubby/x", errno.EPERM),
        ("/.chubby", errno.EPERM),
        ("/d/.chubby", errno.EPERM),
        ("/a/.contents", errno.ENOTDIR),
        ("/missing/.contents", errno.ENOENT),
        ("/d/.contents/x", errno.ENOTDIR),
        ("/x\x01", errno.EINVAL),
    ],
)
def test_what_cannot_be_made(here: Shown, path: str, number: int) -> None:
    """And nothing is."""
    here.put("/a")
    here.make_directory("/d")
    revision = here.cell.tree.revision
    with refused(number):
        here.create(path)
    assert here.cell.tree.revision == revision


def test_the_content_of_a_directory_is_a_file(here: Shown) -> None:
    """To make, write, read, cut and remove; made exclusively, it must not be there."""
    here.make_directory("/d")
    here.write("/d/.contents", b"text")
    assert here.contents("/d") == b"text" and here.read("/d/.contents") == b"text"
    with refused(errno.EEXIST):
        here.create("/d/.contents", NEW)
    here.close_file(here.create("/d/.contents", os.O_WRONLY | os.O_CREAT))
    assert here.contents("/d") == b"text"
    here.files.truncate("/d/.contents", 2)
    assert here.contents("/d") == b"te"
    here.files.unlink("/d/.contents")
    with refused(errno.ENOENT):
        here.open("/d/.contents")
    file = here.create("/d/.contents", NEW)
    with refused(errno.EEXIST):
        here.create("/d/.contents", NEW)
    here.files.write(file, b"new", 0)
    here.close_file(file)
    assert here.contents("/d") == b"new" and posix.S_ISDIR(here.files.getattr("/d")["st_mode"])


# ----------------------------------------------------------------------------------------------------------- truncating


@pytest.mark.parametrize(("length", "contents"), [(0, b""), (2, b"te"), (4, b"text"), (6, b"text\0\0")])
def test_a_file_is_cut_or_extended_by_name(here: Shown, length: int, contents: bytes) -> None:
    """In the cell when the call returns."""
    here.put("/a", b"text")
    here.files.truncate("/a", length)
    assert here.contents("/a") == contents


def test_what_cannot_be_cut(here: Shown) -> None:
    """And is as it was."""
    here.put("/d", b"text")
    here.put("/d/child")
    here.put("/a", b"text")
    for path, number in (
        ("/missing", errno.ENOENT),
        ("/d", errno.EISDIR),
        ("/", errno.EISDIR),
        ("/.chubby/status", errno.EPERM),
    ):
        with refused(number):
            here.files.truncate(path, 0)
    with refused(errno.EFBIG):
        here.files.truncate("/a", 256 * 1024 + 1)
    here.meddled.before(SetContents, *remade("/a", b"theirs"))
    with refused(errno.ESTALE):
        here.files.truncate("/a", 1)
    assert here.contents("/a") == b"theirs"
    assert here.files._files.names() == [], "nothing of it stays open"


def test_a_file_that_is_open_is_cut_by_name(here: Shown) -> None:
    """With what was written to it and not yet saved: there is one content of a file."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.files.write(file, b"UNSAVED", 0)
    here.files.truncate("/a", 3)
    assert here.contents("/a") == b"UNS" and here.all_of(file) == b"UNS"
    here.files.write(file, b"!", 3)
    here.close_file(file)
    assert here.contents("/a") == b"UNS!"


# --------------------------------------------------------------------------------------------- fstat, unlinked and gone


def test_an_open_file_shows_what_is_written_to_it(here: Shown) -> None:
    """By descriptor and by name, before it is saved."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.files.write(file, b"longer text", 0)
    assert here.files.fgetattr(file)["st_size"] == here.size("/a") == 11
    here.files.ftruncate(file, 2)
    assert here.files.fgetattr(file) == here.files.getattr("/a")
    here.close_file(file)
    assert here.contents("/a") == b"lo"


def test_what_is_open_and_removed_here_has_no_name(here: Shown) -> None:
    """st_nlink is 0, the number stays, and so does the size."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    before = here.files.fgetattr(file)
    here.files.unlink("/a")
    after = here.files.fgetattr(file)
    assert (after["st_ino"], after["st_size"], after["st_nlink"]) == (before["st_ino"], 4, 0)
    assert after["st_mode"] == before["st_mode"] and after.keys() == before.keys()
    here.close_file(file)


def test_what_is_open_and_removed_elsewhere_reads_on(here: Shown) -> None:
    """The kernel asks for the size before it reads at the end: that must not fail."""
    here.put("/a", b"text")
    file = here.open("/a")
    number = here.files.fgetattr(file)["st_ino"]
    here.delete("/a")
    assert here.all_of(file) == b"text"
    found = here.files.fgetattr(file)
    assert (found["st_ino"], found["st_size"], found["st_nlink"]) == (number, 4, 0)
    with refused(errno.ENOENT):
        here.files.getattr("/a")
    here.close_file(file)


def test_what_is_open_and_made_again_is_stale(here: Shown) -> None:
    """It is not what was opened, nor to be taken for it: not by its size either. Who has read all finds an end."""
    here.put("/a", b"text")
    file = here.open("/a")
    number = here.files.fgetattr(file)["st_ino"]
    here.delete("/a")
    here.put("/a", b"another, and longer")
    found = here.files.fgetattr(file)
    assert (found["st_ino"], found["st_size"], found["st_nlink"]) == (number, 4, 0)
    until(lambda: _stale(here, file))
    assert here.files.read(file, 100, 4) == b""
    here.files.release(file)


def _stale(here: Shown, file: int) -> bool:
    try:
        here.files.read(file, 1, 0)
    except OSError as error:
        return error.errno == errno.ESTALE
    return False


def test_an_open_file_stays_one_when_its_node_becomes_a_directory(here: Shown) -> None:
    """A descriptor cannot become one: the kernel would give up the file for good."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.put("/a/child")
    assert posix.S_ISREG(here.files.fgetattr(file)["st_mode"]) and here.all_of(file) == b"text"
    here.files.write(file, b"TEXT", 0)
    here.close_file(file)
    assert here.contents("/a") == b"TEXT" and here.ls("/a") == [".contents", "child"]


def test_an_open_content_is_known_by_its_own_number(here: Shown) -> None:
    """fstat and stat agree, also once it is removed."""
    here.put("/d", b"text")
    here.put("/d/child")
    file = here.open("/d/.contents")
    number = here.files.getattr("/d/.contents")["st_ino"]
    assert here.files.fgetattr(file)["st_ino"] == number != here.files.getattr("/d")["st_ino"]
    here.files.unlink("/d/.contents")
    assert here.files.fgetattr(file)["st_ino"] == number
    here.close_file(file)


def test_in_a_mount_of_all_cells_a_number_says_of_which(here: Shown) -> None:
    """And does so when the file is removed, too."""
    with shown(number=3) as other:
        other.put("/a", b"text")
        file = other.open("/a")
        number = other.files.getattr("/a")["st_ino"]
        assert number >> 48 == 3 and other.files.fgetattr(file)["st_ino"] == number
        other.files.unlink("/a")
        assert other.files.fgetattr(file)["st_ino"] == number
        other.close_file(file)


# ----------------------------------------------------------------------------------------------------- the session goes


def test_what_was_open_when_the_session_was_lost_is_an_error(here: Shown) -> None:
    """EIO from then on, to the close; what is opened afterwards works."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.lose_session()
    until(lambda: len(here.sessions) == 2)
    for act in (
        lambda: here.files.read(file, 1, 0),
        lambda: here.files.write(file, b"x", 0),
        lambda: here.files.fgetattr(file),
        lambda: here.files.flush(file),
    ):
        with refused(errno.EIO):
            act()
    here.files.release(file)
    assert here.read("/a") == b"text" and here.files.poll(here.open("/a"), None) & select.POLLIN


def test_a_cell_that_cannot_be_reached_at_the_start() -> None:
    """The mount does not begin."""
    silent = Shown(timeout=0.2)
    silent.cell.mute = True
    with refused(errno.ETIMEDOUT):
        silent.files.start()
    silent.files.close()


def test_what_no_session_is_needed_for_waits_for_none() -> None:
    """Every write on an open file begins with this question; a lost session's descriptor shall say EIO at once."""
    silent = Shown(timeout=0.2)
    silent.cell.mute = True
    with refused(errno.ETIMEDOUT):
        silent.files.start()
    with refused(errno.EOPNOTSUPP):
        silent.files.getxattr("/a", "security.capability", CALLER)
    silent.files.close()


def test_the_owner_shown_is_who_mounted_it(here: Shown) -> None:
    """Where no other is kept."""
    assert here.files._view == View(USER, GROUP)
    here.put("/a")
    found = here.files.getattr("/a")
    assert (found["st_uid"], found["st_gid"]) == (USER, GROUP)
    here.files.mkdir("/d", 0o755, CALLER)
    assert here.stat("/d").attributes == {}
