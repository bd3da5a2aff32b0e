"""`chubby replica`: who is a member of the cell."""

from __future__ import annotations

import asyncio

import click
import msgspec

from chubby.cli import exits
from chubby.cli.asking import look
from chubby.cli.members import Progress, advice, progress_of
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import emit_json_line
from chubby.cli.program import examples
from chubby.cli.running import Signals, run
from chubby.cli.session import open_session
from chubby.cli.standard_input import confirm
from chubby.config import parse_address
from chubby.errors import BadArgument, MembershipRefused, NoQuorum
from chubby.types.calls import MemberAction
from chubby.types.identity import ReplicaId

POLL = 0.5
"""Seconds between two looks at a replica that joins."""

_yes = click.option("--yes", is_flag=True, help="Do not ask.")
_no_wait = click.option("--no-wait", is_flag=True, help="Do not wait until the replica votes.")
_number = click.argument("number", metavar="REPLICA", type=click.IntRange(min=1))


class _Change(msgspec.Struct, frozen=True):
    """What is asked of the master; addresses that are empty stay as they are."""

    action: MemberAction
    replica: ReplicaId
    peer: str = ""
    client: str = ""


@click.group("replica")
def replica() -> None:
    """Add, remove and replace replicas, one at a time.

    A new replica joins without a vote, catches up, and is promoted by the master. Start it with `chubbyd` and an empty
    data directory; it needs a configuration file in which its number and addresses stand. Configuration files of the
    others only matter when a cell is formatted, but bring them up to date: clients read them. An even number of
    replicas is fine on the way; it bears no more failures than one less.
    """


@replica.command("add", epilog=examples("chubby replica add 6 --peer 10.0.0.6:7101 --client 10.0.0.6:7201"))
@_number
@click.option("--peer", required=True, metavar="HOST:PORT", help="Where the other replicas reach it.")
@click.option("--client", required=True, metavar="HOST:PORT", help="Where clients reach it.")
@_yes
@_no_wait
@json_option
@connection_options
def add_command(
    connection: Connection, number: ReplicaId, peer: str, client: str, yes: bool, no_wait: bool, as_json: bool
) -> int:
    """Admit a new replica, and show its progress until it votes. Ctrl-C ends the showing, not the joining."""
    change = _Change(MemberAction.ADD, number, _address(peer), _address(client))
    return _carry_out(connection, change, yes, no_wait, as_json)


@replica.command("remove", epilog=examples("chubby replica remove 6"))
@_number
@_yes
@json_option
@connection_options
def remove_command(connection: Connection, number: ReplicaId, yes: bool, as_json: bool) -> int:
    """Take a replica out of the cell. Refused where too few would be left; the master has to step down first."""
    return _carry_out(connection, _Change(MemberAction.REMOVE, number), yes, True, as_json)


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
@json_option
@connection_options
def replace_command(
    connection: Connection,
    number: ReplicaId,
    peer: str | None,
    client: str | None,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Let a new replica take the place of a dead one, under the same number, and show its progress until it votes."""
    change = _Change(MemberAction.REPLACE, number, _address(peer), _address(client))
    return _carry_out(connection, change, yes, no_wait, as_json)


def _carry_out(connection: Connection, change: _Change, yes: bool, no_wait: bool, as_json: bool) -> int:
    async def main(signals: Signals) -> int:
        before = await look(connection)
        found = advice(before, change.action, change.replica, change.client)
        if found.refusal:
            raise MembershipRefused(found.refusal)
        if found.question and not yes:
            confirm(found.question)
        view = before.view(change.replica)
        seen = view.incarnation if view is not None else None
        async with open_session(connection, None) as session:
            await session.change_members(change.action, change.replica, change.peer, change.client, seen)
        if as_json:
            emit_json_line({"replica": change.replica, "done": change.action.name.lower()})
        else:
            click.echo(found.done)
        return exits.OK if no_wait else await _follow(connection, change.replica, as_json)

    return run(main)


async def _follow(connection: Connection, number: ReplicaId, as_json: bool) -> int:
    """Show how the replica gets on until it votes."""
    told: Progress | None = None
    while True:
        try:
            progress = progress_of(await look(connection), number)
        except NoQuorum as error:
            progress = Progress(str(error))
        if progress != told:
            if as_json:
                emit_json_line({"replica": number, "progress": progress.text, "voting": progress.voting})
            else:
                click.echo(f"replica {number}: {progress.text}")
            told = progress
        if progress.voting:
            return exits.OK
        await asyncio.sleep(POLL)


def _address(text: str | None) -> str:
    if not text:
        return ""
    try:
        return str(parse_address(text))
    except ValueError as error:
        raise BadArgument(str(error)) from None
