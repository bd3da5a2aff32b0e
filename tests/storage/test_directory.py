"""The data directory: what condition it is in, and that nothing is begun, given up or opened by mistake."""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec
import pytest

from chubby.errors import CorruptData, StorageFailed
from chubby.paxos.ready import Recovered
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.faults import ForeignData
from chubby.storage.files import OsFiles
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.interference import FailAt
from tests.storage.samples import (
    ANOTHER_LIFE,
    CONFIGURATION,
    GENESIS,
    IDENTITY,
    SMALL,
    accepted,
    expected,
    formatted,
    header,
    newer,
    reopened,
    same_log,
    slices,
    snapshot,
)
from tests.storage.test_snapshots import receive, whole

IDENTITY_FILE = "current/IDENTITY"
THIRD_LIFE = msgspec.structs.replace(IDENTITY, incarnation=0x3DEA)


def condition(files: FakeFiles, replica: int | None = None) -> Condition:
    """What a look says."""
    with DataDirectory(files, replica) as directory:
        return directory.inspect().condition


def reborn(files: FakeFiles, identity: object = ANOTHER_LIFE) -> None:
    """Begin another life."""
    assert isinstance(identity, type(IDENTITY))
    with DataDirectory(files) as directory:
        directory.become_new_incarnation(identity, segment_size=SMALL)


def strange_file(files: FakeFiles, name: str) -> None:
    """Somebody's file."""
    files.create(name).close()


def voted() -> FakeFiles:
    """A directory with a life that accepted something."""
    files = FakeFiles()
    formatted(files)
    opened = reopened(files)
    opened.wal.append([accepted(1)])
    opened.close()
    return files


def test_an_empty_directory_is_empty_and_is_not_opened() -> None:
    """DESIGN §3 Incarnations: an empty directory never votes."""
    files = FakeFiles()
    assert condition(files) is Condition.EMPTY
    with pytest.raises(CorruptData, match="/fake is empty: it has never been formatted"):
        reopened(files)


def test_what_a_file_system_puts_there_does_not_count() -> None:
    """A fresh volume is empty all the same."""
    files = FakeFiles()
    for name in ("LOCK", "lost+found", ".Trash"):
        strange_file(files, name)
    assert condition(files) is Condition.EMPTY


def test_formatting_is_explicit_and_gives_a_life_that_may_vote() -> None:
    """DESIGN §3 Incarnations: slot 0 is the genesis configuration, durable before the directory counts as formatted."""
    files = FakeFiles()
    formatted(files)
    files.power_loss(nothing)
    with DataDirectory(files, replica=2) as directory:
        found = directory.inspect()
        assert (found.condition, found.identity) == (Condition.FORMATTED, IDENTITY)
        opened = directory.open(segment_size=SMALL)
    assert opened.identity == IDENTITY and opened.warnings == ()
    size = opened.recovered.snapshot_size
    assert opened.recovered == Recovered(configuration=CONFIGURATION, snapshot_size=size) and size > 0
    with opened.snapshots.reader(0) as reader:
        assert tuple(reader.slices()) == GENESIS and reader.header.machine_version == 1


def test_only_an_empty_directory_is_formatted() -> None:
    """Not one that voted, not one that is rotten, not somebody else's."""
    rotten, foreign = voted(), FakeFiles()
    rotten.rot(IDENTITY_FILE, 25, b"\0\0")
    strange_file(foreign, "thesis.tex")
    for files, word in ((voted(), "formatted"), (rotten, "rotten"), (foreign, "foreign")):
        before = files.tree()
        with pytest.raises(StorageFailed, match=f"/fake is {word}; only an empty directory is formatted"):
            formatted(files)
        assert files.tree() == before


def test_a_directory_with_other_things_is_foreign() -> None:
    """Somebody named the wrong directory: nothing is written to it, and what is there is named."""
    files = FakeFiles()
    strange_file(files, "thesis.tex")
    with DataDirectory(files) as directory:
        found = directory.inspect()
        assert found.condition is Condition.FOREIGN and "none of ours: thesis.tex" in found.reason
        with pytest.raises(ForeignData, match=r"thesis\.tex"):
            directory.open()
        with pytest.raises(ForeignData, match=r"thesis\.tex"):
            directory.become_new_incarnation(IDENTITY)
    assert files.tree() == ["thesis.tex"]


