"""Renaming files of a cell: one transaction, whatever else happens to either of the two names."""

from __future__ import annotations

import errno
import os

import pytest

from chubby.types.calls import SetContents, Transact
from chubby.types.nodes import LockMode, NodeKind
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.tree import RENAME_NOREPLACE
from tests.client.test_sync import until
from tests.fuse_mount.shown import CALLER, Shown, refused, remade, shown_fixture

__all__ = ["shown_fixture"]


def test_a_file_gets_another_name(here: Shown) -> None:
    """With its content, and all that is kept with it."""
    here.put("/a", b"text")
    here.files.chmod("/a", 0o600)
    here.files.setxattr("/a", "user.note", b"mine", 0)
    before = here.files.getattr("/a")
    here.files.rename("/a", "/b", 0)
    after = here.files.getattr("/b")
    assert not here.there("/a") and here.contents("/b") == b"text"
    assert {name: after[name] for name in ("st_mode", "st_mtime", "st_size")} == {
        name: before[name] for name in ("st_mode", "st_mtime", "st_size")
    }
    assert here.files.getxattr("/b", "user.note", CALLER) == b"mine"


def test_it_is_one_transaction(here: Shown) -> None:
    """Nobody sees both names, or neither."""
    here.put("/a", b"new")
    here.put("/b", b"old")
    assert here.read("/a") == b"new" and here.exists("/b")
    here.forget()
    here.files.rename("/a", "/b", 0)
    assert here.calls() == {"Transact": 1}


def test_a_file_that_is_replaced_keeps_its_instance_and_its_lock(here: Shown) -> None:
    """Who watches or locks `config` goes on to do so when an editor puts a new version in its place."""
    here.put("/config", b"old")
    instance = here.stat("/config").instance
    holder = here.at("/config")
    holder.acquire(LockMode.EXCLUSIVE)
    here.write("/config.tmp", b"new")
    here.files.rename("/config.tmp", "/config", 0)
    assert here.stat("/config").instance == instance and here.contents("/config") == b"new"
    assert holder.get_lock_info().mode is LockMode.EXCLUSIVE
    assert not here.there("/config.tmp")


def test_an_ephemeral_file_stays_one(here: Shown) -> None:
    """Of this mount's session now: somebody else's would be gone with theirs."""
    with here.elsewhere.open("/a", create=True, ephemeral=True, contents=b"text"):
        here.files.rename("/a", "/b", 0)
        assert here.stat("/b").ephemeral and here.contents("/b") == b"text"


