"""`chubby backup`: snapshots of a running cell to any store, and new cells from them."""

from __future__ import annotations

import datetime
import io
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from chubby import __version__
from chubby.cli.backup_source import Source
from chubby.cli.backup_store import SUFFIX, Store
from chubby.cli.backup_tar import tar_of
from chubby.cli.cell import CONFIG_OPTION, DATA_OPTION
from chubby.cli.cell_start import directories_of
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import complain, emit_json, note, wall_time
from chubby.config.load import load_cell
from chubby.config.units import parse_duration
from chubby.daemon.restoring import floor_at, found_cell
from chubby.errors import BadArgument, ChubbyError
from chubby.namespace.machine import Machine
from chubby.storage.backup_format import BackupLabel, BackupReader, encode_backup
from chubby.storage.snapshot_format import SnapshotParser
from chubby.types.time import to_seconds


@click.group()
def backup() -> None:
    """Export, inspect, verify, restore and schedule backups.

    URL is a path or any URL that fsspec understands (s3://bucket/name and gs://bucket/name need their packages
    s3fs, gcsfs). A backup is one zstd-compressed file; `zstd -d` turns
    it into a snapshot file as replicas keep them.
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
    written, label = _export(connection, Store(url), kind)
    if as_json:
        emit_json({"url": url, "cell": label.cell, "bytes": written, "created_at": wall_time(label.created_ms)})
    else:
        click.echo(f"{url}: {written} bytes")


def _export(connection: Connection, store: Store, kind: str) -> tuple[int, BackupLabel]:
    addresses = connection.find().addresses
    with Source(addresses) as source, _progress() as progress:
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
            click.echo(f"{name:12} {value}")


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
@click.option("--cell-id", type=int, help="The number of the new cell, as the first restore printed it.")
@click.option("--floor", type=int, help="The floor of the new cell's counters, as the first restore printed it.")
def restore(
    url: str, config_file: Path, data: Path | None, replica: int | None, cell_id: int | None, floor: int | None
) -> None:
    """Make the data directories of a new cell from a backup.

    The cell gets a new number. Sessions, locks and ephemeral files of the old one do not come back to life, and
    all counters start above any the old cell can have used, so
    that old fencing tokens stay below new ones. For a cell on several machines run it on each with --replica and
    the --cell-id and --floor that the first run printed.
    """
    config = load_cell(config_file)
    directories = directories_of(config, data)
    if replica is not None:
        if replica not in directories:
            raise click.UsageError(f"{config_file} has no replica {replica}")
        if cell_id is None or floor is None:
            raise click.UsageError("--replica needs --cell-id and --floor: all replicas must be given the same")
        directories = {replica: directories[replica]}
    label, machine, _ = load_backup(url)
    number = cell_id if cell_id is not None else secrets.randbits(62) + 1
    counter_floor = floor if floor is not None else floor_at(int(time.time()))
    born = found_cell(machine, config, directories, number, counter_floor)
    click.echo(f"restored {born.node_count} nodes of cell {label.cell}, backup of {wall_time(label.created_ms)}")
    click.echo(f"into cell {config.name}, replicas {', '.join(map(str, directories))}")
    click.echo(f"other machines: --cell-id {number} --floor {counter_floor}")


@backup.command()
@click.argument("url")
@click.option("--every", default="4h", show_default=True, help="Time between two backups, as 30m, 4h, 1d.")
@click.option("--keep", type=click.IntRange(min=1), default=12, show_default=True, help="How many to keep.")
@connection_options
def schedule(connection: Connection, url: str, every: str, keep: int) -> None:
    """Export again and again into the folder URL, and remove all but the newest.

    Files are named CELL-TIME.chubby; others in the folder are left alone. A failed export is reported and tried
    again at the next turn. Runs until Ctrl-C or SIGTERM.
    """
    interval = to_seconds(parse_duration(every))
    if interval <= 0:
        raise BadArgument("--every must be more than nothing")
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    folder = Store(url)
    while not stop.is_set():
        try:
            _one_of_many(connection, folder, keep)
        except ChubbyError as error:
            complain(f"this backup failed, the next one comes in {every}: {error}")
        stop.wait(interval)
    note("stopped")


def _one_of_many(connection: Connection, folder: Store, keep: int) -> None:
    cell = _cell_name(connection)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"{cell}-{stamp}{SUFFIX}"
    written, _ = _export(connection, folder.below(name), "backup")
    click.echo(f"{name}: {written} bytes")
    for old in folder.backups(cell)[:-keep]:
        folder.below(old).remove()
        click.echo(f"{old}: removed")


def _cell_name(connection: Connection) -> str:
    with Source(connection.find().addresses) as source:
        return source.status.cell


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
