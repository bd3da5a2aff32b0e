"""The files of `.chubby`, as programs open and read them."""

from __future__ import annotations

import errno
import os
import select
import stat as posix

import pytest

import chubby
from fuse_mount.controls import FIRST
from fuse_mount.names import Control
from fuse_mount.touches import TOUCHED
from tests.client.test_sync import until
from tests.fuse_mount.shown import CALLER, MeddledCell, Shown, refused, shown, shown_fixture

__all__ = ["shown_fixture"]

ALL = [f"/.chubby/{control.value}" for control in Control]


def text(here: Shown, name: str) -> str:
    """What `cat` shows."""
    return here.read(f"/.chubby/{name}").decode()


def fields(here: Shown) -> dict[str, str]:
    """The session."""
    return {key: value.strip() for key, value in (line.split(":", 1) for line in text(here, "session").splitlines())}


# ------------------------------------------------------------------------------------------------------------- names


def test_they_are_there_for_who_names_them(here: Shown) -> None:
    """And are not listed in the root: copies of the tree leave them out."""
    assert here.ls("/") == [] and here.ls("/.chubby") == [control.value for control in Control]
    assert posix.S_ISDIR(here.files.getattr("/.chubby")["st_mode"])
    for name, attributes in here.files.readdir("/.chubby"):
        assert here.files.getattr(f"/.chubby/{name}")["st_ino"] == attributes["st_ino"]
        assert posix.S_ISREG(attributes["st_mode"])


def test_nothing_of_them_is_stored(here: Shown) -> None:
    """The cell knows no such names."""
    for path in ALL:
        here.read(path)
    assert set(here.cell.tree.nodes) == {"/"}


@pytest.mark.parametrize("path", ALL)
def test_nobody_changes_them(here: Shown, path: str) -> None:
    """Not even root."""
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        with refused(errno.EACCES):
            here.open(path, flags)
    acts = (
        lambda: here.create(path),
        lambda: here.files.unlink(path),
        lambda: here.files.rmdir(path),
        lambda: here.files.rename(path, "/x", 0),
        lambda: here.files.truncate(path, 0),
        lambda: here.files.chmod(path, 0o777),
        lambda: here.files.chown(path, 1, 1),
        lambda: here.files.utimens(path, None),
    )
    for act in acts:
        with refused(errno.EPERM):
            act()
    with refused(errno.ENOTDIR):
        here.files.readdir(path)
    with refused(errno.ENOTDIR):
        here.files.getattr(f"{path}/x")


@pytest.mark.parametrize("path", ["/.chubby", "/.chubby/missing"])
def test_nor_their_directory(here: Shown, path: str) -> None:
    """Nothing is made or removed there."""
    for act in (here.files.rmdir, here.files.unlink):
        with refused(errno.EPERM if path == "/.chubby" else errno.ENOENT):
            act(path)
    with refused(errno.EPERM):
        here.files.mkdir(path, 0o755, CALLER)


# ------------------------------------------------------------------------------------------------------------- texts


def test_what_the_texts_say(here: Shown) -> None:
    """Version, master and cell."""
    assert text(here, "version") == f"{chubby.__version__}\n"
    assert text(here, "master") == "10.0.0.1:1\n"
    assert text(here, "status").startswith("cell here: master is replica 1 at 10.0.0.1:1, epoch 7")


def test_what_the_session_says(here: Shown) -> None:
    """Which it is, and what it holds."""
    found = fields(here)
    assert found["session"] == str(here.sessions[0].id) and found["cell"] == "here"
    assert (found["state"], found["tenure"], found["locks"]) == ("normal", "1", "0")


def test_a_text_stays_as_it_was_at_the_open(here: Shown) -> None:
    """Read in pieces, it is one text."""
    file = here.open("/.chubby/session")
    whole = here.files.read(file, 1 << 16, 0)
    pieces = b"".join(here.files.read(file, 7, offset) for offset in range(0, len(whole) + 7, 7))
    assert pieces == whole and here.files.read(file, 10, len(whole) + 5) == b""
    here.close_file(file)


