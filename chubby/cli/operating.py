"""`chubby locks`, `sessions`, `check-sequencer`, `step-down`: what an operator looks at and does."""

from __future__ import annotations

import click

from chubby import paths
from chubby.cli import exits
from chubby.cli.asking import look
from chubby.cli.members import successor_refusal
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import emit_json, emit_table, lock_json, note, owner_text, session_json
from chubby.cli.ports import CellSession
from chubby.cli.program import examples
from chubby.cli.running import Signals, run
from chubby.cli.session import open_session, with_session
from chubby.errors import BadArgument, MembershipRefused
from chubby.types.identity import ReplicaId
from chubby.types.nodes import LockInfo
from chubby.types.time import to_seconds

SEQUENCER_VARIABLE = "CHUBBY_SEQUENCER"
"""Environment of a command that `chubby lock` runs: the sequencer, in hexadecimal."""

_LOCKS = ("lock", "mode", "token", "held by", "waiting", "lock-delay")
_SESSIONS = ("session", "principal", "lease left", "connected", "handles", "locks", "ephemerals", "cached")


@click.command("locks", epilog=examples("chubby locks", "chubby locks --json | jq '.[] | select(.delayed)'"))
@click.argument("name", metavar="[PATH]", default=paths.ROOT)
@json_option
@connection_options
def locks_command(connection: Connection, name: str, as_json: bool) -> int:
    """Show the locks at and below PATH that are held, waited for, or in their lock-delay.

    Holders and waiters are SESSION/HANDLE, waiters in the order in which they will be served.
    """
    target = connection.target(name)

    async def main(session: CellSession) -> int:
        infos = [info for info in await session.locks() if _is_within(info.path, target.path)]
        if as_json:
            emit_json([lock_json(paths.full_name(target.cell, info.path), info) for info in infos])
        elif infos:
            emit_table(_LOCKS, [_lock_row(target.cell, info) for info in infos], ["token"])
        else:
            note(f"no lock at or below {target.name} is held, waited for or delayed")
        return exits.OK

    return with_session(connection, target.cell, main)


@click.command("sessions", epilog=examples("chubby sessions", "chubby sessions --json | jq length"))
@json_option
@connection_options
def sessions_command(connection: Connection, as_json: bool) -> int:
    """Show all sessions; this command's own is among them.

    A lease left below zero means that the session's end is on its way.
    """

    async def main(session: CellSession) -> int:
        infos = await session.sessions()
        if as_json:
            emit_json([session_json(info) for info in infos])
        else:
            rows = [
                [
                    str(info.session),
                    info.principal,
                    f"{to_seconds(info.lease_left):.1f} s",
                    "yes" if info.connected else "no",
                    *(str(number) for number in (info.handles, info.locks, info.ephemerals, info.cached)),
                ]
                for info in infos
            ]
            emit_table(_SESSIONS, rows, [name for name in _SESSIONS if name not in ("principal", "connected")])
        return exits.OK

    return with_session(connection, None, main)


@click.command(
    "check-sequencer",
    epilog=examples(
        "chubby lock /svc/leader -- sh -c 'chubby check-sequencer'",
        'chubby check-sequencer "$SEQUENCER" || echo "from a holder of the past"',
    ),
)
@click.argument("sequencer", envvar=SEQUENCER_VARIABLE, metavar="[HEX]", required=False)
@json_option
@connection_options
def check_sequencer_command(connection: Connection, sequencer: str | None, as_json: bool) -> int:
    """Find out whether the hold period a sequencer speaks of lasts. Exit code 1 if it is over.

    HEX are the bytes of the sequencer in hexadecimal; by default CHUBBY_SEQUENCER, as `chubby lock` sets it.
    """
    if not sequencer:
        raise click.UsageError(f"give the sequencer in hexadecimal, or set {SEQUENCER_VARIABLE}")
    try:
        raw = bytes.fromhex(sequencer)
    except ValueError:
        raise BadArgument(f"a sequencer is written in hexadecimal, unlike {sequencer[:40]!r}") from None

    async def main(session: CellSession) -> int:
        found = await session.check_sequencer(raw)
        name = paths.full_name(connection.cell or paths.LOCAL_CELL, found.path)
        mode = found.mode.name.lower()
        if as_json:
            emit_json({"name": name, "mode": mode, "token": found.token, "generation": found.generation})
        else:
            click.echo(f"{name}: held, {mode}, token {found.token}")
        return exits.OK

    return with_session(connection, None, main)


@click.command("step-down", epilog=examples("chubby step-down", "chubby step-down --to 3"))
@click.option("--to", "successor", type=click.IntRange(min=1), metavar="REPLICA", help="Who is to be master next.")
@connection_options
def step_down_command(connection: Connection, successor: ReplicaId | None) -> int:
    """Ask the master to hand over, to REPLICA if that one is fit. Clients notice a short pause at most.

    Exit code 1 if REPLICA is no member, does not vote or does not answer; then nothing happens.
    """

    async def main(_signals: Signals) -> int:
        if successor is not None and (refusal := successor_refusal(await look(connection), successor)):
            raise MembershipRefused(refusal)
        async with open_session(connection, None) as session:
            await session.step_down(successor or 0)
        return exits.OK

    return run(main)


def _lock_row(cell: str, info: LockInfo) -> list[str]:
    without = "delayed" if info.delayed else "free"
    waiters = [owner_text(owner) + (" shared" if each.name == "SHARED" else "") for owner, each in info.waiters]
    return [
        paths.full_name(cell, info.path),
        info.mode.name.lower() if info.mode is not None else without,
        str(info.token),
        ", ".join(owner_text(owner) for owner in info.holders) or "-",
        ", ".join(waiters) or "-",
        f"{to_seconds(info.delay):g} s" if info.delay else "-",
    ]


def _is_within(path: str, top: str) -> bool:
    return path == top or paths.is_below(path, top)
