"""What POSIX says of names, kept on a mount or refused as docs/mount.md says: a table of calls and what they come to.

`here` and `there` are one directory of the cell, on two mounts by two processes.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cells import Cell, wait_for
from tests.integration.mounts import Mount
from tests.integration.syscalls import (
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    linkat,
    opened,
    reading,
    refusal,
    renameat2,
)

pytestmark = pytest.mark.fuse

Call = Callable[[Path], object]
EVERY_DEVICE = os.makedev(1, 3)


@pytest.fixture(scope="module")
def scene(lasting_mounts: tuple[Mount, ...]) -> Path:
    """What the calls of the table find, and leave as it is: files `f` and `g`, an empty directory and a full one."""
    place = lasting_mounts[0] / "scene"
    (place / "full").mkdir(parents=True)
    (place / "empty").mkdir()
    (place / "f").write_text("the content of f")
    (place / "g").write_text("another")
    (place / "full/x").write_text("x")
    return place


def opening(name: str, flags: int) -> Call:
    """open(2) of a name in the scene."""

    def call(scene: Path) -> None:
        with opened(scene / name, flags):
            pass

    return call


def slashed(name: str, flags: int) -> Call:
    """The same with a slash after the name, which a Path would take away."""

    def call(scene: Path) -> None:
        os.close(os.open(f"{scene}/{name}/", flags, 0o644))

    return call


def renaming(old: str, new: str, flags: int = 0) -> Call:
    """renameat2(2) of names in the scene."""
    return lambda scene: renameat2(scene / old, scene / new, flags)


def bind(scene: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(scene)
        try:
            one.bind("socket")
        finally:
            os.chdir("/")


def link_open_file(scene: Path) -> None:
    """Give an open file another name."""
    with opened(scene / "f") as file:
        linkat(file, scene / "new")


RULES: dict[str, tuple[str, Call]] = {
    # ----------------------------------------------------------------------------------------------------- open(2)
    "open: missing": ("ENOENT", opening("missing", os.O_RDONLY)),
    "open: in a missing directory": ("ENOENT", opening("missing/x", os.O_CREAT | os.O_RDWR)),
    "open: in a file": ("ENOTDIR", opening("f/x", os.O_CREAT | os.O_RDWR)),
    "open: O_CREAT | O_EXCL of a file": ("EEXIST", opening("f", os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    "open: O_CREAT | O_EXCL of a directory": ("EEXIST", opening("empty", os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    "open: O_CREAT of a file": ("", opening("f", os.O_CREAT | os.O_RDONLY)),
    "open: O_DIRECTORY of a file": ("ENOTDIR", opening("f", os.O_DIRECTORY)),
    "open: O_DIRECTORY": ("", opening("empty", os.O_DIRECTORY)),
    "open: a directory to write": ("EISDIR", opening("empty", os.O_WRONLY)),
    "open: a directory to read and write": ("EISDIR", opening("empty", os.O_RDWR)),
    "open: O_TRUNC of a directory": ("EISDIR", opening("empty", os.O_WRONLY | os.O_TRUNC)),
    "open: O_CREAT of a directory": ("EISDIR", opening("empty", os.O_CREAT | os.O_RDONLY)),
    "open: O_TMPFILE": ("EOPNOTSUPP", opening("empty", os.O_TMPFILE | os.O_RDWR)),
    "open: O_NOFOLLOW": ("", opening("f", os.O_NOFOLLOW)),
    "open: O_PATH": ("", opening("f", os.O_PATH)),
    "open: O_DIRECT": ("", opening("f", os.O_DIRECT)),
    "open: O_NOATIME": ("", opening("f", os.O_NOATIME)),
    "open: O_NONBLOCK": ("", opening("f", os.O_NONBLOCK)),
    "open: O_SYNC": ("", opening("f", os.O_RDWR | os.O_SYNC)),
    "open: O_DSYNC": ("", opening("f", os.O_RDWR | os.O_DSYNC)),
    "open: a file with a slash after it": ("ENOTDIR", slashed("f", os.O_RDONLY)),
    "open: O_CREAT with a slash after it": ("EISDIR", slashed("new", os.O_CREAT | os.O_RDWR)),
    "open: a directory with a slash after it": ("", slashed("empty", os.O_RDONLY)),
    # --------------------------------------------------------------------------------------------- mkdir(2), rmdir(2)
    "mkdir: a directory": ("EEXIST", lambda scene: os.mkdir(scene / "empty")),
    "mkdir: a file": ("EEXIST", lambda scene: os.mkdir(scene / "f")),
    "mkdir: in a missing directory": ("ENOENT", lambda scene: os.mkdir(scene / "missing/x")),
    "mkdir: in a file": ("ENOTDIR", lambda scene: os.mkdir(scene / "f/x")),
    "rmdir: missing": ("ENOENT", lambda scene: os.rmdir(scene / "missing")),
    "rmdir: a file": ("ENOTDIR", lambda scene: os.rmdir(scene / "f")),
    "rmdir: with something in it": ("ENOTEMPTY", lambda scene: os.rmdir(scene / "full")),
    "rmdir: itself, by a dot": ("EINVAL", lambda scene: os.rmdir(f"{scene}/empty/.")),
    "rmdir: what one is in, by two dots": ("ENOTEMPTY", lambda scene: os.rmdir(f"{scene}/empty/..")),
    "rmdir: the root": ("EBUSY", lambda scene: os.rmdir(scene.parent)),
    # -------------------------------------------------------------------------------------------------- unlink(2)
    "unlink: missing": ("ENOENT", lambda scene: os.unlink(scene / "missing")),
    "unlink: in a file": ("ENOTDIR", lambda scene: os.unlink(scene / "f/x")),
    "unlink: a directory": ("EISDIR", lambda scene: os.unlink(scene / "empty")),
    "unlink: a file with a slash after it": ("ENOTDIR", lambda scene: os.unlink(f"{scene}/f/")),
    # -------------------------------------------------------------------------------------------------- rename(2)
    "rename: missing": ("ENOENT", renaming("missing", "new")),
    "rename: into a missing directory": ("ENOENT", renaming("f", "missing/x")),
    "rename: into a file": ("ENOTDIR", renaming("f", "g/x")),
    "rename: a file onto a directory": ("EISDIR", renaming("f", "empty")),
    "rename: a directory onto a file": ("ENOTDIR", renaming("empty", "f")),
    "rename: a directory into itself": ("EINVAL", renaming("full", "full/below")),
    "rename: a directory": ("EXDEV", renaming("full", "new")),
    "rename: a directory onto an empty one": ("EXDEV", renaming("full", "empty")),
    "rename: a file onto itself": ("", renaming("f", "f")),
    "rename: a directory onto itself": ("", renaming("full", "full")),
    "rename: out of the mount": ("EXDEV", lambda scene: os.rename(scene / "f", "/tmp/new")),
    "rename: a file with a slash after it": ("ENOTDIR", lambda scene: os.rename(f"{scene}/f/", f"{scene}/new")),
    "renameat2: NOREPLACE of what is there": ("EEXIST", renaming("f", "g", RENAME_NOREPLACE)),
    "renameat2: EXCHANGE": ("EINVAL", renaming("f", "g", RENAME_EXCHANGE)),
    "renameat2: WHITEOUT": ("EINVAL", renaming("f", "new", RENAME_WHITEOUT)),
    "renameat2: flags that exclude each other": ("EINVAL", renaming("f", "g", RENAME_NOREPLACE | RENAME_EXCHANGE)),
    # ------------------------------------------------------------------------------------------ there are no links
    "link": ("EPERM", lambda scene: os.link(scene / "f", scene / "new")),
    "linkat: an open file": ("EPERM", link_open_file),
    "symlink": ("EPERM", lambda scene: os.symlink("f", scene / "new")),
    "readlink: a file": ("EINVAL", lambda scene: os.readlink(scene / "f")),
    "mknod: a device": ("EPERM", lambda scene: os.mknod(scene / "new", stat.S_IFCHR | 0o600, EVERY_DEVICE)),
    "mkfifo": ("EPERM", lambda scene: os.mkfifo(scene / "new")),
    "bind: a socket": ("EPERM", bind),
    # ------------------------------------------------------------------------------------------------ truncate(2)
    "truncate: a directory": ("EISDIR", lambda scene: os.truncate(scene / "empty", 0)),
    "truncate: missing": ("ENOENT", lambda scene: os.truncate(scene / "missing", 0)),
    "truncate: less than nothing": ("EINVAL", lambda scene: os.truncate(scene / "f", -1)),
    "truncate: beyond the limit": ("EFBIG", lambda scene: os.truncate(scene / "f", 262_145)),
    # -------------------------------------------------------------------------------------------- names and paths
    "name: nothing": ("ENOENT", lambda _: os.stat("")),
    "name: 256 bytes": ("ENAMETOOLONG", opening("n" * 256, os.O_CREAT | os.O_RDWR)),
    "name: 128 letters of two bytes": ("ENAMETOOLONG", opening("ü" * 128, os.O_CREAT | os.O_RDWR)),
    "name: bytes that are no text": ("EILSEQ", opening(os.fsdecode(b"\xff\xfe"), os.O_CREAT | os.O_RDWR)),
    "name: bytes that are no text, to look at": ("EILSEQ", lambda scene: os.stat(os.fsencode(scene) + b"/\xff")),
    "name: a newline": ("EINVAL", opening("a\nb", os.O_CREAT | os.O_RDWR)),
    "name: a tab, for a directory": ("EINVAL", lambda scene: os.mkdir(scene / "a\tb")),
    "path: longer than any": ("ENAMETOOLONG", lambda scene: os.stat(f"{scene}/{'p/' * 2100}")),
    "rename: to 256 bytes": ("ENAMETOOLONG", renaming("f", "n" * 256)),
    # --------------------------------------------------------------------------------------------- reserved names
    ".chubby: below the root": ("ENOENT", lambda scene: os.stat(scene / ".chubby")),
    ".chubby: to make one": ("EPERM", lambda scene: os.mkdir(scene / ".chubby")),
    ".chubby: to make a file of it": ("EPERM", opening(".chubby", os.O_CREAT | os.O_RDWR)),
    ".chubby: to rename to it": ("EPERM", renaming("f", ".chubby")),
    ".chubby: to remove": ("EPERM", lambda scene: os.rmdir(scene.parent / ".chubby")),
    ".chubby: to make something in it": ("EPERM", lambda scene: os.mkdir(scene.parent / ".chubby/new")),
    ".chubby: to write": ("EACCES", opening("../.chubby/status", os.O_WRONLY)),
    ".chubby: to remove a file": ("EPERM", lambda scene: os.unlink(scene.parent / ".chubby/status")),
    ".chubby: to change the mode": ("EPERM", lambda scene: os.chmod(scene.parent / ".chubby/status", 0)),
    ".contents: of a file": ("ENOTDIR", opening("f/.contents", os.O_RDONLY)),
    ".contents: of a directory without": ("ENOENT", opening("empty/.contents", os.O_RDONLY)),
    ".contents: as a directory": ("EPERM", lambda scene: os.mkdir(scene / "empty/.contents")),
    ".contents: to rename to it": ("EXDEV", renaming("f", "empty/.contents")),
    # ------------------------------------------------------------------------------------------------- access(2)
    "access: what there is": ("", lambda scene: _allowed(scene / "f", os.R_OK | os.W_OK)),
    "access: to enter": ("", lambda scene: _allowed(scene / "empty", os.X_OK)),
}


def _allowed(path: Path, mode: int) -> None:
    assert os.access(path, mode)


@pytest.mark.parametrize("rule", RULES)
def test_rules(scene: Path, rule: str) -> None:
    """Each call is refused as POSIX and Linux have it, or as docs/mount.md says; and nothing has changed."""
    expected, call = RULES[rule]
    assert refusal(call, scene) == expected
    assert sorted(os.listdir(scene)) == ["empty", "f", "full", "g"]
    assert (scene / "f").read_text() == "the content of f"
    assert os.listdir(scene / "full") == ["x"] and not os.listdir(scene / "empty")


# ------------------------------------------------------------------------------------------------- what names may be


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, " ", "...", "-rf", "a\\b", "*", "é", "日本語", ".hidden", "#"])
def test_names_that_a_file_may_have(here: Path, there: Path, name: str) -> None:
    """Any UTF-8 of up to 255 bytes without control characters, and it is what a listing shows."""
    (here / name).write_text("x")
    assert os.listdir(there) == [name]
    assert (there / name).read_text() == "x"
    (there / name).unlink()
    (here / name).mkdir()
    assert (there / name).is_dir()


def test_names_are_bytes(here: Path) -> None:
    """Case counts, and nothing is normalised: the two ways to write a letter with an accent are two names."""
    for name in ("name", "Name", "\u00e9", "e\u0301"):
        (here / name).write_text(name)
    assert sorted(os.listdir(here)) == sorted(["name", "Name", "\u00e9", "e\u0301"])
    assert (here / "e\u0301").read_text() == "e\u0301"


def test_depth(here: Path) -> None:
    """64 directories below each other are enough for everyone; the next one is ENAMETOOLONG."""
    deep = here.joinpath(*["d"] * 63)
    deep.mkdir(parents=True)
    assert refusal(os.mkdir, deep / "d") == "ENAMETOOLONG"
    assert refusal(os.stat, deep / "d") == "ENAMETOOLONG"
    (deep.parent / "file").write_text("deep")
    assert (deep.parent / "file").read_text() == "deep"


def test_the_longest_path(here: Path, two_mounts: tuple[Mount, Mount]) -> None:
    """A path within the cell has up to 1,024 bytes."""
    within = len(os.fsencode(here.relative_to(two_mounts[0].directory))) + 1
    longest = here.joinpath(*["p" * 200] * 4)
    longest.mkdir(parents=True)
    left = 1024 - within - 4 * 201 - 1
    (longest / ("q" * left)).write_text("x")
    assert refusal(os.stat, longest / ("q" * left)) == ""
    assert refusal(os.stat, longest / ("q" * (left + 1))) == "ENAMETOOLONG"


def test_mknod_of_an_ordinary_file_makes_one(here: Path, there: Path) -> None:
    """What is no device is a file."""
    os.mknod(here / "f", stat.S_IFREG | 0o600)
    assert stat.S_ISREG((there / "f").stat().st_mode)
    assert refusal(os.mknod, there / "f", stat.S_IFREG | 0o600) == "EEXIST"


# ------------------------------------------------------------------------------------------------------- renaming


def test_rename_is_atomic_and_brings_everything(here: Path, there: Path) -> None:
    """Content, mode, owner and times go along; the target is never away, and never half."""
    old = here / "old"
    old.write_text("new content")
    old.chmod(0o640)
    os.chown(old, 12, 34)
    os.utime(old, ns=(10**18, 2 * 10**18))
    (here / "config").write_text("old content")
    before, target = old.stat(), (here / "config").stat()
    old.rename(here / "config")
    after = (there / "config").stat()
    assert (there / "config").read_text() == "new content"
    assert not (there / "old").exists()
    for name in ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_atime_ns", "st_size"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.st_ino == target.st_ino, "who locks or watches `config` goes on to do so"


def test_rename_to_a_new_name_makes_a_node(here: Path, there: Path) -> None:
    """The one rule of rename(2) that does not hold: st_ino is another one, for a node never changes its name."""
    (here / "old").write_text("x")
    before = (here / "old").stat()
    renameat2(here / "old", here / "new", RENAME_NOREPLACE)
    after = (there / "new").stat()
    assert after.st_ino != before.st_ino and after.st_mtime_ns == before.st_mtime_ns
    assert after.st_ctime_ns > before.st_ctime_ns


def test_an_open_file_goes_along_with_its_name(here: Path, there: Path) -> None:
    """A descriptor opened before is that of the file under its new name."""
    (here / "old").write_text("before")
    with opened(here / "old", os.O_RDWR) as file:
        (here / "old").rename(here / "new")
        assert os.pread(file, 100, 0) == b"before"
        os.pwrite(file, b"AFTER", 0)
    assert (there / "new").read_text() == "AFTERe"


def test_of_two_renames_to_one_new_name_one_wins(here: Path, there: Path) -> None:
    """RENAME_NOREPLACE, from two mounts at once: as good as a lock."""
    for place, name in ((here, "a"), (there, "b")):
        (place / name).write_text(name)
    outcomes = [refusal(renameat2, here / "a", here / "c", 1), refusal(renameat2, there / "b", there / "c", 1)]
    assert outcomes == ["", "EEXIST"]
    assert (there / "c").read_text() == "a" and (here / "b").read_text() == "b"


# -------------------------------------------------------------------------------------------------- directories


def test_a_directory_has_dots_and_numbers(here: Path) -> None:
    """`.` and `..` come first, and the numbers and kinds that a listing tells are those of stat(2)."""
    (here / "file").write_text("x")
    (here / "directory").mkdir()
    with reading(here) as directory:
        assert list(directory.rest()) == [".", "..", "directory", "file"]
    with os.scandir(here) as entries:
        for entry in entries:
            assert entry.inode() == os.stat(entry.path).st_ino
            assert entry.is_dir() == (entry.name == "directory")


def test_reading_a_directory_that_changes(here: Path, there: Path) -> None:
    """What is neither made nor removed meanwhile is told once; rewinddir(3) shows what is there now."""
    names = {f"file {number:04}" for number in range(300)}
    for name in names:
        (here / name).touch()
    removed = {name for name in names if int(name[-4:]) % 3 == 0}
    with reading(here) as directory:
        seen = [directory.read() for _ in range(7)]
        for name in removed:
            (there / name).unlink()
        (here / "another").touch()
        seen += list(directory.rest())
        assert len(seen) == len(set(seen)), "nothing twice"
        assert names - removed <= set(seen)
        directory.rewind()
        assert set(directory.rest()) == names - removed | {"another", ".", ".."}


def test_seeking_in_a_directory(here: Path) -> None:
    """telldir(3) and seekdir(3) go back to where one was."""
    for number in range(20):
        (here / f"{number:02}").touch()
    with reading(here) as directory:
        for _ in range(5):
            directory.read()
        place = directory.tell()
        rest = list(directory.rest())
        directory.seek(place)
        assert list(directory.rest()) == rest


def test_removing_while_reading(here: Path) -> None:
    """As `rm -r` does: read, remove, read on, until nothing is left."""
    for number in range(200):
        (here / f"{number}").touch()
    with os.scandir(here) as entries:
        for entry in entries:
            os.unlink(entry.path)
    assert os.listdir(here) == []


def test_a_removed_directory_takes_nothing_more(here: Path, there: Path) -> None:
    """Who is in it sees that it is gone."""
    (here / "d").mkdir()
    with opened(here / "d", os.O_DIRECTORY) as directory:
        (there / "d").rmdir()
        assert refusal(lambda: os.open("new", os.O_CREAT | os.O_RDWR, dir_fd=directory)) in ("ENOENT", "ESTALE")
    assert not (here / "d").exists()


# ----------------------------------------------------------------------------------- content and children in one node


def test_a_directory_with_content(here: Path, there: Path) -> None:
    """`.contents` is the content of the directory's own node: a file in it, listed first, that keeps it from rmdir."""
    directory = here / "d"
    directory.mkdir()
    (directory / ".contents").write_text("of the node itself")
    (directory / "child").touch()
    assert os.listdir(there / "d") == [".contents", "child"]
    assert (there / "d/.contents").read_text() == "of the node itself"
    assert (there / "d/.contents").stat().st_ino != (there / "d").stat().st_ino
    (directory / "child").unlink()
    assert refusal(os.rmdir, directory) == "ENOTEMPTY"
    (directory / ".contents").unlink()
    assert refusal(os.stat, there / "d/.contents") == "ENOENT"
    directory.rmdir()


def test_a_file_that_gets_a_child_becomes_a_directory(mounted_cell: Cell, here: Path, there: Path) -> None:
    """Any node may have children. A program that uses the client makes one below a file: both mounts show it so."""
    (here / "f").write_text("mine")
    assert (there / "f").is_file()
    with mounted_cell.connect() as session:
        session.open(f"/ls/test/{here.name}/f/child", create=True).close()
        wait_for(lambda: (here / "f").is_dir() and (there / "f").is_dir(), "a directory")
    assert sorted(os.listdir(there / "f")) == [".contents", "child"]
    assert (here / "f/.contents").read_text() == "mine"
