"""The contract of `Files`, of the real disk and of the simulated one alike."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from chubby.errors import StorageFailed
from chubby.storage.files import ROOT, Files, OsFile, OsFiles
from chubby.storage.places import Within, create_afresh, exists, read_whole, remove_tree, replace_file
from tests.storage.fake_files import FakeFiles


@pytest.fixture(params=["real", "simulated", "real, in a folder", "simulated, in a folder"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Each implementation of the contract."""
    kind: str = request.param
    base: Files = OsFiles(tmp_path / "data") if kind.startswith("real") else FakeFiles()
    if not kind.endswith("folder"):
        return base
    base.make_directory("folder")
    return Within(base, "folder")


def put(files: Files, name: str, data: bytes) -> None:
    """A file with that content."""
    file = files.create(name)
    file.write(0, data)
    file.sync()
    file.close()


def test_what_is_written_at_a_position_is_read_there(files: Files) -> None:
    """Reads and writes are positional; a gap reads as zeros."""
    file = files.create("a")
    file.write(4, b"four")
    assert file.size() == 8
    assert file.read(0, 100) == b"\0\0\0\0four"
    assert file.read(6, 1) == b"u"
    assert file.read(8, 10) == b""
    file.write(2, b"two")
    assert file.read(0, 8) == b"\0\0twoour"
    file.close()
    file.close()


def test_allocating_grows_with_zeros_and_never_shrinks(files: Files) -> None:
    """The space of a segment is reserved before it is used."""
    file = files.create("a")
    file.write(0, b"x")
    file.allocate(1000)
    assert file.size() == 1000
    assert file.read(0, 1000) == b"x" + bytes(999)
    file.allocate(10)
    assert file.size() == 1000
    file.close()


def test_a_name_is_created_once_and_opened_only_if_there(files: Files) -> None:
    """`create` never takes over a file, `open` never makes one."""
    put(files, "a", b"1")
    with pytest.raises(FileExistsError):
        files.create("a")
    with pytest.raises(FileNotFoundError):
        files.open("b")
    file = files.open("a")
    assert file.read(0, 9) == b"1"
    file.close()


def test_names_are_sorted_and_directories_known(files: Files) -> None:
    """Iteration order is the same everywhere."""
    for name in ("b", "c", "a"):
        put(files, name, b"")
    files.make_directory("d")
    put(files, "d/e", b"")
    assert files.names(ROOT) == ["a", "b", "c", "d"]
    assert files.names("d") == ["e"]
    assert files.is_directory("d") and not files.is_directory("a") and not files.is_directory("nothing")
    with pytest.raises(FileExistsError):
        files.make_directory("d")
    with pytest.raises(FileNotFoundError):
        files.names("nothing")


def test_a_rename_replaces_a_file_and_moves_a_directory(files: Files) -> None:
    """The one atomic step that every change of state is built on."""
    put(files, "a", b"new")
    put(files, "b", b"old")
    files.rename("a", "b")
    assert files.names(ROOT) == ["b"]
    assert read_whole(files, "b") == b"new"
    files.make_directory("d")
    put(files, "d/x", b"inside")
    files.rename("d", "e")
    files.sync_directory(ROOT)
    assert read_whole(files, "e/x") == b"inside"
    with pytest.raises(FileNotFoundError):
        files.rename("d", "f")


def test_a_removed_file_can_still_be_read_by_who_has_it_open(files: Files) -> None:
    """So a snapshot may be pruned while somebody reads it."""
    put(files, "a", b"here")
    file = files.open("a")
    files.remove("a")
    assert file.read(0, 9) == b"here"
    file.close()
    with pytest.raises(FileNotFoundError):
        files.remove("a")


