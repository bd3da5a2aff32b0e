"""`chubby cell`: whole cells on this machine."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from chubby.cli.cell_start import directories_of, format_if_new, start
from chubby.cli.exits import NO
from chubby.cli.program import LazyGroup
from chubby.config.load import load_cell
from chubby.daemon.founding import format_replica
from chubby.storage.directory import DataDirectory
from chubby.storage.files import OsFiles

CONFIG_OPTION = click.option(
    "--config",
    "config_file",
    default=Path("cell_config/local.toml"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The cell's configuration file.",
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
@click.pass_context
def start_command(context: click.Context, config_file: Path, data: Path | None) -> None:
    """Start all replicas of a cell on this machine and show them until Ctrl-C.

    A cell whose data directories are all empty is formatted first. Ctrl-C stops all replicas in good order. When
    not on a terminal, one line is printed for each change.
    """
    context.exit(start(load_cell(config_file), data, Console()))


@cell.command("format")
@CONFIG_OPTION
@DATA_OPTION
@click.option("--replica", type=int, help="Format this replica alone; needs --cell-id.")
@click.option(
    "--cell-id", help="The number of the cell, the same for all its replicas; printed when the first one is formatted."
)
@click.pass_context
def format_command(
    context: click.Context, config_file: Path, data: Path | None, replica: int | None, cell_id: str | None
) -> None:
    """Make empty data directories those of a new cell.

    Without --replica all directories of the configuration are formatted, on this machine. On several machines run
    it on each, with its --replica and a common --cell-id
    (any number you draw at random once, e.g. with: python3 -c 'import secrets; print(hex(secrets.randbits(62)))').
    """
    config = load_cell(config_file)
    directories = directories_of(config, data)
    if replica is None:
        number = format_if_new(config, directories)
        if number is None:
            click.echo("chubby: some data directory is not empty; nothing was formatted", err=True)
            context.exit(NO)
        click.echo(f"formatted cell {config.name}, number {number:#x}")
        return
    if replica not in directories:
        raise click.UsageError(f"{config_file} has no replica {replica}")
    number = _number(cell_id)
    path = directories[replica]
    path.mkdir(parents=True, exist_ok=True)
    with DataDirectory(OsFiles(str(path)), replica) as directory:
        format_replica(directory, config, replica, number)
    click.echo(f"formatted replica {replica} of cell {config.name}, number {number:#x}, in {path}")


def _number(text: str | None) -> int:
    if text is None:
        raise click.UsageError("--replica needs --cell-id: all replicas of a cell must be given the same number")
    try:
        number = int(text, 0)
    except ValueError as error:
        raise click.UsageError(f"--cell-id {text} is not a number") from error
    if not 0 < number < 1 << 63:
        raise click.UsageError("--cell-id must be between 1 and 2^63 - 1")
    return number
