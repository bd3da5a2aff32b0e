"""Names and directories of a cell: what stat, readdir, mkdir, rmdir, unlink and rename do, whoever else is at work."""

from __future__ import annotations

import errno
import os
import stat as posix
from collections.abc import Callable

import pytest

from chubby.types.calls import Transact
from chubby.types.nodes import NodeKind
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.tree import RENAME_NOREPLACE
from tests.client.test_sync import until
from tests.fuse_mount.shown import CALLER, GROUP, USER, Shown, refused, remade, shown_fixture

__all__ = ["shown_fixture"]

EXCHANGE = 2


# ------------------------------------------------------------------------------------------------------------- looking


def test_a_node_is_a_file_until_it_has_a_child(here: Shown) -> None:
    """And then a directory, with its content in it."""
    here.put("/a", b"text")
    assert posix.S_ISREG(here.files.getattr("/a")["st_mode"]) and here.size("/a") == 4
    with refused(errno.ENOTDIR):
        here.files.getattr("/a/.contents")
    here.put("/a/b")
    assert posix.S_ISDIR(here.files.getattr("/a")["st_mode"])
    assert here.ls("/a") == [".contents", "b"] and here.size("/a/.contents") == 4
    assert here.files.getattr("/a/.contents")["st_ino"] != here.files.getattr("/a")["st_ino"]


def test_the_root_is_a_directory_like_any_other(here: Shown) -> None:
    """`.chubby` is in it for who names it; `.contents` once it has content."""
    assert posix.S_ISDIR(here.files.getattr("/")["st_mode"]) and here.ls("/") == []
    here.put("/", b"welcome")
    assert here.ls("/") == [".contents"] and here.read("/.contents") == b"welcome"


@pytest.mark.parametrize("path", ["/missing", "/missing/below", "/.contents", "/.chubby/missing", "/a/.chubby"])
def test_what_is_not_there(here: Shown, path: str) -> None:
    """ENOENT."""
    with refused(errno.ENOENT):
        here.files.getattr(path)


def test_a_file_is_no_directory(here: Shown) -> None:
    """ENOTDIR, whatever is asked below it."""
    here.put("/a", b"text")
    of_directories: tuple[Callable[[str], object], ...] = (here.files.readdir, here.files.rmdir)
    for act in of_directories:
        with refused(errno.ENOTDIR):
            act("/a")
    for act in (*of_directories, here.files.getattr, here.files.unlink):
        with refused(errno.ENOTDIR):
            act("/a/.contents")
    assert here.contents("/a") == b"text"


def test_a_content_that_is_being_written_is_there_before_it_is_committed(here: Shown) -> None:
    """For who lists the directory, too."""
    here.make_directory("/d")
    file = here.create("/d/.contents")
    assert here.size("/d/.contents") == 0
    here.files.write(file, b"text", 0)
    assert here.size("/d/.contents") == 4 and here.ls("/d") == [".contents"]
    here.close_file(file)
    assert here.contents("/d") == b"text" and here.ls("/d") == [".contents"]


def test_a_large_directory_costs_a_call_for_a_thousand_names(here: Shown) -> None:
    """And nothing for what `ls -l` asks of each of them (issue: `ls -l` of 1,000 entries is one call)."""
    here.make_directory("/d")
    here.elsewhere.transaction([], [Create(f"/d/{number:04}", b"x") for number in range(1_000)])
    here.ls("/d")
    here.put("/d/0000", b"changed, so that the listing is not the one that is known")
    here.forget()
    names = here.ls("/d")
    assert here.calls() == {"ReadDir": 1} and len(names) == 1_000
    for name in names:
        here.files.getattr(f"/d/{name}")
    assert here.calls() == {"ReadDir": 1}


def test_a_directory_of_more_than_a_thousand_is_listed_whole(here: Shown) -> None:
    """By one more call."""
    here.make_directory("/d")
    here.elsewhere.transaction([], [Create(f"/d/{number:04}") for number in range(1_001)])
    here.forget()
    assert len(here.ls("/d")) == 1_001
    assert here.calls()["ReadDir"] == 2


# ------------------------------------------------------------------------------------------------------------- mkdir


