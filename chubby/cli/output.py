"""How things are printed: for people as aligned lines, for programs as JSON; errors always to stderr.

JSON shapes are part of the interface. Names are those of `chubby.types`; times are seconds (`..._s`) or, for wall time,
ISO 8601 in UTC; contents are `text` if they are UTF-8, else `base64`. Identifiers that may exceed 2^53 are numbers
nevertheless: use a parser with whole numbers.
"""

from __future__ import annotations

import base64
import datetime
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

import click
import msgspec
from rich.cells import cell_len

from chubby.types.nodes import LockInfo, LockOwner, NodeKind, Stat
from chubby.types.results import SessionInfo
from chubby.types.time import to_seconds

Json = Mapping[str, object]


def emit_json(value: object) -> None:
    """Print `value` as JSON: indented for people, one line when piped."""
    encoded = msgspec.json.encode(value)
    if on_terminal(sys.stdout):
        encoded = msgspec.json.format(encoded, indent=2)
    click.echo(encoded)


def emit_json_line(value: object) -> None:
    """Print `value` as one line of JSON, at once."""
    click.echo(msgspec.json.encode(value))


def emit_table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[str] = ()) -> None:
    """Print aligned columns, never cut; those named in `numbers` align right. On a terminal the header is bold."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(header))]
    right = [name in set(numbers) for name in header]
    for index, line in enumerate(lines):
        padding = [" " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)]
        aligned = [
            space + cell if to_the_right else cell + space
            for cell, space, to_the_right in zip(line, padding, right, strict=True)
        ]
        text = "  ".join(aligned).rstrip()
        click.echo(text if index else styled(text, bold=True))


def styled(text: str, *, bold: bool | None = None, fg: str | None = None) -> str:
    """`text` in bold or in a colour, unless the environment says NO_COLOR; what is no terminal shows it plain."""
    return text if os.environ.get("NO_COLOR") else click.style(text, bold=bold, fg=fg)


def note(message: str) -> None:
    """Say something to a person that is not the answer: to stderr, and only on a terminal."""
    if on_terminal(sys.stderr):
        click.echo(f"chubby: {message}", err=True)


def complain(message: str) -> None:
    """Say on stderr what went wrong."""
    click.echo(f"chubby: {message}", err=True)


def contents_json(contents: bytes) -> Json:
    """Contents as a program reads them."""
    try:
        return {"text": contents.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(contents).decode()}


def stat_json(name: str, stat: Stat) -> Json:
    """Metadata as a program reads it."""
    return {
        "name": name,
        "kind": stat.kind.name.lower(),
        "ephemeral": stat.ephemeral,
        "instance": stat.instance,
        "content_generation": stat.content_generation,
        "acl_generation": stat.acl_generation,
        "length": stat.length,
        "checksum": f"{stat.checksum:016x}",
        "created": stat.created,
        "modified": stat.modified,
        "created_at": wall_time(stat.created_ms),
        "modified_at": wall_time(stat.modified_ms),
        "acl": {"read": stat.acl.read, "write": stat.acl.write, "change": stat.acl.change},
        "attributes": {key: contents_json(value) for key, value in sorted(stat.attributes.items())},
    }


def lock_json(name: str, info: LockInfo) -> Json:
    """A lock as a program reads it."""
    return {
        "name": name,
        "mode": info.mode.name.lower() if info.mode is not None else None,
        "token": info.token,
        "generation": info.generation,
        "holders": [_owner_json(owner) for owner in info.holders],
        "waiters": [{**_owner_json(owner), "mode": mode.name.lower()} for owner, mode in info.waiters],
        "delayed": info.delayed,
        "delay_s": to_seconds(info.delay),
    }


def session_json(info: SessionInfo) -> Json:
    """A session as a program reads it."""
    return {
        "session": info.session,
        "principal": info.principal,
        "lease_left_s": to_seconds(info.lease_left),
        "connected": info.connected,
        "handles": info.handles,
        "locks": info.locks,
        "ephemerals": info.ephemerals,
        "cached": info.cached,
    }


def kind_letter(stat: Stat) -> str:
    """`d`, `-`, or `e` for an ephemeral node, as in a long listing."""
    if stat.ephemeral:
        return "e"
    return "d" if stat.kind is NodeKind.DIRECTORY else "-"


def owner_text(owner: LockOwner) -> str:
    """Who holds or wants a lock."""
    return f"{owner.session}/{owner.handle}"


def wall_time(milliseconds: int) -> str | None:
    """Wall time in UTC, to the millisecond; None for what is as old as the cell, which has no time."""
    if not milliseconds:
        return None
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """`text` without anything that could move a terminal's cursor."""
    return text if text.isprintable() else ascii(text)


def on_terminal(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal; None is one that whoever started us has closed."""
    return stream is not None and stream.isatty()


def _owner_json(owner: LockOwner) -> Json:
    return {"session": owner.session, "handle": owner.handle}
