"""`chubby txn`: guards and operations from a file, in one atomic step."""

from __future__ import annotations

from pathlib import Path

import click

from chubby import paths
from chubby.cli import exits, standard_input, txn_format, txn_json
from chubby.cli.options import Connection, connection_options, json_option
from chubby.cli.output import complain, contents_json, emit_json, printable, stat_json
from chubby.cli.ports import CellSession
from chubby.cli.program import examples
from chubby.cli.session import with_session
from chubby.errors import BadArgument, BadPath, ChubbyError
from chubby.types.calls import Transact
from chubby.types.transaction import OperationResult, TransactionResult

_HELP = (
    "Carry out a transaction: if all guards hold, some operations, otherwise others; atomically.\n\n"
    "It is read from FILE, by default from standard input: lines as below, or JSON, which begins with {. Exit code 1 "
    "if the `else` branch ran; if an operation fails nothing changes, and it is that of the failure, mostly 1."
    "\n\n\b\n" + txn_format.HELP + "\n\n\b\nJSON:\n" + (txn_json.__doc__ or "").partition("::\n\n")[2]
)


@click.command(
    "txn",
    help=_HELP,
    short_help="Carry out a transaction from a file.",
    epilog=examples(
        "chubby txn change.txt",
        "printf 'if generation /svc/addr 3\\nwrite /svc/addr 10.0.0.8:80\\n' | chubby txn",
        "chubby txn --dry-run --json change.txt",
    ),
)
@click.argument("file", default="-", metavar="[FILE|-]", type=click.Path(allow_dash=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Print the transaction as it was understood (--json: as JSON) and end.")
@json_option
@connection_options
def txn_command(connection: Connection, file: str, dry_run: bool, as_json: bool) -> int:
    """See `_HELP`."""
    cells: set[str] = set()

    def path_of(name: str) -> str:
        target = connection.target(name)
        cells.add(target.cell)
        if len(cells) > 1:
            raise BadPath(f"{name}: all names of a transaction must be of one cell")
        return target.path

    transact = parse(_text(file), path_of)
    cell = next(iter(cells), connection.cell or paths.LOCAL_CELL)
    if dry_run:
        click.echo(txn_json.render(transact) if as_json else txn_format.render(transact).rstrip("\n"))
        return exits.OK

    async def main(session: CellSession) -> int:
        try:
            result = await session.transact(transact.guards, transact.then, transact.otherwise)
        except ChubbyError as error:
            complain("; ".join([str(error), *getattr(error, "__notes__", ())]))
            return exits.exit_code_of(error)
        if as_json:
            emit_json(result_json(result, cell))
        else:
            _show(transact, result, cell)
        return exits.OK if result.succeeded else exits.NO

    return with_session(connection, cell, main)


def parse(text: str, path_of: txn_format.PathRule) -> Transact:
    """The transaction that `text` writes, in whichever form. Raises BadArgument, BadPath."""
    read = txn_json.parse if text.lstrip().startswith("{") else txn_format.parse
    transact = read(text, path_of)
    if not (transact.guards or transact.then or transact.otherwise):
        raise BadArgument("the transaction is empty")
    return transact


def result_json(result: TransactionResult, cell: str) -> dict[str, object]:
    """The shape of `chubby txn --json`."""
    return {
        "succeeded": result.succeeded,
        "revision": result.revision,
        "results": [_operation_json(each, cell) for each in result.results],
        "failed_guard": result.failed_guard,
    }


def _operation_json(each: OperationResult, cell: str) -> dict[str, object]:
    name = paths.full_name(cell, each.path)
    shape: dict[str, object] = {"name": name, "created": each.created}
    shape["stat"] = stat_json(name, each.stat) if each.stat is not None else None
    if each.contents is not None:
        shape["contents"] = contents_json(each.contents)
    return shape


def _show(transact: Transact, result: TransactionResult, cell: str) -> None:
    """One line for what happened, and one for each operation of the branch that ran."""
    branch = transact.then if result.succeeded else transact.otherwise
    if not result.succeeded and result.failed_guard is not None:
        guard = txn_format.describe_guard(transact.guards[result.failed_guard])
        click.echo(f"else: the guard '{guard}' did not hold; revision {result.revision}")
    else:
        click.echo(f"{'then' if result.succeeded else 'else'}: revision {result.revision}")
    for operation, each in zip(branch, result.results, strict=True):
        click.echo(f"{txn_format.describe(operation).partition(' ')[0]} {_outcome(each, cell)}")


def _outcome(each: OperationResult, cell: str) -> str:
    words = [paths.full_name(cell, each.path)]
    if each.stat is not None:
        words.append(f"generation {each.stat.content_generation}")
    if each.created:
        words.append("created")
    if each.contents is not None:
        words.append(printable(each.contents.decode(errors="backslashreplace")))
    return "  ".join(words)


def _text(file: str) -> str:
    try:
        if file == "-":
            return standard_input.read_all().decode()
        return Path(file).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise BadArgument(f"{file} is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise BadArgument(f"{file}: {error.strerror}") from None
