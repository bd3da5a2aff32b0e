"""`chubby backup schedule`: exports again and again, and keeps the newest."""

from __future__ import annotations

import datetime
from typing import NoReturn

import click

from chubby.cli.backup import export_to
from chubby.cli.backup_source import Source
from chubby.cli.backup_store import SUFFIX, Store
from chubby.cli.exits import OK
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import Json, complain, emit_json_line, note
from chubby.cli.stopping import Ended, Stop, until_signalled
from chubby.config.units import parse_duration
from chubby.errors import ChubbyError
from chubby.types.time import to_seconds


def _interval(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    """The seconds of --every."""
    try:
        interval = to_seconds(parse_duration(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if interval < 1:
        raise click.BadParameter("write at least 1s: the names of the files tell whole seconds")
    return interval


@click.command()
@click.argument("url")
@click.option(
    "--every",
    default="4h",
    show_default=True,
    callback=_interval,
    metavar="DURATION",
    help="Time between two backups, such as 30m or 4h; at most 24h.",
)
@click.option("--keep", type=click.IntRange(min=1), default=12, show_default=True, help="How many to keep.")
@json_option
@connection_options
def schedule(connection: Connection, url: str, every: float, keep: int, as_json: bool) -> int:
    """Export again and again into the folder URL, and remove all but the newest.

    Files are named CELL-TIME.chubby; others in the folder are left alone. An export that fails is reported, removes
    nothing, and is tried again at the next turn. Runs until Ctrl-C, SIGTERM or SIGHUP, which is its good end: exit
    code 0, and an export under way leaves nothing behind.
    """
    folder = Store(url)
    folder.refuse_file()

    def turns(stop: Stop) -> NoReturn:
        while True:
            _one_of_many(connection, folder, keep, as_json, stop)
            stop.pause(every)

    try:
        until_signalled(turns)
    except Ended:
        note("stopped")
    return OK


def _one_of_many(connection: Connection, folder: Store, keep: int, as_json: bool, stop: Stop) -> None:
    """One turn: export, and if that went well remove what is too many."""
    try:
        cell = _cell_name(connection, stop)
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f"{cell}-{stamp}{SUFFIX}"
        written, _ = export_to(connection, folder.below(name), "backup", stop)
    except ChubbyError as error:
        complain(f"this backup failed, the next turn tries again: {error}")
        return
    _tell(as_json, {"name": name, "bytes": written}, f"{name}: {written} bytes")
    try:
        older = [each for each in folder.backups(cell) if each != name]  # the clock may have been put back
        for old in older[: max(len(older) - keep + 1, 0)]:
            folder.below(old).remove()
            _tell(as_json, {"name": old, "removed": True}, f"{old}: removed")
    except ChubbyError as error:
        complain(f"older backups could not be removed: {error}")


def _tell(as_json: bool, value: Json, line: str) -> None:
    if as_json:
        emit_json_line(value)
    else:
        click.echo(line)


def _cell_name(connection: Connection, stop: Stop) -> str:
    with Source(connection.find().addresses, connection.timeout, stop) as source:
        return source.status.cell
