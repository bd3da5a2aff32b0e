"""`chubby acl`: who may read, write (and lock), and change the names; and the lists those names stand for."""

from __future__ import annotations

from collections.abc import Callable

import click

from chubby import paths
from chubby.cli import exits
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import emit_json
from chubby.cli.ports import CellSession
from chubby.cli.program import examples
from chubby.cli.session import with_session
from chubby.cli.trees import ATTEMPTS, put, read, write_if
from chubby.errors import BadArgument, GenerationMismatch, NodeExists, NoNode
from chubby.types.nodes import ANYONE, AclNames
from chubby.types.transaction import AclGenerationIs, WriteAcl

Change = Callable[[list[str]], list[str]]


@click.group("acl")
def acl() -> None:
    """Show and set access control.

    A node names three lists: who may read it, who may write and lock it, and who may change these names. A list NAME is
    the file /ls/CELL/acl/NAME, one principal a line; `anyone` is built in. Children inherit the names when they are
    made. A line that begins with # is a comment. A list that does not exist admits nobody but the admins of the
    configuration.
    """


@acl.command("show", epilog=examples("chubby acl show /ls/local/svc"))
@click.argument("name", metavar="PATH")
@json_option
@connection_options
def show_command(connection: Connection, name: str, as_json: bool) -> int:
    """Show the three names of a node."""
    target = connection.target(name)

    async def main(session: CellSession) -> int:
        _, stat = await read(session, target.path)
        shape = {"read": stat.acl.read, "write": stat.acl.write, "change": stat.acl.change}
        if as_json:
            emit_json({"name": target.name, **shape, "generation": stat.acl_generation})
        else:
            for right, list_name in shape.items():
                click.echo(f"{right + ':':<8}{list_name}")
        return exits.OK

    return with_session(connection, target.cell, main)


@acl.command("set", epilog=examples("chubby acl set /ls/local/svc --read anyone --write deployers --change admins"))
@click.argument("name", metavar="PATH")
@click.option("--read", "read_list", metavar="NAME", help="Who may read.")
@click.option("--write", "write_list", metavar="NAME", help="Who may write and lock.")
@click.option("--change", "change_list", metavar="NAME", help="Who may change the names.")
@click.option("--if-generation", "generation", type=int, metavar="G", help="Only if the ACL generation is G.")
@connection_options
def set_command(
    connection: Connection,
    name: str,
    read_list: str | None,
    write_list: str | None,
    change_list: str | None,
    generation: int | None,
) -> int:
    """Set names of a node; those not given stay. Exit code 1 if the ACL generation is another one."""
    if read_list is None and write_list is None and change_list is None:
        raise click.UsageError("give at least one of --read, --write, --change")
    target = connection.target(name)

    async def main(session: CellSession) -> int:
        for _ in range(ATTEMPTS):
            _, stat = await read(session, target.path)
            if generation not in (None, stat.acl_generation):
                raise GenerationMismatch(f"{target.path} has ACL generation {stat.acl_generation}, not {generation}")
            before = stat.acl
            names = AclNames(read_list or before.read, write_list or before.write, change_list or before.change)
            guard = AclGenerationIs(target.path, stat.acl_generation)
            if (await session.transact([guard], [WriteAcl(target.path, names)])).succeeded:
                return exits.OK
        raise GenerationMismatch(f"{target.path}: others change its ACL names at the same time; try again")

    return with_session(connection, target.cell, main)


@acl.command("list", epilog=examples("chubby acl list deployers"))
@click.argument("list_name", metavar="NAME")
@json_option
@connection_options
def list_command(connection: Connection, list_name: str, as_json: bool) -> int:
    """Show the principals of the list NAME."""
    path = _file_of(list_name)

    async def main(session: CellSession) -> int:
        contents, stat = await read(session, path)
        members = [line for line in _lines(contents, "replace") if not line.startswith("#")]
        if as_json:
            emit_json({"list": list_name, "members": members, "generation": stat.content_generation})
        else:
            for member in members:
                click.echo(member)
        return exits.OK

    return with_session(connection, None, main)


@acl.command("add", epilog=examples("chubby acl add deployers alice bob"))
@click.argument("list_name", metavar="NAME")
@click.argument("principals", metavar="PRINCIPAL...", nargs=-1, required=True)
@connection_options
def add_command(connection: Connection, list_name: str, principals: tuple[str, ...]) -> int:
    """Add principals to the list NAME; the list is made if it does not exist."""
    for principal in principals:
        if not principal.isprintable() or principal != principal.strip() or principal[:1] in ("", "#"):
            raise BadArgument(f"{principal!r} is no principal: printable, no spaces around it, no # at its beginning")
    return _edit(connection, list_name, lambda members: [*members, *(p for p in principals if p not in members)])


@acl.command("remove", epilog=examples("chubby acl remove deployers bob"))
@click.argument("list_name", metavar="NAME")
@click.argument("principals", metavar="PRINCIPAL...", nargs=-1, required=True)
@connection_options
def remove_command(connection: Connection, list_name: str, principals: tuple[str, ...]) -> int:
    """Remove principals from the list NAME."""
    return _edit(connection, list_name, lambda members: [each for each in members if each not in principals])


def _edit(connection: Connection, list_name: str, change: Change) -> int:
    """Change the list by compare-and-set, so that two who edit it at the same time both succeed."""
    path = _file_of(list_name)

    async def main(session: CellSession) -> int:
        for _ in range(ATTEMPTS):
            try:
                contents, stat = await read(session, path)
            except NoNode:
                try:
                    await put(session, path, _written(change([])), create_only=True, parents=True)
                except NodeExists:
                    continue
                return exits.OK
            lines = _lines(contents, "surrogateescape")
            try:
                if change(lines) != lines:
                    await write_if(session, path, _written(change(lines)), stat.content_generation)
            except GenerationMismatch:
                continue
            return exits.OK
        raise GenerationMismatch(f"others change the list {list_name} at the same time; try again")

    return with_session(connection, None, main)


def _file_of(list_name: str) -> str:
    if list_name == ANYONE:
        raise BadArgument(f"{ANYONE} is built in and admits everybody; it has no file")
    return paths.acl_file(list_name)


def _lines(contents: bytes, errors: str) -> list[str]:
    """The lines of a list that say something: principals, and comments, which begin with #."""
    lines = (line.strip() for line in contents.decode(errors=errors).split("\n"))
    return [line for line in lines if line]


def _written(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