def test_a_directory_is_made_for_whoever_asks(here: Shown) -> None:
    """A node of that kind; mode and owner are kept where they are not what is shown anyway."""
    here.files.mkdir("/d", 0o755, CALLER)
    assert here.stat("/d").kind is NodeKind.DIRECTORY and here.stat("/d").attributes == {}
    here.files.mkdir("/d/e", 0o700, CALLER)
    made = here.files.getattr("/d/e")
    assert made["st_mode"] == posix.S_IFDIR | 0o700 and (made["st_uid"], made["st_gid"]) == (USER, GROUP)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/", errno.EEXIST),
        ("/a", errno.EEXIST),
        ("/no/where", errno.ENOENT),
        ("/.chubby", errno.EPERM),
        ("/.chubby/x", errno.EPERM),
        ("/.contents", errno.EPERM),
        ("/d/.contents", errno.EPERM),
        ("/x\n", errno.EINVAL),
        ("/\udcff", errno.EILSEQ),
        (f"/{'x' * 300}", errno.ENAMETOOLONG),
    ],
)
def test_directories_that_cannot_be_made(here: Shown, path: str, number: int) -> None:
    """Each says why, and leaves nothing."""
    here.put("/a")
    here.make_directory("/d")
    before = set(here.cell.tree.nodes)
    with refused(number):
        here.files.mkdir(path, 0o755, CALLER)
    assert set(here.cell.tree.nodes) == before


# ------------------------------------------------------------------------------------------------------------- rmdir


def test_an_empty_directory_goes(here: Shown) -> None:
    """Another client sees it at once."""
    here.files.mkdir("/d", 0o755, CALLER)
    here.files.rmdir("/d")
    assert not here.there("/d")
    with refused(errno.ENOENT):
        here.files.rmdir("/d")


def test_a_directory_with_something_in_it_stays(here: Shown) -> None:
    """A child, or content of its own, even if that is only being written."""
    here.put("/d")
    here.put("/d/child")
    with refused(errno.ENOTEMPTY):
        here.files.rmdir("/d")
    here.delete("/d/child")
    here.put("/d", b"text")
    with refused(errno.ENOTEMPTY):
        here.files.rmdir("/d")
    here.put("/d", b"")
    file = here.create("/d/.contents")
    here.files.write(file, b"unsaved", 0)
    with refused(errno.ENOTEMPTY):
        here.files.rmdir("/d")
    here.close_file(file)
    assert here.contents("/d") == b"unsaved"


def test_the_root_cannot_be_removed(here: Shown) -> None:
    """EBUSY, as of every mount."""
    with refused(errno.EBUSY):
        here.files.rmdir("/")


def test_a_file_that_takes_the_place_of_a_directory_is_not_removed_as_one(here: Shown) -> None:
    """The kernel looked it up a moment before; the guard is what counts."""
    here.make_directory("/d")
    assert here.ls("/d") == []
    here.meddled.before(Transact, *remade("/d"))
    with refused(errno.ENOTDIR):
        here.files.rmdir("/d")
    assert here.there("/d")


def test_a_directory_that_is_made_again_meanwhile_is_removed_all_the_same(here: Shown) -> None:
    """Whoever asks for a name means whatever bears it."""
    here.make_directory("/d")
    here.ls("/d")
    here.meddled.before(Transact, Remove("/d"), Create("/d", kind=NodeKind.DIRECTORY))
    here.files.rmdir("/d")
    assert not here.there("/d")


def test_a_directory_that_is_filled_or_removed_meanwhile(here: Shown) -> None:
    """What the guards say is what is told."""
    here.make_directory("/d")
    here.ls("/d")
    here.meddled.before(Transact, Create("/d/child"))
    with refused(errno.ENOTEMPTY):
        here.files.rmdir("/d")
    here.delete("/d/child")
    here.meddled.before(Transact, Write("/d", b"text"))
    with refused(errno.ENOTEMPTY):
        here.files.rmdir("/d")
    here.put("/d")
    here.meddled.before(Transact, Remove("/d"))
    with refused(errno.ENOENT):
        here.files.rmdir("/d")


def test_an_open_content_whose_directory_is_removed_here_reads_on(here: Shown) -> None:
    """As any file that is removed while it is open; what is written to it then goes nowhere, without a word."""
    here.make_directory("/d")
    file = here.create("/d/.contents", os.O_RDWR | os.O_CREAT)
    here.files.rmdir("/d")
    assert here.all_of(file) == b""
    here.files.write(file, b"late", 0)
    here.close_file(file)
    assert not here.there("/d")


# ------------------------------------------------------------------------------------------------------------- unlink


