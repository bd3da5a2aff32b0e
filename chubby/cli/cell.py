"""`chubby cell`: whole cells on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console

from chubby.cli.cell_start import directories_of, format_if_new, occupied, start
from chubby.cli.exits import NO, OK
from chubby.cli.options import CELL_NUMBER, cell_of, json_option
from chubby.cli.output import complain, emit_json
from chubby.cli.program import LazyGroup
from chubby.config import CellConfig, check_bootstrap
from chubby.daemon.founding import format_replica
from chubby.storage.directory import DataDirectory
from chubby.storage.files import OsFiles
from chubby.types.identity import CellId, ReplicaId

CONFIG_OPTION = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The cell's configuration file. [default: CHUBBY_CONFIG, CHUBBY_CELL, ./cell_config/local.toml, ...]",
)
DATA_OPTION = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the data in DATA/replica-N instead of where the configuration says.",
)


@click.group(cls=LazyGroup, places={"recover": "chubby.cli.recover:recover"})
def cell() -> None:
    """Start, format and recover cells on this machine."""


@cell.command("start")
@CONFIG_OPTION
@DATA_OPTION
@click.option(
    "--mount",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Show the cell as the directory DIR, which is made if need be.",
)
@json_option
def start_command(config_file: Path | None, data: Path | None, mount: Path | None, as_json: bool) -> int:
    """Start all replicas of a cell on this machine and show them until Ctrl-C.

    A cell whose data directories are all empty is formatted first. Ctrl-C stops all replicas in good order. When
    not on a terminal, or with --json, one line is printed for each change.

    Exit code 0 when stopped so, 1 if all replicas ended by themselves.
    """
    return start(cell_of(config_file), data, Console(), as_json, mount)


@cell.command("format")
@CONFIG_OPTION
@DATA_OPTION
@click.option("--replica", type=int, help="Format this replica alone; needs --cell-id.")
@click.option(
    "--cell-id",
    type=CELL_NUMBER,
    help="The number of the cell, the same for all its replicas; printed when the first one is formatted.",
)
@json_option
def format_command(
    config_file: Path | None, data: Path | None, replica: int | None, cell_id: int | None, as_json: bool
) -> int:
    """Make empty data directories those of a new cell.

    Without --replica all directories of the configuration are formatted, on this machine. On several machines run it on
    each, with its --replica and a common --cell-id: any large number, drawn at random once.
    """
    config = cell_of(config_file)
    directories = directories_of(config, data)
    if replica is not None:
        directories = {replica: one_of(directories, replica, config)}
        if cell_id is None:
            raise click.UsageError("--replica needs --cell-id: all replicas of a cell must be given the same number")
    elif cell_id is not None:
        raise click.UsageError("--cell-id is for one --replica; a cell that is formatted as a whole draws its own")
    taken = occupied(directories)
    number = None if taken else _format(config, directories, cell_id)
    if number is None:
        complain(f"{taken} is not empty; nothing was formatted")
        return NO
    if as_json:
        emit_json({"cell": config.name, "cell_id": number, "directories": texts(directories)})
    else:
        whose = f"replica {replica} of cell" if replica is not None else "cell"
        where = f", in {directories[replica]}" if replica is not None else ""
        click.echo(f"formatted {whose} {config.name}, number {number:#x}{where}")
    return OK


def one_of(directories: Mapping[ReplicaId, Path], replica: ReplicaId, config: CellConfig) -> Path:
    """The directory of `replica`. Raises UsageError if the configuration has no such replica."""
    if replica not in directories:
        raise click.UsageError(f"{config.source} has no replica {replica}")
    return directories[replica]


def texts(directories: Mapping[ReplicaId, Path]) -> dict[str, str]:
    """The directories as JSON has them."""
    return {str(replica): str(path) for replica, path in directories.items()}


def _format(config: CellConfig, directories: dict[ReplicaId, Path], cell_id: CellId | None) -> CellId | None:
    """Format the one directory for `cell_id`, or all for a new cell; None if that turns out not to be possible."""
    if cell_id is None:
        return format_if_new(config, directories)
    check_bootstrap(config)
    for replica, path in directories.items():
        with DataDirectory(OsFiles(str(path)), replica) as directory:
            format_replica(directory, config, replica, cell_id)
    return cell_id
