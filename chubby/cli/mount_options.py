"""The command line that mount(8) gives to its helpers: `mount.chubby SPEC DIR [-sfnv] [-o OPTIONS]`.

Nothing is done here: text becomes what is `Wanted`, or is refused as `Misused`.

| SPEC                      | what is mounted                                                              |
|---------------------------|------------------------------------------------------------------------------|
| `all`, `/ls`              | every configured cell, a directory each                                      |
| `NAME`, `/ls/NAME`        | the cell of that name; `local` is the one of the configuration               |
| `HOST:PORT,HOST:PORT,...` | the cell of the replicas at these addresses                                  |
| any other with a `/`      | the cell that this file configures                                           |

| options                                                    | what becomes of them                        |
|------------------------------------------------------------|---------------------------------------------|
| `ro allow_other nonempty log=FILE timeout=S config=FILE`   | ours: what `chubby mount` calls `--...`     |
| `KERNEL`                                                   | passed on to the kernel                     |
| `FOR_OTHERS`, and what begins with one of `PREFIXES`       | ignored: for others, or so anyway           |
| anything else                                              | refused; with -s ignored                    |
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from chubby import paths
from chubby.cli.options import DEFAULT_TIMEOUT, Connection, Seconds
from chubby.config import parse_addresses
from chubby.errors import BadPath

EVERY: Final = "all"
"""The SPEC of all cells, as the table of mounts shows it too."""
KERNEL: Final = frozenset(
    {"exec", "noexec", "suid", "nosuid", "dev", "nodev", "async", "sync", "dirsync"}
    | {"noatime", "nodiratime", "norelatime"}
)
"""What the kernel heeds for every file system."""
FOR_OTHERS: Final = frozenset(
    {"defaults", "rw", "auto", "noauto", "user", "users", "nouser", "owner", "group", "nofail", "_netdev"}
    | {"atime", "diratime", "relatime", "strictatime", "nostrictatime", "lazytime", "nolazytime"}
    | {"iversion", "noiversion", "silent", "loud"}
)
"""What means something to mount(8), to systemd, or nothing for a file system without times of access."""
PREFIXES: Final = ("x-", "X-", "comment=", "uhelper=", "helper=")
"""How notes to other programs begin."""

_LS: Final = f"{paths.PREFIX}/"


class Misused(Exception):
    """The command line cannot be obeyed; the text says why."""


class Wanted(msgspec.Struct, frozen=True):
    """What the command line asks for. `source` is SPEC, for the table of mounts: mount(8) compares it with fstab's.

    `fake`: look whether it could be done, but do nothing. `verbose`: say what is done.
    """

    source: str
    directory: str
    connection: Connection
    every: bool = False
    read_only: bool = False
    allow_other: bool = False
    nonempty: bool = False
    kernel: tuple[str, ...] = ()
    log: Path | None = None
    fake: bool = False
    verbose: bool = False


class _Options(msgspec.Struct):
    """Options as they are read, one after the other: the last one of a kind counts."""

    flags: dict[str, bool] = {}
    kernel: dict[str, None] = {}
    values: dict[str, str] = {}


def parse(arguments: Sequence[str]) -> Wanted:
    """What the arguments of the helper ask for. Raises Misused."""
    try:
        letters, names = getopt.gnu_getopt(list(arguments), "sfnvo:t:")
    except getopt.GetoptError as error:
        raise Misused(str(error)) from None
    if len(names) != 2:
        raise Misused("say what to mount, and where: SPEC DIR")
    given = {letter for letter, _ in letters}
    options = _read([value for letter, value in letters if letter == "-o"], sloppy="-s" in given)
    spec, directory = names
    connection = _connection(spec, options.values)
    return Wanted(
        source=spec,
        directory=directory,
        connection=connection,
        every=_every(spec),
        read_only=options.flags.get("ro", False),
        allow_other=options.flags.get("allow_other", False),
        nonempty=options.flags.get("nonempty", False),
        kernel=tuple(options.kernel),
        log=Path(options.values["log"]) if "log" in options.values else None,
        fake="-f" in given,
        verbose="-v" in given,
    )


def _read(lists: Sequence[str], sloppy: bool) -> _Options:
    options = _Options()
    for option in (option for each in lists for option in each.split(",") if option):
        name, equals, value = option.partition("=")
        if option in ("ro", "rw"):
            options.flags["ro"] = option == "ro"
        elif option in ("allow_other", "nonempty"):
            options.flags[option] = True
        elif name in ("log", "timeout", "config") and equals:
            options.values[name] = value
        elif option in KERNEL:
            options.kernel.pop(option, None)
            options.kernel[option] = None
        elif option == "remount":
            raise Misused("a mounted cell cannot be mounted anew with other options: unmount it, then mount it")
        elif option not in FOR_OTHERS and not option.startswith(PREFIXES) and not sloppy:
            raise Misused(f"unknown option {option!r}")
    return options


def _connection(spec: str, values: dict[str, str]) -> Connection:
    config = Path(values["config"]) if "config" in values else None
    timeout = _seconds(values["timeout"]) if "timeout" in values else DEFAULT_TIMEOUT
    if _every(spec):
        if config is not None:
            raise Misused(f"{spec} means the configured cells: leave out config=")
        return Connection(timeout=timeout)
    name = spec.removeprefix(_LS)
    if name == spec and "/" in spec:
        if config is not None:
            raise Misused(f"{spec} is a configuration, and config= names another")
        return Connection(config=Path(spec), timeout=timeout)
    try:
        if ":" in name:
            return Connection(addresses=parse_addresses(name), timeout=timeout)
        return Connection(cell=paths.validate_cell(name), config=config, timeout=timeout)
    except (ValueError, BadPath) as error:
        raise Misused(str(error)) from None


def _every(spec: str) -> bool:
    return spec in (EVERY, paths.PREFIX)


def _seconds(text: str) -> float:
    try:
        return Seconds(positive=True).convert(text, None, None)
    except click.ClickException as error:
        raise Misused(f"timeout=: {error.message}") from None
