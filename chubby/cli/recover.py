"""`chubby cell recover`: a new cell after a quorum is gone for good."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import click

from chubby.cli.backup import load_backup
from chubby.cli.cell import CONFIG_OPTION, DATA_OPTION
from chubby.cli.cell_start import directories_of
from chubby.cli.output import wall_time
from chubby.config.load import load_cell
from chubby.daemon.restoring import floor_at, found_cell, machine_of_directory
from chubby.namespace.machine import Machine


@click.command()
@click.option(
    "--from", "source", required=True, metavar="DIR|BACKUP", help="A surviving replica's directory, or a backup."
)
@CONFIG_OPTION
@DATA_OPTION
@click.option("--yes", is_flag=True, help="Do not ask.")
def recover(source: str, config_file: Path, data: Path | None, yes: bool) -> None:
    """Make a new cell from what is left when a majority of the old one is lost for good.

    As long as a majority can be brought back, do that instead: nothing is lost then. Choose the surviving replica
    that was furthest on (`chubby status` or its log says how far). The
    new cell has a new number; sessions, locks and ephemeral files are gone; what the old cell acknowledged and
    this source never heard of is lost.
    """
    config = load_cell(config_file)
    machine, told = _look(source)
    for line in told:
        click.echo(line)
    if not yes:
        click.confirm("make a new cell from this?", abort=True)
    number, floor = secrets.randbits(62) + 1, floor_at(int(time.time()))
    directories = directories_of(config, data)
    born = found_cell(machine, config, directories, number, floor)
    click.echo(f"made cell {config.name}, number {number:#x}, with {born.node_count} nodes in:")
    for path in directories.values():
        click.echo(f"  {path}")
    click.echo("start it as usual; never start a replica of the old cell beside it")


def _look(source: str) -> tuple[Machine, list[str]]:
    """The state in `source`, and what to tell of it."""
    if Path(source).is_dir():
        found = machine_of_directory(Path(source))
        machine = found.machine
        lines = [
            f"{source}: state of cell {machine.name} up to slot {found.applied}, revision {machine.revision}, "
            f"{machine.node_count} nodes",
            "whatever the old cell acknowledged after that is lost",
        ]
        if found.unconfirmed:
            lines.append(
                f"the last {found.unconfirmed} slots were accepted but not known to be chosen: "
                "some of it may never have been acknowledged"
            )
    else:
        label, machine, slot = load_backup(source)
        lines = [
            f"{source}: backup of cell {label.cell} of {wall_time(label.created_ms)}, slot {slot}, "
            f"revision {machine.revision}, {machine.node_count} nodes",
            "everything that the old cell acknowledged after the backup is lost",
        ]
    lines.append(
        f"sessions ({machine.session_count}), locks ({machine.lock_count}) and ephemeral files do not come back to life"
    )
    return machine, lines