def test_they_are_opened_so_that_each_read_asks_us(here: Shown) -> None:
    """Their size is 0, and the kernel must not believe it; events come in order, and cannot be sought in."""
    for control in Control:
        opened = here.files.open(f"/.chubby/{control.value}", os.O_RDONLY, CALLER)
        assert opened.direct_io and not opened.keep_cache
        assert opened.nonseekable is (control is Control.EVENTS)
        assert opened.file > FIRST > TOUCHED
        assert here.files.file_path(opened.file) == f"/.chubby/{control.value}"
        assert here.files.fgetattr(opened.file) == here.files.getattr(f"/.chubby/{control.value}")
        here.close_file(opened.file)
        with refused(errno.EBADF):
            here.files.read(opened.file, 1, 0)


def test_an_open_one_takes_no_lock_and_no_bytes(here: Shown) -> None:
    """It is no file of the cell."""
    file = here.open("/.chubby/status")
    with refused(errno.EOPNOTSUPP):
        here.files.flock(file, 1, CALLER)
    with refused(errno.EBADF):
        here.files.write(file, b"x", 0)
    here.files.fsync(file)
    assert here.files.poll(file, None) == select.POLLIN
    here.close_file(file)


def test_what_they_say_of_a_session_that_is_lost() -> None:
    """Its end, and then the next one."""
    with shown(MeddledCell()) as here:
        first = fields(here)
        here.lose_session()
        until(lambda: fields(here).get("tenure") == "2")
        second = fields(here)
        assert second["session"] != first["session"] and second["state"] == "normal"


def test_a_session_that_has_ended_is_said_to_have() -> None:
    """`cat .chubby/session` asks for no new one, and waits for none."""
    with shown(MeddledCell()) as here:
        number = here.sessions[0].id
        here.files.close()
        assert text(here, "session").splitlines() == [f"session:    {number}", "state:      closed"]


def test_before_there_is_any_session() -> None:
    """Nothing."""
    never = Shown()
    assert text(never, "session") == ""


# ------------------------------------------------------------------------------------------------------------- events


def test_events_are_told_from_the_open_on(here: Shown) -> None:
    """Of this mount and of others, a line each; without any, there is nothing to read, and no wait."""
    earlier = here.open("/.chubby/events")
    here.put("/before")
    until(lambda: b"modified\t/ls/here/before" in here.files.read(earlier, 4096, 0))
    file = here.open("/.chubby/events")
    assert here.files.read(file, 4096, 0) == b"" and here.files.poll(file, None) == 0
    here.put("/theirs", b"1")
    here.write("/ours", b"2")
    got = bytearray()

    def told() -> bool:
        got.extend(here.files.read(file, 4096, 0))
        return b"modified\t/ls/here/ours\n" in got

    until(told)
    assert [line.split("\t")[1:] for line in got.decode().splitlines()] == [
        ["created", "/ls/here/theirs"],
        ["modified", "/ls/here/theirs"],
        ["created", "/ls/here/ours"],
        ["modified", "/ls/here/ours"],
    ]
    here.close_file(file)
    here.close_file(earlier)


def test_who_polls_events_is_woken(here: Shown) -> None:
    """Once, when there is something."""
    file = here.open("/.chubby/events")
    woken: list[int] = []
    assert here.files.poll(file, lambda: woken.append(1)) == 0
    here.put("/a")
    until(lambda: woken == [1])
    assert here.files.poll(file, None) == select.POLLIN
    here.close_file(file)


def test_each_reader_has_its_own_events(here: Shown) -> None:
    """Who reads takes nothing from the others."""
    one, other = here.open("/.chubby/events"), here.open("/.chubby/events")
    here.put("/a")
    for file in (one, other):
        got: list[bytes] = []

        def told(file: int = file, got: list[bytes] = got) -> bool:
            got.append(here.files.read(file, 4096, 0))
            return b"/ls/here/a" in b"".join(got)

        until(told)
        here.close_file(file)


def test_the_size_of_events_grows_with_them(here: Shown) -> None:
    """tail(1) looks at it, and at the time."""
    before = here.files.getattr("/.chubby/events")
    here.put("/a")
    until(lambda: here.files.getattr("/.chubby/events")["st_size"] > before["st_size"])
    assert here.files.getattr("/.chubby/events")["st_mtime"] > before["st_mtime"]
