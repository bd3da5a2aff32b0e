"""`chubby status`: the cell as all its replicas see it."""

from __future__ import annotations

import click

from chubby.cli import exits
from chubby.cli.asking import ask_all
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import complain, emit_json, emit_table, styled
from chubby.cli.program import examples
from chubby.cli.running import Signals, run
from chubby.cli.status_view import HEADER, NUMBERS, Picture, picture_of


@click.command(
    "status",
    epilog=examples(
        "chubby status",
        "chubby status --json | jq .margin",
        "chubby status --address 10.0.0.1:7201",
    ),
)
@json_option
@connection_options
def status_command(connection: Connection, as_json: bool) -> int:
    """Show the replicas, the master, how many more replicas may fail, and how full the cell is.

    Every replica is asked for itself, so this works without a master. The replica marked * is master; `slots` is how
    far its log is chosen, `lag` how many slots it is behind, `heard` how long ago the master heard it.

    Exit code 0 if the cell serves, 69 if it has no master or no quorum.
    """

    async def main(_signals: Signals) -> int:
        found = connection.find()
        answers, errors = await ask_all(found.addresses, connection.timeout)
        picture = picture_of(answers, errors)
        if picture is None:
            reasons = "; ".join(f"{address}: {reason}" for address, reason in errors.items())
            complain(f"no replica of the cell {found.cell} answers ({reasons}); addresses from {found.origin}")
            return exits.UNAVAILABLE
        if as_json:
            emit_json(picture.json())
        else:
            _show(picture)
        return exits.OK if picture.serving else exits.UNAVAILABLE

    return run(main)


def _show(picture: Picture) -> None:
    click.echo(picture.headline())
    click.echo(picture.figures())
    click.echo(picture.usage())
    click.echo()
    emit_table(HEADER, picture.rows(), NUMBERS)
    for warning in picture.warnings:
        click.echo(styled(f"warning: {warning}", fg="yellow"))