def test_only_an_empty_directory_is_removed_but_a_tree_goes_as_a_whole(files: Files) -> None:
    """`remove_tree` is built from the small operations."""
    files.make_directory("d")
    files.make_directory("d/e")
    put(files, "d/e/f", b"")
    with pytest.raises(OSError, match="not empty"):
        files.remove("d")
    remove_tree(files, "d")
    remove_tree(files, "d")
    assert files.names(ROOT) == []


def test_replacing_a_file_leaves_nothing_beside_it(files: Files) -> None:
    """Beside, sync, rename, sync the directory; also over what an interrupted attempt left."""
    put(files, "a.new", b"left over from an interrupted attempt, and longer")
    replace_file(files, "a", b"one")
    replace_file(files, "a", b"two")
    assert read_whole(files, "a") == b"two"
    assert files.names(ROOT) == ["a"]


def test_creating_afresh_begins_with_nothing(files: Files) -> None:
    """A segment never takes over the blocks of an older one."""
    put(files, "a", b"old")
    file = create_afresh(files, "a")
    assert file.size() == 0
    file.close()


def test_existence_of_a_name_does_not_need_its_folder(files: Files) -> None:
    """Asked before anything is there."""
    put(files, "a", b"")
    assert exists(files, ROOT, "a") and not exists(files, ROOT, "b") and not exists(files, "no/where", "a")


def test_two_processes_never_share_a_directory(files: Files) -> None:
    """The lock is exclusive, says so, and can be taken again once it is released."""
    lock = files.lock("LOCK")
    with pytest.raises(StorageFailed, match="in use by another process"):
        files.lock("LOCK")
    lock.release()
    lock.release()
    files.lock("LOCK").release()


def test_the_message_of_the_lock_names_directory_and_holder(tmp_path: Path) -> None:
    """An operator learns which process to stop."""
    files = OsFiles(tmp_path)
    lock = files.lock("LOCK")
    with pytest.raises(StorageFailed) as caught:
        files.lock("LOCK")
    assert str(tmp_path) in str(caught.value) and f"pid {os.getpid()}" in str(caught.value)
    lock.release()


def test_the_data_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Vote state and clients' data are nobody else's business."""
    files = OsFiles(tmp_path / "some" / "where")
    put(files, "a", b"")
    assert (tmp_path / "some" / "where").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "some" / "where" / "a").stat().st_mode & 0o777 == 0o600
    assert files.describe("a") == str(tmp_path / "some" / "where" / "a")


def test_a_write_cut_short_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may cut a write or a read short; the caller never notices."""
    real_write, real_read = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real_write(descriptor, data[:3], offset))
    monkeypatch.setattr(os, "pread", lambda descriptor, length, offset: real_read(descriptor, min(length, 4), offset))
    file = OsFiles(tmp_path).create("a")
    assert isinstance(file, OsFile)
    file.write(1, b"ten bytes!")
    assert file.read(0, 100) == b"\0ten bytes!"
    assert file.read(0, 11) == b"\0ten bytes!"
    file.close()


def test_a_file_system_that_cannot_reserve_space_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file grows all the same; only a refusal that means something is passed on."""

    def refuse(code: int) -> None:
        def fallocate(_descriptor: int, _offset: int, _size: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "posix_fallocate", fallocate)

    file = OsFiles(tmp_path).create("a")
    refuse(errno.EOPNOTSUPP)
    file.allocate(1000)
    file.allocate(10)
    assert file.size() == 1000 and file.read(0, 2000) == bytes(1000)
    refuse(errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        file.allocate(2000)
    file.close()


def test_a_data_directory_that_is_made_is_made_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own name too, and those of its parents: what is synced within is of no use if it has no way to it."""
    synced: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    OsFiles(tmp_path / "data" / "cell" / "replica-1")
    assert synced == [str(tmp_path), str(tmp_path / "data"), str(tmp_path / "data" / "cell")]
    OsFiles(tmp_path / "data" / "cell" / "replica-1")
    OsFiles(tmp_path / "data" / "cell")
    assert len(synced) == 3, "what is there already is nobody's promise"