def test_the_directory_of_another_replica_is_foreign() -> None:
    """A wrong volume is not rot."""
    files = voted()
    assert condition(files, replica=2) is Condition.FORMATTED
    with DataDirectory(files, replica=3) as directory:
        assert directory.inspect().condition is Condition.FOREIGN
        with pytest.raises(ForeignData, match="this is the directory of replica 2, not 3"):
            directory.open()


def test_a_newer_format_is_foreign() -> None:
    """The release is wrong, not the data."""
    files = voted()
    files.remove(IDENTITY_FILE)
    file = files.create(IDENTITY_FILE)
    file.write(0, newer(b"CHUBIDEN", msgspec.msgpack.encode(IDENTITY)))
    file.close()
    with pytest.raises(ForeignData, match="install the release that wrote it"):
        reopened(files)


def test_a_missing_or_rotten_identity_is_rot() -> None:
    """Somebody voted here, and nobody knows who."""
    files = voted()
    files.rot(IDENTITY_FILE, 30, b"\xff\xfe")
    assert condition(files) is Condition.ROTTEN
    files.remove(IDENTITY_FILE)
    with DataDirectory(files) as directory:
        found = directory.inspect()
        assert found.condition is Condition.ROTTEN and found.reason == "/fake/current/IDENTITY: missing"
        with pytest.raises(CorruptData, match="/fake is rotten: /fake/current/IDENTITY: missing"):
            directory.open()


@pytest.mark.parametrize("lost", ["current/MANIFEST", "current/wal", "current/snapshots"])
def test_any_other_missing_part_is_rot_as_well(lost: str) -> None:
    """DESIGN §3 Incarnations: a missing file is lost vote state."""
    files = voted()
    for name in [name for name in files.tree() if name.startswith(lost)]:
        files.remove(name)
    if files.is_directory(lost):
        files.remove(lost)
    with pytest.raises(CorruptData, match=f"/fake/{lost}.*: missing"):
        reopened(files)


def test_a_new_incarnation_is_blank_and_keeps_the_old_life_for_inspection() -> None:
    """DESIGN §3 Incarnations: it returns as somebody else, who never voted and has nothing yet."""
    files = voted()
    before = {name: files.contents(name) for name in files.tree()}
    reborn(files)
    files.power_loss(nothing)
    opened = reopened(files)
    assert opened.identity == ANOTHER_LIFE
    assert opened.recovered == Recovered()
    assert opened.snapshots.newest() is None
    kept = {name: files.contents(name) for name in files.tree("rotten-1")}
    assert kept == {name.replace("current", "rotten-1"): data for name, data in before.items()}


def test_a_new_incarnation_receives_its_first_snapshot() -> None:
    """It catches up like any laggard, and is then as good as any."""
    files = voted()
    reborn(files)
    opened = reopened(files)
    receive(opened, 0, whole(0))
    assert opened.snapshots.slots == (0,)
    receive(opened, 30, whole(30))
    written = [(accepted(31),), (accepted(32),)]
    for batch in written:
        opened.wal.append(batch)
    opened.prune()
    files.power_loss(nothing)
    again = reopened(files)
    assert same_log(again.recovered, expected(written, base=30))
    with again.snapshots.reader(30) as reader:
        assert tuple(reader.slices()) == slices(30) and reader.header == header(30)


def test_of_the_lives_put_aside_the_last_is_kept() -> None:
    """Bounded: a disk that rots again and again does not fill."""
    files = voted()
    reborn(files)
    reborn(files, THIRD_LIFE)
    assert files.names("") == ["current", "rotten-2"]
    assert files.contents("rotten-2/IDENTITY") != files.contents(IDENTITY_FILE)
    for number in range(12):
        reborn(files, msgspec.structs.replace(IDENTITY, incarnation=1000 + number))
    assert files.names("") == ["current", "rotten-14"]


def test_an_empty_directory_may_join_as_a_new_incarnation() -> None:
    """A replaced machine: it neither votes nor pretends to have been there."""
    files = FakeFiles()
    reborn(files)
    assert files.names("") == ["current"]
    assert reopened(files).recovered == Recovered()


