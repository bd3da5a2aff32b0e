"""`chubby cell recover`: a new cell after a quorum is gone for good."""

from __future__ import annotations

import time
from pathlib import Path

import click

from chubby.cli.backup import load_backup, refuse_occupied
from chubby.cli.cell import CONFIG_OPTION, DATA_OPTION, texts
from chubby.cli.cell_start import directories_of
from chubby.cli.options import cell_of, json_option
from chubby.cli.output import emit_json, wall_time
from chubby.cli.standard_input import confirm
from chubby.config import check_bootstrap
from chubby.daemon.founding import fresh_number
from chubby.daemon.restoring import floor_at, found_cell, machine_of_directory
from chubby.errors import CorruptData
from chubby.namespace.machine import Machine
from chubby.storage.directory import CURRENT


@click.command()
@click.option(
    "--from", "source", required=True, metavar="DIR|BACKUP", help="A surviving replica's directory, or a backup."
)
@CONFIG_OPTION
@DATA_OPTION
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def recover(source: str, config_file: Path | None, data: Path | None, yes: bool, as_json: bool) -> None:
    """Make a new cell from what is left when a majority of the old one is lost for good.

    As long as a majority can be brought back, do that instead: nothing is lost then. Choose the surviving replica that
    was furthest on (`chubby status` or its log says how far). The new cell has a new number; sessions, locks and
    ephemeral files are gone; what the old cell acknowledged and this source never heard of is lost.

    The source stays as it is. For a cell on several machines copy each new directory to its machine.
    """
    config = cell_of(config_file)
    check_bootstrap(config)
    directories = directories_of(config, data)
    refuse_occupied(directories)
    machine, told = _look(source)
    if not as_json:
        for line in told:
            click.echo(line)
    if not yes:
        confirm("Make a new cell from this?")
    number, floor = fresh_number(), floor_at(int(time.time()))
    born = found_cell(machine, config, directories, number, floor)
    if as_json:
        made = {"cell": config.name, "cell_id": number, "floor": floor, "nodes": born.node_count}
        emit_json({**made, "directories": texts(directories), "told": told})
        return
    click.echo(f"made cell {config.name}, number {number:#x}, with {born.node_count} nodes in:")
    for path in directories.values():
        click.echo(f"  {path}")
    click.echo("start it as usual; never start a replica of the old cell beside it")


def _look(source: str) -> tuple[Machine, list[str]]:
    """The state in `source`, and what to tell of it."""
    if Path(source).is_dir():
        if not (Path(source) / CURRENT).is_dir():
            raise CorruptData(f"{source} is no replica's directory; name one, such as {Path(source) / 'replica-1'}")
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
