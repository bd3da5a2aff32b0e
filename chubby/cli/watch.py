"""`chubby watch`: a line for each change."""

from __future__ import annotations

import contextlib

import click

from chubby import paths
from chubby.cli import exits
from chubby.cli.options import Connection, Target, connection_options, json_option
from chubby.cli.output import emit_json_line, note
from chubby.cli.ports import CellSession
from chubby.cli.program import examples
from chubby.cli.session import with_session
from chubby.types.events import Event, EventKind
from chubby.types.identity import Revision
from chubby.types.words import EVENT_WORDS


@click.command(
    "watch",
    epilog=examples(
        "chubby watch /ls/local/svc",
        "chubby watch --recursive --since 1200 /ls/local",
        "chubby watch --count 1 /svc/config && systemctl reload app",
        "chubby watch --json /svc | while read -r event; do ...; done",
    ),
)
@click.argument("name", metavar="PATH")
@click.option("--recursive", is_flag=True, help="The whole subtree, not only PATH and its children.")
@click.option("--since", type=click.IntRange(min=0), metavar="REVISION", help="Begin with what changed after REVISION.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@json_option
@connection_options
def watch_command(
    connection: Connection, name: str, recursive: bool, since: Revision | None, count: int | None, as_json: bool
) -> int:
    """Print a line for each change of PATH and its children, until Ctrl-C: revision, what happened, name.

    PATH need not exist. No change is lost or told twice, whatever happens to the master; where the history no longer
    reaches back far enough a line says RESYNC: read again what you rely on. --timeout is for the beginning alone. Exit
    code 69 if the session expires; go on from there with --since.
    """
    target = connection.target(name)

    async def main(session: CellSession) -> int:
        note(f"watching {target.name}; Ctrl-C ends it")
        left = count
        async with contextlib.aclosing(session.watch(target.path, since)) as events:
            async for event in events:
                if event.kind not in EVENT_WORDS or not concerns(event, target.path, recursive):
                    continue
                _show(event, target, as_json)
                left = left - 1 if left is not None else None
                if left == 0:
                    break
        return exits.OK

    return with_session(connection, target.cell, main)


def concerns(event: Event, path: str, recursive: bool) -> bool:
    """Whether the event, of the subtree of `path`, is about what was asked for: the node and its children, or all."""
    if recursive or event.kind is EventKind.RESYNC or event.path == path:
        return True
    return event.path != paths.ROOT and paths.parent(event.path) == path


def line_of(event: Event, cell: str) -> str:
    """The line for a person."""
    name = paths.full_name(cell, event.path) if event.path else ""
    return f"{event.revision or '-'}\t{EVENT_WORDS[event.kind]}\t{name}".rstrip()


def _show(event: Event, target: Target, as_json: bool) -> None:
    if as_json:
        emit_json_line(
            {
                "event": event.kind.name.lower(),
                "name": paths.full_name(target.cell, event.path) if event.path else None,
                "revision": event.revision,
                "instance": event.instance,
                "generation": event.generation,
            }
        )
    else:
        click.echo(line_of(event, target.cell))
