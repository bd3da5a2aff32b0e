"""`chubby put`, `mkdir`, `rm`: changing nodes."""

from __future__ import annotations

import click

from chubby.cli import exits, standard_input
from chubby.cli.options import Connection, Target, connection_options, json_option
from chubby.cli.output import complain, emit_json, note, stat_json
from chubby.cli.ports import CellSession
from chubby.cli.program import examples
from chubby.cli.session import with_session
from chubby.cli.trees import ensure_parents, make_directory, put, remove, write_if
from chubby.errors import NoNode
from chubby.types.transaction import TransactionResult

STDIN = "-"


@click.command(
    "put",
    epilog=examples(
        "chubby put /ls/local/svc/addr 10.0.0.7:80",
        "chubby put /svc/config - < config.toml",
        "chubby put /svc/addr 10.0.0.8:80 --if-generation 3",
        "chubby put /svc/members/$HOSTNAME up --ephemeral",
    ),
)
@click.argument("name", metavar="PATH")
@click.argument("value", metavar="[VALUE|-]", required=False)
@click.option("--if-generation", "generation", type=int, metavar="G", help="Only if the content generation is G.")
@click.option("--create-only", is_flag=True, help="Only if the node is not there yet.")
@click.option(
    "--ephemeral",
    is_flag=True,
    help="Make an ephemeral node, and keep running: it is deleted when this command ends (Ctrl-C) or dies.",
)
@click.option("--no-parents", is_flag=True, help="Refuse if the parent is missing, instead of making it.")
@json_option
@connection_options
def put_command(
    connection: Connection,
    name: str,
    value: str | None,
    generation: int | None,
    create_only: bool,
    ephemeral: bool,
    no_parents: bool,
    as_json: bool,
) -> int:
    """Set the content of a node, whole and atomically; make the node, and its parents, if they are missing.

    VALUE is taken as it is, without a newline; `-` or no VALUE reads standard input. Exit code 1 if the node has
    another generation, or exists already.
    """
    if generation is not None and (create_only or ephemeral):
        raise click.UsageError("--if-generation is for a node that exists; it goes with neither of the other two")
    target = connection.target(name)
    contents = _contents(value)

    async def main(session: CellSession) -> int:
        if ephemeral:
            return await _keep(session, target, contents, create_only, not no_parents, as_json)
        if generation is not None:
            result = await write_if(session, target.path, contents, generation)
        else:
            result = await put(session, target.path, contents, create_only=create_only, parents=not no_parents)
        if as_json:
            _show(target, result)
        return exits.OK

    return with_session(connection, target.cell, main)


@click.command("mkdir", epilog=examples("chubby mkdir /ls/local/svc", "chubby mkdir -p /svc/a/b /svc/c"))
@click.argument("names", metavar="PATH...", nargs=-1, required=True)
@click.option("-p", "--parents", is_flag=True, help="Make missing parents too; it is fine if PATH exists.")
@json_option
@connection_options
def mkdir_command(connection: Connection, names: tuple[str, ...], parents: bool, as_json: bool) -> int:
    """Make directories. (Any node may have children and content; `directory` is what listings and mounts call it.)"""
    targets = connection.targets(names)

    async def main(session: CellSession) -> int:
        for target in targets:
            result = await make_directory(session, target.path, parents=parents)
            if as_json:
                _show(target, result)
        return exits.OK

    return with_session(connection, targets[0].cell, main)


@click.command("rm", epilog=examples("chubby rm /ls/local/svc/addr", "chubby rm -r /svc"))
@click.argument("names", metavar="PATH...", nargs=-1, required=True)
@click.option("-r", "recursive", is_flag=True, help="Delete everything below as well, children first.")
@click.option("-f", "force", is_flag=True, help="It is fine if PATH does not exist.")
@json_option
@connection_options
def rm_command(connection: Connection, names: tuple[str, ...], recursive: bool, force: bool, as_json: bool) -> int:
    """Delete nodes. A node with children is refused without -r.

    Whoever waits for the lock of a deleted node is told that it is gone. A subtree goes in batches, not in one step.
    """
    targets = connection.targets(names)

    async def main(session: CellSession) -> int:
        for target in targets:
            try:
                count = await remove(session, target.path, recursive=recursive)
            except NoNode:
                if not force:
                    raise
                count = 0
            if as_json:
                emit_json({"name": target.name, "deleted": count})
        return exits.OK

    return with_session(connection, targets[0].cell, main)


async def _keep(
    session: CellSession, target: Target, contents: bytes, create_only: bool, parents: bool, as_json: bool
) -> int:
    """Make the node ephemeral, and stay until it is lost or we are asked to end."""
    if parents:
        await ensure_parents(session, target.path)
    node = await session.keep(target.path, contents, create_only)
    try:
        if as_json:
            emit_json({"name": target.name, "ephemeral": True})
        note(f"{target.name} is there until this command ends; Ctrl-C ends it")
        why = await node.lost()
    finally:
        await node.close()
    complain(f"{target.name} is not ours any more: {why}")
    return exits.UNAVAILABLE


def _contents(value: str | None) -> bytes:
    if value is not None and value != STDIN:
        return value.encode(errors="surrogateescape")
    if value is None and standard_input.is_terminal():
        raise click.UsageError("give a VALUE, or - to type it and end it with Ctrl-D")
    return standard_input.read_all()


def _show(target: Target, result: TransactionResult) -> None:
    last = result.results[-1]
    assert last.stat is not None, "the node is there"
    emit_json({**stat_json(target.name, last.stat), "revision": result.revision, "was_created": last.created})
