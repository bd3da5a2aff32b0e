"""What is done once more through the mount, for those who watch it; and that it is done to the mount alone."""

from __future__ import annotations

import errno
import os
import stat as posix
from pathlib import Path

import pytest

from chubby.types.events import EventKind
from fuse_mount.hand import Hand
from fuse_mount.hand_worker import ACTS, PROOF
from fuse_mount.touches import LIMIT, TOUCHED, OwnRevisions, Touch
from tests.client.test_sync import until
from tests.fuse_mount.shown import CALLER, FakeMounted, Shown, shown_fixture
from tests.fuse_mount.touching import DIRECTORY, FILE, WORKER, Bench, FakeHand, bench

__all__ = ["bench", "shown_fixture"]

# ------------------------------------------------------------------------------------------------------------- which


def test_each_event_is_touched_in_its_way(bench: Bench) -> None:
    """In the order in which they came, by names in the mount's directory."""
    bench.truth |= {"/f": FILE, "/d": DIRECTORY}
    bench.tell("/f", EventKind.CREATED)
    bench.tell("/d", EventKind.CREATED)
    bench.tell("/f", EventKind.CONTENTS_MODIFIED)
    bench.tell("/f", EventKind.ATTRIBUTES_MODIFIED)
    bench.tell("/", EventKind.ACL_MODIFIED)
    bench.tell("/gone", EventKind.DELETED)
    assert bench.done(6) == [
        ("create", "f"),
        ("mkdir", "d"),
        ("modify", "f"),
        ("utime", "f"),
        ("utime", "."),
        ("unlink", "gone"),
    ]
    assert {directory for _, _, directory in bench.hand.told} == {"/mnt"}
    assert {what for what, _, _ in bench.hand.told} < set(ACTS)


def test_what_was_done_through_this_mount_is_not_done_again(bench: Bench) -> None:
    """Whoever did it has told."""
    bench.truth["/f"] = FILE
    bench.tell("/f", EventKind.CREATED, own=True)
    bench.tell("/f", EventKind.CONTENTS_MODIFIED)
    assert bench.done(1) == [("modify", "f")]


def test_where_nobody_can_be_watching_nothing_is_done(bench: Bench) -> None:
    """The kernel knows neither the name nor its directory."""
    bench.truth |= {"/a/b": FILE, "/f": FILE}
    bench.tell("/a/b", EventKind.CONTENTS_MODIFIED)
    bench.tell("/f", EventKind.CONTENTS_MODIFIED)
    assert bench.done(1) == [("modify", "f")]


def test_events_that_show_nothing_are_passed_over(bench: Bench) -> None:
    """Of locks, handles, masters."""
    shown = {EventKind.CREATED, EventKind.CONTENTS_MODIFIED, EventKind.DELETED}
    shown |= {EventKind.ATTRIBUTES_MODIFIED, EventKind.ACL_MODIFIED}
    for kind in EventKind:
        if kind not in shown:
            bench.tell("/f", kind)
    bench.tell("/f", EventKind.ATTRIBUTES_MODIFIED)
    assert bench.done(1) == [("utime", "f")]


def test_many_of_one_kind_are_one(bench: Bench) -> None:
    """A file that changes all the time is touched when it rests."""
    bench.truth["/f"] = FILE
    for _ in range(100):
        bench.tell("/f", EventKind.CONTENTS_MODIFIED)
    bench.tell("/f", EventKind.ATTRIBUTES_MODIFIED)
    assert bench.done(2) == [("modify", "f"), ("utime", "f")]


def test_of_too_many_the_oldest_are_left_out() -> None:
    """Memory is bounded, also before anybody works."""
    bench = Bench()
    for number in range(LIMIT + 10):
        bench.tell(f"/{number}", EventKind.DELETED)
    assert len(bench.toucher._due) == LIMIT and next(iter(bench.toucher._due)) == ("/10", Touch.DELETE)