def test_a_life_put_aside_and_not_followed_is_rot_and_not_empty() -> None:
    """Else `cell start` might format it, and the promises of the old life would be forgotten."""
    files = voted()
    files.rename("current", "rotten-1")
    with DataDirectory(files) as directory:
        found = directory.inspect()
        assert found.condition is Condition.ROTTEN and "put aside to rotten-1" in found.reason
    reborn(files)
    assert reopened(files).identity == ANOTHER_LIFE
    assert files.names("") == ["current", "rotten-1"]


def test_a_life_never_takes_its_own_name_again() -> None:
    """The whole point of an incarnation."""
    files = voted()
    with pytest.raises(AssertionError, match="a new life has a new name"):
        reborn(files, IDENTITY)


def test_what_was_left_forming_goes() -> None:
    """An interrupted attempt is debris, at a format and at a start."""
    files = FakeFiles()
    files.make_directory("forming")
    strange_file(files, "forming/half")
    assert condition(files) is Condition.EMPTY
    formatted(files)
    files.make_directory("forming")
    strange_file(files, "forming/half")
    reopened(files).close()
    assert files.names("") == ["current"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """The lock is held from construction to close; a second process is told who has it."""
    first = DataDirectory(OsFiles(tmp_path))
    with pytest.raises(StorageFailed, match="in use by another process"):
        DataDirectory(OsFiles(tmp_path))
    first.close()
    first.close()
    DataDirectory(OsFiles(tmp_path)).close()


def test_a_full_disk_is_told_at_every_door() -> None:
    """ENOSPC while formatting, opening, or beginning anew: a clear message, and what was there is as it was."""
    empty, life = FakeFiles(), voted()
    for files, door in ((empty, formatted), (life, reopened), (life, reborn)):
        files.interference = FailAt(0, errno.ENOSPC, frozenset({"allocate"}))
        with pytest.raises(StorageFailed, match=r"/fake.*No space left on device \(the disk is full"):
            door(files)
        files.process_crash()
        assert condition(files) is (Condition.EMPTY if files is empty else Condition.FORMATTED)
    assert len(reopened(life).recovered.entries) == 1


def test_all_of_it_on_a_real_disk(tmp_path: Path) -> None:
    """A life from its format over snapshots and pruning to its rot and the next life."""
    with DataDirectory(OsFiles(tmp_path), replica=2) as directory:
        directory.format(IDENTITY, CONFIGURATION, GENESIS, segment_size=SMALL)
        opened = directory.open(segment_size=SMALL)
        written = [(accepted(slot, size=300 * (slot % 5) + 1),) for slot in range(1, 60)]
        for batch in written:
            opened.wal.append(batch)
            opened.wal.tend()
            if batch[0].entry.slot % 20 == 0:
                snapshot(opened, batch[0].entry.slot)
                opened.prune()
        opened.close()
        again = directory.open(segment_size=SMALL)
        assert same_log(again.recovered, expected(written, base=40)) and again.warnings == ()
        again.close()
        segment = max((tmp_path / "current" / "wal").iterdir())
        data = bytearray(segment.read_bytes())
        data[700] ^= 1
        segment.write_bytes(data)
        with pytest.raises(CorruptData, match=segment.name):
            directory.open(segment_size=SMALL)
        directory.become_new_incarnation(ANOTHER_LIFE, segment_size=SMALL)
        directory.open(segment_size=SMALL).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LOCK", "current", "rotten-1"]


def test_a_folder_that_the_disk_will_not_tell_of_is_not_taken_for_missing(tmp_path: Path) -> None:
    """Refused is not rotten: else an operator's slip (here: a link that leads nowhere) would cost a life."""
    with DataDirectory(OsFiles(tmp_path)) as directory:
        directory.format(IDENTITY, CONFIGURATION, GENESIS, segment_size=SMALL)
        wal = tmp_path / "current" / "wal"
        wal.rename(tmp_path / "current" / "moved")
        wal.symlink_to("wal")
        with pytest.raises(StorageFailed, match="Too many levels of symbolic links"):
            directory.open(segment_size=SMALL)
        wal.unlink()
        (tmp_path / "current" / "moved").rename(wal)
        directory.open(segment_size=SMALL).close()
