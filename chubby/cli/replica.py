"""`chubby replica`: who is a member of the cell."""

from __future__ import annotations

import asyncio
import sys

import click

from chubby.cli import exits
from chubby.cli.asking import ask_all
from chubby.cli.members import Progress, advice, progress_of
from chubby.cli.options import Connection, connection_options
from chubby.cli.program import examples
from chubby.cli.running import Signals, run
from chubby.cli.session import open_session
from chubby.cli.status_view import Picture, picture_of
from chubby.config import parse_address
from chubby.errors import BadArgument, MembershipRefused, NoQuorum
from chubby.types.calls import MemberAction
from chubby.types.identity import ReplicaId

POLL = 0.5
"""Seconds between two looks at a replica that joins."""

_yes = click.option("--yes", is_flag=True, help="Do not ask.")
_no_wait = click.option("--no-wait", is_flag=True, help="Do not wait until the replica votes.")
_number = click.argument("number", metavar="REPLICA", type=click.IntRange(min=1))


@click.group("replica")
def replica() -> None:
    """Add, remove and replace replicas, one at a time.

    A new replica joins without a vote, catches up, and is promoted by the master. Start it with `chubbyd` and an empty
    data directory; it needs a configuration file in which its number and addresses stand. Configuration files of the
    others only matter when a cell is formatted, but bring them up to date: clients read them.
    """


@replica.command("add", epilog=examples("chubby replica add 6 --peer 10.0.0.6:7101 --client 10.0.0.6:7201"))
@_number
@click.option("--peer", required=True, metavar="HOST:PORT", help="Where the other replicas reach it.")
@click.option("--client", required=True, metavar="HOST:PORT", help="Where clients reach it.")
@_yes
@_no_wait
@connection_options
def add_command(connection: Connection, number: ReplicaId, peer: str, client: str, yes: bool, no_wait: bool) -> int:
    """Admit a new replica, and show its progress until it votes. Ctrl-C ends the showing, not the joining."""
    return _change(connection, MemberAction.ADD, number, _address(peer), _address(client), yes, no_wait)


@replica.command("remove", epilog=examples("chubby replica remove 6"))
@_number
@_yes
@connection_options
def remove_command(connection: Connection, number: ReplicaId, yes: bool) -> int:
    """Take a replica out of the cell. Refused where too few would be left; the master has to step down first."""
    return _change(connection, MemberAction.REMOVE, number, "", "", yes, True)


@replica.command(
    "replace",
    epilog=examples(
        "chubby replica replace 3",
        "chubby replica replace 3 --peer 10.0.0.9:7101 --client 10.0.0.9:7201",
    ),
)
@_number
@click.option("--peer", metavar="HOST:PORT", help="Where the other replicas reach the new one. [default: as before]")
@click.option("--client", metavar="HOST:PORT", help="Where clients reach the new one. [default: as before]")
@_yes
@_no_wait
@connection_options
def replace_command(
    connection: Connection, number: ReplicaId, peer: str | None, client: str | None, yes: bool, no_wait: bool
) -> int:
    """Let a new replica take the place of a dead one, under the same number, and show its progress until it votes."""
    return _change(connection, MemberAction.REPLACE, number, _address(peer), _address(client), yes, no_wait)


def _change(
    connection: Connection,
    action: MemberAction,
    number: ReplicaId,
    peer: str,
    client: str,
    yes: bool,
    no_wait: bool,
) -> int:
    async def main(signals: Signals) -> int:
        before = await _look(connection)
        found = advice(before, action, number)
        if found.refusal:
            raise MembershipRefused(found.refusal)
        if found.question and not yes:
            _confirm(found.question)
        async with open_session(connection, None) as session:
            await session.change_members(action, number, peer, client)
        click.echo(found.done)
        return exits.OK if no_wait else await _follow(connection, number)

    return run(main)


async def _follow(connection: Connection, number: ReplicaId) -> int:
    """Show how the replica gets on until it votes."""
    told: Progress | None = None
    while True:
        try:
            progress = progress_of(await _look(connection), number)
        except NoQuorum as error:
            progress = Progress(str(error))
        if progress != told:
            click.echo(f"replica {number}: {progress.text}")
            sys.stdout.flush()
            told = progress
        if progress.voting:
            return exits.OK
        await asyncio.sleep(POLL)


async def _look(connection: Connection) -> Picture:
    found = connection.find()
    answers, errors = await ask_all(found.addresses, connection.timeout)
    picture = picture_of(answers, errors)
    if picture is None:
        raise NoQuorum(f"no replica of the cell {found.cell} answers; addresses from {found.origin}")
    return picture


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say --yes to go on; there is no terminal to ask on")
    click.confirm(question, abort=True, err=True)


def _address(text: str | None) -> str:
    if not text:
        return ""
    try:
        return str(parse_address(text))
    except ValueError as error:
        raise BadArgument(str(error)) from None