def test_own_revisions_are_forgotten_in_their_order() -> None:
    """The last ones are what matters."""
    own = OwnRevisions(limit=3)
    for revision in (1, 2, 3, 4):
        own.add(revision)
    assert [revision in own for revision in (1, 2, 3, 4)] == [False, True, True, True]


def test_what_has_come_and_gone(bench: Bench) -> None:
    """Made and gone again: nobody is told of the making. Removed and made again as a directory: not of the removal."""
    bench.truth["/d"] = DIRECTORY
    bench.tell("/f", EventKind.CREATED)
    bench.tell("/d", EventKind.DELETED)
    bench.tell("/d", EventKind.CREATED)
    bench.tell("/e", EventKind.DELETED)
    assert bench.done(2) == [("mkdir", "d"), ("unlink", "e")]


# -------------------------------------------------------------------------------------------------------------- answers


def test_our_own_hand_is_answered_so_that_the_kernel_tells(bench: Bench) -> None:
    """Made: not there, then done. Removed: a file, then done. And the truth from then on."""
    noted: list[object] = []

    def create() -> None:
        bench.asker = WORKER
        with pytest.raises(FileNotFoundError):
            bench.toucher.getattr("/f")
        noted.append(bench.toucher.getattr("/other"))
        noted.append(bench.toucher.done("/f"))
        noted.append(bench.toucher.getattr("/f"))
        noted.append(bench.toucher.done("/f"))
        bench.asker = 0

    def unlink() -> None:
        bench.asker = WORKER
        found = bench.toucher.getattr("/g")
        noted.append(found is not None and posix.S_ISREG(found["st_mode"]))
        noted.append(bench.toucher.done("/g"))
        bench.asker = 0

    bench.hand.inside = {"create": create, "unlink": unlink}
    bench.truth["/f"] = FILE
    bench.tell("/f", EventKind.CREATED)
    bench.tell("/g", EventKind.DELETED)
    until(lambda: len(noted) == 6)
    assert noted == [None, True, None, False, True, True]


def test_everybody_else_has_the_truth(bench: Bench) -> None:
    """While our hand is about it, too: others may look up the same name at that moment."""
    noted: list[object] = []

    def create() -> None:
        bench.asker = WORKER + 1
        noted.append((bench.toucher.getattr("/f"), bench.toucher.done("/f"), bench.toucher.getattr(f"/{PROOF}")))
        bench.asker = 0

    bench.hand.inside = {"create": create}
    bench.truth["/f"] = FILE
    bench.tell("/f", EventKind.CREATED)
    until(lambda: bool(noted))
    assert noted == [(None, False, None)]
    bench.asker = WORKER
    assert bench.toucher.getattr(f"/{PROOF}") is None, "there is nothing it could be about"


def test_a_touch_that_fails_is_not_the_last(bench: Bench) -> None:
    """Whatever came of it."""
    bench.truth["/f"] = FILE
    bench.hand.failures = [OSError(errno.EEXIST, "somebody looked"), BrokenPipeError("killed"), ValueError("a mistake")]
    bench.tell("/f", EventKind.CREATED)
    bench.tell("/f", EventKind.CONTENTS_MODIFIED)
    bench.tell("/f", EventKind.ATTRIBUTES_MODIFIED)
    bench.tell("/g", EventKind.DELETED)
    assert len(bench.done(4)) == 4


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOTCONN])
def test_a_mount_that_cannot_be_touched_is_left_alone(bench: Bench, number: int) -> None:
    """To be read only, or not there any more: nothing more is kept for it."""
    bench.hand.failures = [OSError(number, "so it is")]
    bench.tell("/g", EventKind.DELETED)
    bench.done(1)
    bench.toucher._thread.join(30)
    assert not bench.toucher._thread.is_alive()
    bench.tell("/h", EventKind.DELETED)
    assert not bench.toucher._due and len(bench.hand.told) == 1


# ------------------------------------------------------------------------------------------ the mount, and no other


