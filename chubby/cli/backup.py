"""`chubby backup`: snapshots of a running cell to any store, and new cells from them."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from chubby import __version__
from chubby.cli.backup_source import Source
from chubby.cli.backup_store import Store
from chubby.cli.backup_tar import tar_of
from chubby.cli.cell import CONFIG_OPTION, DATA_OPTION, one_of, texts
from chubby.cli.cell_start import directories_of, occupied
from chubby.cli.options import CELL_NUMBER, Connection, Whole, cell_of, connection_options, json_option
from chubby.cli.output import complain, emit_json, wall_time
from chubby.cli.program import LazyGroup
from chubby.cli.stopping import Stop, until_signalled
from chubby.config import check_bootstrap
from chubby.daemon.founding import fresh_number
from chubby.daemon.restoring import floor_at, found_cell
from chubby.errors import StorageFailed
from chubby.namespace.machine import Machine
from chubby.storage.backup_format import BackupLabel, BackupReader, encode_backup
from chubby.storage.snapshot_format import SnapshotParser
from chubby.types.identity import ReplicaId


@click.group(cls=LazyGroup, places={"schedule": "chubby.cli.backup_schedule:schedule"})
def backup() -> None:
    """Export, inspect, verify, restore and schedule backups.

    URL is a path or any URL that fsspec understands (s3://bucket/name and gs://bucket/name need their packages s3fs,
    gcsfs). A backup is one zstd-compressed file; `zstd -d` turns it into a snapshot file as replicas keep them.
    """


@backup.command()
@click.argument("url")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["backup", "tar"]),
    default="backup",
    show_default=True,
    help="What to write: a backup that can be restored, or an archive to look into.",
)
@json_option
@connection_options
def export(connection: Connection, url: str, kind: str, as_json: bool) -> None:
    """Write a consistent snapshot of a running cell to URL, without stopping it.

    With --format tar it is a tar archive that anyone can unpack (for reading: it cannot be restored).
    """
    written, label = until_signalled(lambda stop: export_to(connection, Store(url), kind, stop))
    if as_json:
        emit_json({"url": url, "cell": label.cell, "bytes": written, "created_at": wall_time(label.created_ms)})
    else:
        click.echo(f"{url}: {written} bytes")


def export_to(connection: Connection, store: Store, kind: str, stop: Stop) -> tuple[int, BackupLabel]:
    """Write a backup or an archive of the running cell; how many bytes, and its label. Raises ChubbyError, Ended."""
    addresses = connection.find().addresses
    with Source(addresses, connection.timeout, stop) as source, _progress() as progress:
        if not source.is_master:
            complain(f"no master is known; exporting what replica {source.status.replica} knows, which may be behind")
        task = progress.add_task(f"cell {source.status.cell}", total=None)
        label = BackupLabel(source.status.cell, source.status.cell_id, _wall_ms(), __version__)
        snapshot = source.snapshot(lambda size: progress.advance(task, size))
        if kind == "tar":
            return store.write(tar_of(_machine_of_snapshot(snapshot, source.address), label)), label
        return store.write(encode_backup(label, snapshot)), label


@backup.command()
@click.argument("url")
@json_option
def inspect(url: str, as_json: bool) -> None:
    """Say what a backup holds. All of it is read and verified on the way."""
    label, machine, slot = load_backup(url)
    facts = {
        "url": url,
        "cell": label.cell,
        "cell_id": label.cell_id,
        "created_at": wall_time(label.created_ms),
        "release": label.release,
        "slot": slot,
        "revision": machine.revision,
        "epoch": machine.epoch,
        "nodes": machine.node_count,
        "sessions": machine.session_count,
        "locks": machine.lock_count,
    }
    if as_json:
        emit_json(facts)
    else:
        for name, value in facts.items():
            click.echo(f"{name:12} {hex(label.cell_id) if name == 'cell_id' else value}")


@backup.command()
@click.argument("url")
@json_option
def verify(url: str, as_json: bool) -> None:
    """Read a backup from end to end and check everything: checksums, and that a machine can be made of it."""
    label, machine, _ = load_backup(url)
    if as_json:
        emit_json({"url": url, "valid": True, "nodes": machine.node_count})
    else:
        click.echo(f"{url}: a valid backup of cell {label.cell}, {machine.node_count} nodes")


@backup.command()
@click.argument("url")
@CONFIG_OPTION
@DATA_OPTION
@click.option("--replica", type=int, help="Restore this replica's directory alone; needs --cell-id and --floor.")
@click.option("--cell-id", type=CELL_NUMBER, help="The number of the new cell, as the first restore printed it.")
@click.option("--floor", type=Whole(0), help="The floor of the new cell's counters, as the first restore printed it.")
@json_option
def restore(
    url: str,
    config_file: Path | None,
    data: Path | None,
    replica: int | None,
    cell_id: int | None,
    floor: int | None,
    as_json: bool,
) -> None:
    """Make the data directories of a new cell from a backup.

    The cell gets a new number. Sessions, locks and ephemeral files of the old one do not come back to life, and all
    counters start above any the old cell can have used, so that old fencing tokens stay below new ones. For a cell on
    several machines run it on each with --replica and the --cell-id and --floor that the first run printed.
    """
    config = cell_of(config_file)
    check_bootstrap(config)
    directories = directories_of(config, data)
    if replica is not None:
        directories = {replica: one_of(directories, replica, config)}
        if cell_id is None or floor is None:
            raise click.UsageError("--replica needs --cell-id and --floor: all replicas must be given the same")
    label, machine, _ = load_backup(url)
    if cell_id == label.cell_id:
        raise click.UsageError(f"{cell_id:#x} is the number of the cell that was backed up; a new one gets its own")
    refuse_occupied(directories)
    number = cell_id if cell_id is not None else fresh_number()
    counter_floor = floor if floor is not None else floor_at(int(time.time()))
    born = found_cell(machine, config, directories, number, counter_floor)
    if as_json:
        emit_json(
            {
                "url": url,
                "source_cell": label.cell,
                "created_at": wall_time(label.created_ms),
                "cell": config.name,
                "cell_id": number,
                "floor": counter_floor,
                "nodes": born.node_count,
                "directories": texts(directories),
            }
        )
        return
    click.echo(f"restored {born.node_count} nodes of cell {label.cell}, backup of {wall_time(label.created_ms)}")
    click.echo(f"into cell {config.name}, replicas {', '.join(map(str, directories))}")
    click.echo(f"other machines: --cell-id {number:#x} --floor {counter_floor}")


def refuse_occupied(directories: dict[ReplicaId, Path]) -> None:
    """Raises StorageFailed, having changed nothing, unless all of `directories` are empty or not there."""
    if (taken := occupied(directories)) is not None:
        raise StorageFailed(f"{taken} is not empty; a cell is only ever restored into empty directories")


def load_backup(url: str) -> tuple[BackupLabel, Machine, int]:
    """The label, the state and its slot. Raises CorruptData, StorageFailed."""
    store = Store(url)
    with _progress() as progress:
        task = progress.add_task("reading", total=store.size())

        def portions() -> Iterator[bytes]:
            for portion in store.read():
                progress.advance(task, len(portion))
                yield portion

        reader = BackupReader(portions(), url)
        machine = Machine.restore(reader.slices())
        return reader.label, machine, reader.header.slot


def _machine_of_snapshot(snapshot: Iterator[bytes], place: str) -> Machine:
    parser = SnapshotParser(place)

    def slices() -> Iterator[bytes]:
        for data in snapshot:
            yield from parser.feed(data)
        parser.finish()

    return Machine.restore(slices())


def _progress() -> Progress:
    """A bar on stderr, if that is a terminal."""
    console = Console(stderr=True) if sys.stderr.isatty() else Console(file=io.StringIO())
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
