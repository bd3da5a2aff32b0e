"""`chubby backup` without a cell: files in, files out, refusals. With a cell: tests/integration."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fsspec.implementations.memory import MemoryFileSystem

from chubby.cli.backup_store import Store
from chubby.cli.backup_tar import tar_of
from chubby.cli.main import chubby
from chubby.config.load import load_cell
from chubby.daemon.founding import SLICE, first_configuration, first_machine
from chubby.daemon.restoring import machine_of_directory
from chubby.errors import BadArgument, StorageFailed
from chubby.namespace.commands import BeginEpoch, Command, OpenSession, Request, Transaction
from chubby.namespace.machine import Machine
from chubby.storage.backup_format import BackupLabel, encode_backup
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader
from chubby.types.transaction import Create

LOCAL = Path(__file__).parents[2] / "cell_config" / "local.toml"
LABEL = BackupLabel("local", 7, 1_790_000_000_000, "0.1.0")


def lived() -> Machine:
    """A cell with a few files, one of them with children."""
    machine = first_machine(load_cell(LOCAL), 7)
    machine.apply(1, Command(0, 1, 0, BeginEpoch(1)))
    machine.apply(2, Command(1, 1, 0, OpenSession(5, "anyone", caching=False)))
    creates = (Create("/a", b"both"), Create("/a/b", b"below", attributes={"k": b"v"}), Create("/e", ephemeral=True))
    machine.apply(3, Command(1, 2, 0, Request(1, 1, 0, Transaction(then=creates))))
    return machine


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup file of that cell."""
    machine = lived()
    encoder = SnapshotEncoder(SnapshotHeader(7, 3, first_configuration(load_cell(LOCAL), 7)))
    pieces = [encoder.header, *map(encoder.block, machine.snapshot().slices(SLICE)), encoder.footer()]
    path = tmp_path / "cell.chubby"
    path.write_bytes(b"".join(encode_backup(LABEL, pieces)))
    return path


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, with contents."""
    found = sorted(folder.rglob("*"))
    return {str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None for each in found}


def run(*arguments: str) -> Result:
    """Run the command line."""
    return CliRunner().invoke(chubby, arguments)


def test_inspect_tells_what_is_in_it(backup: Path) -> None:
    """For people and for programs."""
    facts = json.loads(run("backup", "inspect", str(backup), "--json").stdout)
    assert (facts["cell"], facts["cell_id"], facts["slot"], facts["nodes"], facts["sessions"]) == ("local", 7, 3, 5, 1)
    assert "nodes        5" in run("backup", "inspect", str(backup)).stdout


def test_verify_accepts_a_whole_backup_and_refuses_a_spoilt_one(backup: Path) -> None:
    """Exit code 74 and a sentence that names the file."""
    assert run("backup", "verify", str(backup)).exit_code == 0
    data = bytearray(backup.read_bytes())
    data[len(data) // 2] ^= 1
    backup.write_bytes(data)
    spoilt = run("backup", "verify", str(backup))
    assert spoilt.exit_code == 74
    assert str(backup) in spoilt.stderr


def test_restore_makes_directories_that_hold_the_files(backup: Path, tmp_path: Path) -> None:
    """Contents and attributes come back, ephemerals and sessions do not."""
    data = tmp_path / "data"
    result = run("backup", "restore", str(backup), "--config", str(LOCAL), "--data", str(data))
    assert result.exit_code == 0, result.output
    for replica in range(1, 6):
        machine = machine_of_directory(data / f"replica-{replica}").machine
        below = machine.node("/a/b")
        assert below is not None and below.contents == b"below" and below.stat.attributes == {"k": b"v"}
        assert machine.node("/e") is None and machine.session_count == 0 and machine.cell != 7


def test_restore_never_overwrites(backup: Path, tmp_path: Path) -> None:
    """A second restore into the same place is refused, and says so."""
    arguments = ("backup", "restore", str(backup), "--config", str(LOCAL), "--data", str(tmp_path / "data"))
    assert run(*arguments).exit_code == 0
    before = tree(tmp_path / "data")
    again = run(*arguments)
    assert again.exit_code == 74 and "not empty" in again.stderr
    assert tree(tmp_path / "data") == before


@pytest.mark.parametrize("command", [["backup", "restore"], ["cell", "recover", "--yes", "--from"]])
def test_what_is_refused_changes_nothing(backup: Path, tmp_path: Path, command: list[str]) -> None:
    """Neither the directory that is in the way, nor those that are not there; a spoilt backup makes none."""
    data = tmp_path / "data"
    (data / "replica-3").mkdir(parents=True)
    (data / "replica-3" / "holiday.jpg").write_bytes(b"x")
    before = tree(data)
    where = ("--config", str(LOCAL), "--data", str(data))
    refused = run(*command, str(backup), *where)
    assert refused.exit_code == 74 and f"{data}/replica-3 is not empty" in refused.stderr
    assert tree(data) == before
    (data / "replica-3" / "holiday.jpg").unlink()
    before = tree(data)
    backup.write_bytes(backup.read_bytes()[:-1])
    spoilt = run(*command, str(backup), *where)
    assert spoilt.exit_code == 74 and len(spoilt.stderr.splitlines()) == 1 and str(backup) in spoilt.stderr
    assert tree(data) == before


def test_a_new_cell_never_bears_the_number_of_the_old_one(backup: Path, tmp_path: Path) -> None:
    """Else what is left of the old one could join it (DESIGN §4 Token: "a new cell id")."""
    arguments = ("backup", "restore", str(backup), "--config", str(LOCAL), "--data", str(tmp_path / "data"))
    refused = run(*arguments, "--replica", "1", "--cell-id", "0x7", "--floor", "1")
    assert refused.exit_code == 64 and "0x7 is the number of the cell that was backed up" in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("numbers", [("--cell-id", "-4", "--floor", "5"), ("--cell-id", "4", "--floor", "-5")])
def test_numbers_that_no_cell_has(backup: Path, tmp_path: Path, numbers: tuple[str, ...]) -> None:
    """Wrong usage, not a bug."""
    arguments = ("backup", "restore", str(backup), "--config", str(LOCAL), "--data", str(tmp_path / "data"))
    result = run(*arguments, "--replica", "1", *numbers)
    assert result.exit_code == 64 and "is not between" in result.stderr and not (tmp_path / "data").exists()


def test_restore_and_recover_for_programs(backup: Path, tmp_path: Path) -> None:
    """The numbers that other machines need, and what may be lost."""
    where = ("--config", str(LOCAL), "--json", "--data")
    restored = json.loads(run("backup", "restore", str(backup), *where, str(tmp_path / "a")).stdout)
    assert (restored["source_cell"], restored["nodes"], len(restored["directories"])) == ("local", 4, 5)
    assert restored["cell_id"] != 7 and restored["floor"] == restored["floor"] >> 20 << 20
    recovered = json.loads(run("cell", "recover", "--yes", "--from", str(backup), *where, str(tmp_path / "b")).stdout)
    assert recovered["cell_id"] not in (7, restored["cell_id"])
    assert any("is lost" in line for line in recovered["told"])


def test_restoring_on_several_machines_gives_one_cell(backup: Path, tmp_path: Path) -> None:
    """With the number and floor that the first run printed."""
    first = run(
        "backup", "restore", str(backup), "--config", str(LOCAL), "--data", str(tmp_path / "a")
    ).stdout.splitlines()[-1]
    number, floor = first.split()[3], first.split()[5]
    arguments = ("backup", "restore", str(backup), "--config", str(LOCAL), "--data", str(tmp_path / "b"))
    other = run(*arguments, "--replica", "2", "--cell-id", number, "--floor", floor)
    assert other.exit_code == 0, other.output
    one = machine_of_directory(tmp_path / "a" / "replica-2").machine
    two = machine_of_directory(tmp_path / "b" / "replica-2").machine
    assert one.digest() == two.digest()
    assert run(*arguments, "--replica", "3").exit_code != 0


def test_recover_tells_plainly_what_may_be_lost(backup: Path, tmp_path: Path) -> None:
    """From a backup, and from the directory of a survivor."""
    arguments = ("--config", str(LOCAL), "--yes")
    one = run("cell", "recover", "--from", str(backup), "--data", str(tmp_path / "a"), *arguments)
    assert one.exit_code == 0 and "is lost" in one.output
    survivor = tmp_path / "a" / "replica-4"
    two = run("cell", "recover", "--from", str(survivor), "--data", str(tmp_path / "b"), *arguments)
    assert two.exit_code == 0 and "is lost" in two.output and "do not come back" in two.output
    assert machine_of_directory(tmp_path / "b" / "replica-1").machine.node("/a/b") is not None


def test_recover_asks_before_it_does_anything(backup: Path, tmp_path: Path) -> None:
    """No answer is a no."""
    data = tmp_path / "data"
    asked = run("cell", "recover", "--from", str(backup), "--config", str(LOCAL), "--data", str(data))
    assert asked.exit_code == 64 and "Say --yes to go on" in asked.stderr
    assert not data.exists()


def test_recover_wants_the_directory_of_one_replica(tmp_path: Path) -> None:
    """The folder above it is a likely slip; nothing is put into it."""
    before = tree(tmp_path)
    refused = run("cell", "recover", "--yes", "--from", str(tmp_path), "--config", str(LOCAL), "--data", "unused")
    assert refused.exit_code == 74 and f"name one, such as {tmp_path}/replica-1" in refused.stderr
    assert tree(tmp_path) == before and not Path("unused").exists()


def test_a_tar_holds_every_file_where_one_expects_it(tmp_path: Path) -> None:
    """A node with content and children is a directory with `.contents`."""
    path = tmp_path / "cell.tar"
    path.write_bytes(b"".join(tar_of(lived(), LABEL)))
    with tarfile.open(path) as archive:
        names = {member.name: member for member in archive}
        assert set(names) == {"local", "local/acl", "local/a", "local/a/.contents", "local/a/b", "local/e"}
        assert names["local/a"].isdir()
        contents = archive.extractfile("local/a/.contents")
        assert contents is not None and contents.read() == b"both"
        assert names["local/a/b"].pax_headers["SCHILY.xattr.user.chubby.attributes"] == '{"k":"dg=="}'


def test_an_interrupted_backup_leaves_nothing(tmp_path: Path) -> None:
    """Neither a half file under the right name nor its beginnings beside it."""

    def breaks() -> list[bytes]:
        raise KeyboardInterrupt

    def portions() -> object:
        yield b"begun"
        yield from breaks()

    store = Store(str(tmp_path / "b.chubby"))
    with pytest.raises(KeyboardInterrupt):
        store.write(portions())  # type: ignore[arg-type]  # a generator that never ends well
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """An export into one would end beside its name."""
    with pytest.raises(BadArgument, match="is a folder"):
        Store(str(tmp_path)).write([b"x"])
    assert tree(tmp_path) == {}


def test_whatever_a_driver_raises_is_the_store_refusing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Object stores have errors of their own, as for missing credentials. What the portions raise passes as it is."""
    store = Store("memory://bucket/name")

    class NoCredentials(Exception):
        """Of a driver."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise NoCredentials("Unable to locate credentials")

    monkeypatch.setattr(MemoryFileSystem, "isdir", refuse)
    with pytest.raises(StorageFailed, match="writing memory://bucket/name: Unable to locate credentials"):
        store.write([b"x"])
    with pytest.raises(ZeroDivisionError):
        Store(str(tmp_path / "b")).write(bytes(1 // zero) for zero in (0,))
    assert tree(tmp_path) == {}


def test_only_backups_of_the_cell_are_candidates_for_pruning(tmp_path: Path) -> None:
    """Others in the folder are left alone."""
    for name in ("local-20260101T000000Z.chubby", "local-20260102T000000Z.chubby", "other-20260101T000000Z.chubby"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "local-notes.txt").write_bytes(b"")
    assert Store(str(tmp_path)).backups("local") == ["local-20260101T000000Z.chubby", "local-20260102T000000Z.chubby"]


def test_urls_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    """A missing file, an unknown kind of URL."""
    with pytest.raises(StorageFailed, match="none"):
        list(Store(str(tmp_path / "none")).read())
    with pytest.raises(BadArgument, match="nosuch"):
        Store("nosuch://bucket/name")


def test_a_cell_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """Exit code 69, and no file."""
    result = run("backup", "export", str(tmp_path / "b"), "--address", "127.0.0.1:1")
    assert result.exit_code == 69
    assert "127.0.0.1:1" in result.stderr and not (tmp_path / "b").exists()
