"""`chubby ls`, `tree`, `cat`, `stat`: looking at nodes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import msgspec

from chubby import paths
from chubby.cli import exits
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import (
    Json,
    contents_json,
    emit_json,
    emit_table,
    kind_letter,
    on_terminal,
    printable,
    stat_json,
    wall_time,
)
from chubby.cli.ports import CellSession
from chubby.cli.program import examples
from chubby.cli.session import with_session
from chubby.cli.trees import children_or_none, read
from chubby.types.nodes import DirEntry, NodeKind, Stat
from chubby.types.transaction import Read

_LONG = ("kind", "bytes", "generation", "revision", "modified", "name")
_NUMBERS = ("bytes", "generation", "revision")


@click.command(
    "ls", epilog=examples("chubby ls", "chubby ls -l /ls/local/svc", "chubby ls --json /svc | jq -r '.[].name'")
)
@click.argument("name", metavar="[PATH]", default=paths.ROOT)
@click.option("-l", "long", is_flag=True, help="Show kind (d directory, e ephemeral), size, generation, times.")
@json_option
@connection_options
def ls_command(connection: Connection, name: str, long: bool, as_json: bool) -> int:
    """List the children of a node, by default of the cell's root.

    A file without children is listed itself. In JSON each child is as `chubby stat --json` shows it.
    """
    target = connection.target(name)

    async def main(session: CellSession) -> int:
        entries = await session.children(target.path)
        if not entries:
            _, stat = await read(session, target.path)
            entries = [DirEntry(target.name, stat)] if stat.kind is NodeKind.FILE else []
        if as_json:
            base = target.name
            named = [(e.name if e.name == base else f"{base}/{e.name}", e.stat) for e in entries]
            emit_json([stat_json(each, stat) for each, stat in named])
        elif long:
            if entries:
                emit_table(_LONG, [_long(entry) for entry in entries], _NUMBERS)
        else:
            for entry in entries:
                click.echo(entry.name)
        return exits.OK

    return with_session(connection, target.cell, main)


class Twig(msgspec.Struct):
    """A node and what is below it."""

    name: str
    stat: Stat
    below: list[Twig] = []


@click.command("tree", epilog=examples("chubby tree", "chubby tree --depth 2 /ls/local/svc"))
@click.argument("name", metavar="[PATH]", default=paths.ROOT)
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Go down at most N levels.")
@json_option
@connection_options
def tree_command(connection: Connection, name: str, depth: int | None, as_json: bool) -> int:
    """Show a node and everything below it.

    Each listing is consistent in itself; nodes made or deleted meanwhile may or may not be shown.
    """
    target = connection.target(name)

    async def grow(session: CellSession, path: str, left: int) -> list[Twig]:
        twigs = []
        for entry in await children_or_none(session, path) if left else []:
            below = await grow(session, paths.join(path, entry.name), left - 1)
            twigs.append(Twig(entry.name, entry.stat, below))
        return twigs

    async def main(session: CellSession) -> int:
        _, stat = await read(session, target.path)
        below = await grow(session, target.path, depth if depth is not None else -1)
        whole = Twig(target.name, stat, below)
        if as_json:
            emit_json(_twig_json(whole))
        else:
            click.echo(whole.name)
            for line in draw(whole.below):
                click.echo(line)
        return exits.OK

    return with_session(connection, target.cell, main)


@click.command("cat", epilog=examples("chubby cat /ls/local/svc/addr", "chubby cat --json /svc/addr | jq .generation"))
@click.argument("names", metavar="PATH...", nargs=-1, required=True)
@json_option
@connection_options
def cat_command(connection: Connection, names: tuple[str, ...], as_json: bool) -> int:
    """Write the contents of nodes to standard output, byte by byte.

    All of them are read in one transaction. On a terminal a newline is added where there is none.
    """
    targets = connection.targets(names)

    async def main(session: CellSession) -> int:
        result = await session.transact((), [Read(target.path) for target in targets])
        for target, each in zip(targets, result.results, strict=True):
            assert each.contents is not None and each.stat is not None, "a Read gives both"
            if as_json:
                emit_json({**stat_json(target.name, each.stat), **contents_json(each.contents)})
            else:
                click.echo(each.contents, nl=on_terminal(sys.stdout) and not each.contents.endswith(b"\n"))
        return exits.OK

    return with_session(connection, targets[0].cell, main)


@click.command("stat", epilog=examples("chubby stat /ls/local/svc/addr", "chubby stat --json /svc/addr"))
@click.argument("names", metavar="PATH...", nargs=-1, required=True)
@json_option
@connection_options
def stat_command(connection: Connection, names: tuple[str, ...], as_json: bool) -> int:
    """Show the metadata of nodes."""
    targets = connection.targets(names)

    async def main(session: CellSession) -> int:
        result = await session.transact((), [Read(target.path) for target in targets])
        stats = [(target.name, each.stat) for target, each in zip(targets, result.results, strict=True)]
        shapes = [stat_json(name, stat) for name, stat in stats if stat is not None]
        if as_json:
            emit_json(shapes if len(shapes) > 1 else shapes[0])
        else:
            for index, shape in enumerate(shapes):
                if index:
                    click.echo()
                for line in _stat_lines(shape):
                    click.echo(line)
        return exits.OK

    return with_session(connection, targets[0].cell, main)


def draw(twigs: list[Twig], indent: str = "") -> Iterator[str]:
    """The lines of a tree."""
    for index, twig in enumerate(twigs):
        last = index == len(twigs) - 1
        yield f"{indent}{'└── ' if last else '├── '}{twig.name}"
        yield from draw(twig.below, indent + ("    " if last else "│   "))


def _long(entry: DirEntry) -> list[str]:
    stat = entry.stat
    modified = wall_time(stat.modified_ms) or "-"
    numbers = [str(stat.length), str(stat.content_generation), str(stat.modified)]
    return [kind_letter(stat), *numbers, modified, entry.name]


def _twig_json(twig: Twig) -> Json:
    return {**stat_json(twig.name, twig.stat), "children": [_twig_json(each) for each in twig.below]}


def _stat_lines(shape: Json) -> Iterator[str]:
    for key, value in shape.items():
        if isinstance(value, dict):
            parts = (f"{name}={_plain(each)}" for name, each in value.items())
            text = " ".join(parts) or "-"
        else:
            text = _plain(value)
        yield f"{key.replace('_', ' ') + ':':<20} {text}"


def _plain(value: object) -> str:
    if isinstance(value, dict):  # an attribute's value
        return next((printable(str(each)) for each in value.values()), "")
    if value is None:
        return "-"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