def test_what_lies_beneath_a_mount_is_never_touched(here: Shown, tmp_path: Path) -> None:
    """The mount was taken away, and news came all the same: files of that name are neither made nor removed."""
    (tmp_path / "precious").write_text("precious")
    os.utime(tmp_path / "precious", (1, 1))
    mounted = FakeMounted(str(tmp_path))
    mounted.known = {"/", "/precious", "/new"}
    here.files.attach(mounted)
    here.put("/precious", b"1")
    here.delete("/precious")
    here.put("/new", b"2")
    here.files._toucher._thread.join(30)
    assert not here.files._toucher._thread.is_alive(), "it has found that its mount is gone"
    assert os.listdir(tmp_path) == ["precious"]
    assert (tmp_path / "precious").read_text() == "precious" and (tmp_path / "precious").stat().st_mtime == 1


def test_nor_is_another_mount_in_its_place(here: Shown, tmp_path: Path) -> None:
    """It has a directory of that name, too; but not our number."""
    (tmp_path / PROOF).mkdir()
    mounted = FakeMounted(str(tmp_path))
    mounted.known = {"/"}
    here.files.attach(mounted)
    here.put("/new", b"2")
    here.files._toucher._thread.join(30)
    assert os.listdir(tmp_path) == [PROOF]


def test_the_proof_is_for_our_own_hand(here: Shown) -> None:
    """Everybody else sees an ordinary directory."""
    assert here.files.getattr(f"/{PROOF}")["st_size"] == 0


def test_the_hand_touches_what_gives_the_proof(tmp_path: Path) -> None:
    """Any number but the right one is another mount's."""
    (tmp_path / PROOF).write_bytes(b"12345")  # a file has a size that a test can give it
    hand = Hand()
    try:
        hand.do("create", "f", str(tmp_path), 5)
        hand.do("mkdir", "d", str(tmp_path), 5)
        hand.do("utime", ".", str(tmp_path), 5)
        for proof in (4, 6):
            with pytest.raises(OSError) as raised:
                hand.do("unlink", "f", str(tmp_path), proof)
            assert raised.value.errno == errno.ENOTCONN
        hand.do("modify", "f", str(tmp_path), 5)
        assert sorted(os.listdir(tmp_path)) == [PROOF, "d", "f"]
        hand.do("unlink", "f", str(tmp_path), 5)
        assert sorted(os.listdir(tmp_path)) == [PROOF, "d"]
    finally:
        hand.close()


# ------------------------------------------------------------------------------------------------------ within the cell


def test_the_files_answer_a_touch_without_doing_anything(here: Shown) -> None:
    """Each request of it, as the kernel makes them."""
    mounted = FakeMounted()
    mounted.known = {"/"}
    files, hand = here.files, FakeHand()
    files._toucher._hand = hand
    done: list[str] = []

    def as_ours() -> None:
        mounted.asker = WORKER

    def create() -> None:
        as_ours()
        with pytest.raises(FileNotFoundError):
            files.getattr("/f")
        opened = files.create("/f", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, CALLER)
        assert opened.file == TOUCHED and files.fgetattr(TOUCHED)["st_size"] == 4
        assert files.file_path(TOUCHED) == "/f"
        files.flush(TOUCHED)
        files.release(TOUCHED)
        done.append("create")

    def modify() -> None:
        as_ours()
        assert files.open("/f", os.O_WRONLY, CALLER).file == TOUCHED
        files.ftruncate(TOUCHED, 0)
        files.fsync(TOUCHED)
        files.release(TOUCHED)
        done.append("modify")

    def unlink() -> None:
        as_ours()
        assert files.getattr("/f")["st_nlink"] == 1
        files.unlink("/f")
        done.append("unlink")

    hand.inside = {"create": create, "modify": modify, "unlink": unlink}
    files.attach(mounted)
    here.put("/f", b"text")
    until(lambda: done == ["create", "modify"])
    assert here.contents("/f") == b"text"
    here.delete("/f")
    until(lambda: done[2:] == ["unlink"])
