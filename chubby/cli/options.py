"""Options that many commands share, and names as users write them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import click
import msgspec

from chubby import paths
from chubby.config import (
    CONFIG_VARIABLE,
    CellAddresses,
    CellConfig,
    find_cell,
    load_cell,
    parse_addresses,
    resolve,
)

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_TIMEOUT: Final = 15.0
"""Seconds. Longer than a fail-over takes, shorter than patience."""


class Seconds(click.ParamType[float]):
    """An option's number of seconds: from 0 to ten years, which is for ever; neither infinite nor `nan`."""

    name = "seconds"
    MAXIMUM = 10 * 365 * 86_400.0

    def __init__(self, maximum: float = MAXIMUM, positive: bool = False) -> None:
        """At most `maximum`; `positive`: above 0."""
        self._maximum = maximum
        self._positive = positive

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or a complaint."""
        try:
            seconds = value if isinstance(value, float) else float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        if not 0 <= seconds <= self._maximum or (self._positive and not seconds):  # which `nan` is not, either
            least = "more than 0" if self._positive else "0"
            self.fail(f"{value!r} is out of bounds: write {least} to {self._maximum:.0f} seconds", param, ctx)
        return seconds


class Whole(click.ParamType[int]):
    """An option's whole number, decimal or with 0x, from `least` to 2^63 - 1."""

    name = "number"

    def __init__(self, least: int) -> None:
        """Refuses what is below `least`."""
        self._least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or a complaint."""
        try:
            number = value if isinstance(value, int) else int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not self._least <= number < 1 << 63:
            self.fail(f"{value} is not between {self._least} and 2^63 - 1", param, ctx)
        return number


CELL_NUMBER: Final = Whole(1)
"""The number of a cell."""


class Target(msgspec.Struct, frozen=True):
    """A node as a user named it: the cell as it was spelt, and the path inside it."""

    cell: str
    path: str

    @property
    def name(self) -> str:
        """The full name."""
        return paths.full_name(self.cell, self.path)


class Connection(msgspec.Struct, frozen=True):
    """Which cell a command speaks to, and for how long it waits (seconds)."""

    cell: str | None = None
    config: Path | None = None
    addresses: tuple[str, ...] = ()
    timeout: float = DEFAULT_TIMEOUT

    def target(self, name: str) -> Target:
        """The node of a name: `/ls/CELL/a/b`, or `/a/b` inside the cell of --cell. Raises BadPath.

        One `/` at the end is forgiven, as shells complete directories so.
        """
        name = name if name in ("/", f"{paths.PREFIX}/") else name.removesuffix("/")
        if name == paths.PREFIX or name.startswith(f"{paths.PREFIX}/"):
            cell, path = paths.parse(name)
            if self.cell not in (None, cell):
                raise click.UsageError(f"{name} is not in the cell of --cell {self.cell}")
            return Target(cell, path)
        return Target(self.cell or paths.LOCAL_CELL, paths.validate(name))

    def targets(self, names: Sequence[str]) -> list[Target]:
        """Several nodes of one cell. Raises BadPath."""
        found = [self.target(name) for name in names]
        if len({target.cell for target in found}) > 1:
            raise click.UsageError("all names must be of one cell")
        return found

    def find(self, cell: str | None = None) -> CellAddresses:
        """Where the replicas of `cell` (default: that of --cell) are. Raises ConfigError, BadPath."""
        cell = paths.validate_cell(cell or self.cell or paths.LOCAL_CELL)
        environment = dict(os.environ)
        if self.config is not None:
            environment[CONFIG_VARIABLE] = str(self.config)
            if cell not in (paths.LOCAL_CELL, name := load_cell(self.config).name):
                raise click.UsageError(f"{self.config} configures the cell {name}, not {cell}")
        if self.addresses:
            try:
                parse_addresses(",".join(self.addresses))
            except ValueError as error:
                raise click.UsageError(f"--address: {error}") from None
        return resolve(cell, environment, Path.cwd(), self.addresses)


def connection_options(command: Callable[Concatenate[Connection, P], R]) -> Callable[P, R]:
    """Add --cell, --config, --address and --timeout; `command` gets them as its first argument."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        cell, config = kwargs.pop("cell"), kwargs.pop("config_file")
        addresses, timeout = kwargs.pop("addresses"), kwargs.pop("timeout")
        assert isinstance(cell, str | None) and isinstance(config, Path | None)
        assert isinstance(addresses, tuple) and isinstance(timeout, float)
        return command(Connection(cell, config, addresses, timeout), *args, **kwargs)

    for option in (
        click.option(
            "--timeout",
            type=Seconds(positive=True),
            default=DEFAULT_TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help="How long to look for a master, and to wait for an answer.",
        ),
        click.option(
            "--address",
            "addresses",
            multiple=True,
            metavar="HOST:PORT",
            help="A replica's address for clients; may be repeated. No configuration is read then.",
        ),
        click.option(
            "--config",
            "config_file",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The cell's configuration file. [default: CHUBBY_CONFIG, CHUBBY_CELL, ./cell_config/CELL.toml, ...]",
        ),
        click.option("--cell", metavar="NAME", help="The cell of names that begin with no /ls/CELL. [default: local]"),
    ):
        wrapper = option(wrapper)
    return wrapper


def cell_of(config: Path | None) -> CellConfig:
    """The configuration in the file of --config, else that of `/ls/local`. Raises ConfigError."""
    return load_cell(config) if config is not None else find_cell(paths.LOCAL_CELL, os.environ, Path.cwd())


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
"""Adds --json; the command gets it as `as_json`."""