@pytest.mark.parametrize(
    ("old", "new", "flags", "number"),
    [
        ("/missing", "/x", 0, errno.ENOENT),
        ("/a", "/no/where", 0, errno.ENOENT),
        ("/a", "/b", RENAME_NOREPLACE, errno.EEXIST),
        ("/a", "/a", RENAME_NOREPLACE, errno.EEXIST),
        ("/a", "/d", 0, errno.EISDIR),
        ("/a", "/", 0, errno.EISDIR),
        ("/d", "/x", 0, errno.EXDEV),
        ("/", "/x", 0, errno.EXDEV),
        ("/d/.contents", "/x", 0, errno.EXDEV),
        ("/a", "/d/.contents", 0, errno.EXDEV),
        ("/a", "/.chubby/x", 0, errno.EPERM),
        ("/.chubby/status", "/x", 0, errno.EPERM),
        ("/.chubby", "/x", 0, errno.EPERM),
        ("/a", "/x\n", 0, errno.EINVAL),
        ("/a", f"/{'x' * 300}", 0, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_renamed(here: Shown, old: str, new: str, flags: int, number: int) -> None:
    """Each says why, and changes nothing. On EXDEV mv copies and removes."""
    here.put("/a", b"a")
    here.put("/b", b"b")
    here.put("/d", b"of its own")
    here.put("/d/child")
    revision = here.cell.tree.revision
    with refused(number):
        here.files.rename(old, new, flags)
    assert here.cell.tree.revision == revision


def test_a_name_that_becomes_itself(here: Shown) -> None:
    """Nothing happens, if there is one."""
    here.put("/a", b"text")
    here.files.rename("/a", "/a", 0)
    assert here.contents("/a") == b"text"
    with refused(errno.ENOENT):
        here.files.rename("/b", "/b", 0)


# ----------------------------------------------------------------------------------------- somebody else at that moment


def test_the_source_is_made_again_or_written_meanwhile(here: Shown) -> None:
    """What bears the name in the end is what moves."""
    here.put("/a", b"text")
    assert here.exists("/a")
    here.meddled.before(Transact, *remade("/a", b"another"))
    here.meddled.before(Transact, Write("/a", b"newest"))
    here.files.rename("/a", "/b", 0)
    assert here.contents("/b") == b"newest" and not here.there("/a")


def test_the_source_goes_meanwhile(here: Shown) -> None:
    """ENOENT, and the target is as it was."""
    here.put("/a", b"text")
    here.put("/b", b"other")
    here.meddled.before(Transact, Remove("/a"))
    with refused(errno.ENOENT):
        here.files.rename("/a", "/b", 0)
    assert here.contents("/b") == b"other"


def test_the_source_becomes_a_directory_meanwhile(here: Shown) -> None:
    """By a child: then it is copied, as any directory."""
    here.put("/a", b"text")
    here.meddled.before(Transact, Create("/a/child"))
    with refused(errno.EXDEV):
        here.files.rename("/a", "/b", 0)
    assert not here.there("/b")


def test_the_target_comes_goes_or_changes_meanwhile(here: Shown) -> None:
    """The rename is of what is there when it is done."""
    here.put("/a", b"text")
    here.meddled.before(Transact, Create("/b", b"1"))
    here.meddled.before(Transact, Write("/b", b"2"))
    here.meddled.before(Transact, *remade("/b", b"3"))
    here.meddled.before(Transact, Remove("/b"))
    here.files.rename("/a", "/b", 0)
    assert here.contents("/b") == b"text" and not here.there("/a")


def test_a_target_that_must_be_new_comes_meanwhile(here: Shown) -> None:
    """RENAME_NOREPLACE replaces nothing, not even that."""
    here.put("/a", b"text")
    here.meddled.before(Transact, Create("/b", b"theirs"))
    with refused(errno.EEXIST):
        here.files.rename("/a", "/b", RENAME_NOREPLACE)
    assert here.contents("/b") == b"theirs" and here.contents("/a") == b"text"


def test_the_target_becomes_a_directory_meanwhile(here: Shown) -> None:
    """EISDIR."""
    here.put("/a", b"text")
    here.meddled.before(Transact, Create("/b", kind=NodeKind.DIRECTORY))
    with refused(errno.EISDIR):
        here.files.rename("/a", "/b", 0)


def test_names_that_never_come_to_rest(here: Shown) -> None:
    """EBUSY in the end, instead of for ever."""
    here.put("/a", b"text")
    for number in range(40):
        here.meddled.before(Transact, Write("/a", b"%d" % number))
    with refused(errno.EBUSY):
        here.files.rename("/a", "/b", 0)
    assert not here.there("/b")


# ----------------------------------------------------------------------------------------------------------- open files


def test_an_open_file_goes_along_with_its_name(here: Shown) -> None:
    """What was written is committed first; what is written later goes to the new name."""
    file = here.create("/a", os.O_RDWR | os.O_CREAT)
    here.files.write(file, b"first", 0)
    here.files.rename("/a", "/b", 0)
    assert here.contents("/b") == b"first"
    here.files.write(file, b" and more", 5)
    assert here.all_of(file) == b"first and more" and here.files.file_path(file) == "/b"
    here.close_file(file)
    assert here.contents("/b") == b"first and more" and not here.there("/a")


def test_an_open_file_that_is_renamed_is_the_same_file_for_fstat(here: Shown) -> None:
    """Size and number are those of the new name."""
    file = here.create("/a")
    here.files.write(file, b"text", 0)
    here.files.rename("/a", "/b", 0)
    assert here.files.fgetattr(file) == here.files.getattr("/b")
    here.close_file(file)


def test_who_has_the_target_open_sees_the_new_content(here: Shown) -> None:
    """As it is the same node still: its instance stays."""
    here.put("/b", b"old")
    here.write("/a", b"new")
    reader = here.open("/b")
    assert here.all_of(reader) == b"old"
    here.files.rename("/a", "/b", 0)
    until(lambda: here.all_of(reader) == b"new")
    assert here.files.fgetattr(reader)["st_size"] == 3
    here.close_file(reader)


def test_both_are_open(here: Shown) -> None:
    """They are one file from then on."""
    here.put("/b", b"old")
    reader = here.open("/b")
    writer = here.create("/a", os.O_RDWR | os.O_CREAT)
    here.files.write(writer, b"new", 0)
    here.files.rename("/a", "/b", 0)
    assert here.all_of(reader) == b"new"
    here.files.write(writer, b"NEW", 0)
    assert here.all_of(reader) == b"NEW"
    here.close_file(writer)
    here.close_file(reader)
    assert here.contents("/b") == b"NEW"


def test_a_file_that_is_renamed_twice_over_is_written_where_it_went(here: Shown) -> None:
    """Two names that change places, as log files do."""
    file = here.create("/log")
    here.files.write(file, b"1", 0)
    here.files.rename("/log", "/log.1", 0)
    here.write("/log", b"fresh")
    here.files.rename("/log.1", "/log.2", 0)
    here.files.write(file, b"2", 1)
    here.close_file(file)
    assert here.contents("/log.2") == b"12" and here.contents("/log") == b"fresh"


def test_a_rename_that_cannot_save_first_is_not_done(here: Shown) -> None:
    """What was written could not be committed: the name stays."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.files.write(file, b"lost", 0)
    here.meddled.before(SetContents, *remade("/a", b"another"))
    with refused(errno.ESTALE):
        here.files.rename("/a", "/b", 0)
    assert not here.there("/b") and here.contents("/a") == b"another"
    here.files.release(file)