def test_a_file_goes(here: Shown) -> None:
    """And is ENOENT from then on."""
    here.put("/a")
    here.files.unlink("/a")
    assert not here.there("/a")
    with refused(errno.ENOENT):
        here.files.unlink("/a")


def test_to_remove_the_content_of_a_directory_is_to_empty_it(here: Shown) -> None:
    """The node stays, with its children."""
    here.put("/d", b"text")
    here.put("/d/child")
    here.files.unlink("/d/.contents")
    assert here.contents("/d") == b"" and here.ls("/d") == ["child"]
    generation = here.stat("/d").content_generation
    with refused(errno.ENOENT):
        here.files.unlink("/d/.contents")
    assert here.stat("/d").content_generation == generation, "what is not there is not removed again"


def test_a_directory_is_not_removed_as_a_file(here: Shown) -> None:
    """Not even an empty one, nor one that has just become one."""
    here.make_directory("/d")
    with refused(errno.EISDIR):
        here.files.unlink("/d")
    here.put("/a")
    assert here.exists("/a")
    here.meddled.before(Transact, Create("/a/child"))
    with refused(errno.EISDIR):
        here.files.unlink("/a")
    here.put("/b")
    assert here.exists("/b")
    here.meddled.before(Transact, Remove("/b"), Create("/b", kind=NodeKind.DIRECTORY))
    with refused(errno.EISDIR):
        here.files.unlink("/b")
    assert here.there("/d") and here.there("/a") and here.there("/b")
    with refused(errno.EISDIR):
        here.files.unlink("/")


def test_a_file_that_is_made_again_meanwhile_is_removed_all_the_same(here: Shown) -> None:
    """A name means whatever bears it."""
    here.put("/a")
    assert here.exists("/a")
    here.meddled.before(Transact, *remade("/a", b"another"))
    here.files.unlink("/a")
    assert not here.there("/a")


def test_a_file_that_is_removed_meanwhile(here: Shown) -> None:
    """Somebody was first."""
    here.put("/a")
    assert here.exists("/a")
    here.meddled.before(Transact, Remove("/a"))
    with refused(errno.ENOENT):
        here.files.unlink("/a")


def test_an_open_file_that_is_removed_here_reads_on_and_writes_to_nowhere(here: Shown) -> None:
    """As POSIX has it: no error, and nothing comes back."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.files.write(file, b"TE", 0)
    here.files.unlink("/a")
    assert here.all_of(file) == b"TExt"
    here.files.write(file, b"X", 3)
    assert here.all_of(file) == b"TExX"
    here.close_file(file)
    assert not here.there("/a")


def test_an_open_content_that_is_removed_is_read_as_it_was_or_empty(here: Shown) -> None:
    """It is the node's, which stays: the news that it was emptied may come first. A new one is another file."""
    here.put("/d", b"old")
    here.put("/d/child")
    file = here.open("/d/.contents")
    here.files.unlink("/d/.contents")
    here.write("/d/.contents", b"new")
    assert here.all_of(file) in (b"old", b"") and here.read("/d/.contents") == b"new"
    here.close_file(file)
    assert here.contents("/d") == b"new"


# ----------------------------------------------------------------------------------------------------- news, sessions


def test_what_others_do_is_seen_at_once(here: Shown) -> None:
    """The session's cache is consistent: an answer that somebody else has had is never contradicted here."""
    assert not here.exists("/a")
    here.put("/a", b"1")
    assert here.size("/a") == 1 and here.ls("/") == ["a"]
    here.put("/a", b"two")
    assert here.size("/a") == 3
    here.delete("/a")
    assert not here.exists("/a") and here.ls("/") == []


def test_names_are_served_by_the_next_session(here: Shown) -> None:
    """The tree is the cell's, not the session's."""
    here.put("/a", b"text")
    assert here.size("/a") == 4
    here.lose_session()
    until(lambda: len(here.sessions) == 2)
    assert here.size("/a") == 4 and here.ls("/") == ["a"]
    here.files.mkdir("/d", 0o755, CALLER)
    assert here.there("/d")


def test_flags_of_a_rename_that_mean_nothing_here(here: Shown) -> None:
    """EINVAL, on which programs do without."""
    here.put("/a")
    for flags in (EXCHANGE, EXCHANGE | RENAME_NOREPLACE, 4):
        with refused(errno.EINVAL):
            here.files.rename("/a", "/b", flags)
