"""What the process of a mount is told, and what it answers: values that travel as JSON from one process to another."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

import chubby
from chubby import paths
from chubby.client.dependant import Drop
from chubby.config import CONFIG_VARIABLE, CellAddresses, resolve
from chubby.errors import ChubbyError, ConfigError, ErrorCode, Failure, error_of
from fuse_mount.troubles import MountError, Trouble

DEFAULT_TIMEOUT = 15.0
"""Seconds."""


class Locator(msgspec.Struct, frozen=True):
    """Where a cell is found, for a process that works in another directory than whoever named it.

    `config`, an absolute name, and `addresses` are what the user gave; `directory` is where the user was.
    """

    cell: str = paths.LOCAL_CELL
    config: str | None = None
    addresses: tuple[str, ...] = ()
    directory: str = "/"

    def find(self) -> CellAddresses:
        """Where its replicas are, by what the environment and the files say now. Raises ConfigError."""
        environment = dict(os.environ)
        if self.config is not None:
            environment[CONFIG_VARIABLE] = self.config
        return resolve(self.cell, environment, Path(self.directory), self.addresses)


class Order(msgspec.Struct, frozen=True):
    """What is to be mounted, and how.

    `directory` is one that `mount_table.resolve` gave; `source` is what the table of mounts shall show beside it.
    `every`: all configured cells, not the one of `locator`. `kernel`: options of mount(8) that mean no file system in
    particular, as `noexec`. `timeout`: seconds to reach the cell in. `log`: a file's absolute name.
    """

    directory: str
    source: str
    locator: Locator
    every: bool = False
    read_only: bool = False
    allow_other: bool = False
    kernel: tuple[str, ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    log: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """How it went: mounted if all are empty; else why not, a trouble of the mount or the code of the cell's error."""

    message: str = ""
    trouble: Trouble | None = None
    code: ErrorCode | None = None

    @staticmethod
    def of(error: BaseException) -> Answer:
        """The answer that says so."""
        match error:
            case MountError():
                return Answer(str(error), error.trouble)
            case ChubbyError():
                return Answer(str(error), code=error.code)
            case OSError():
                where = f"{error.filename}: " if error.filename is not None else ""
                return Answer(f"{where}{error.strerror or error}", Trouble.REFUSED)
            case _:
                return Answer(f"{type(error).__name__}: {error}", code=ErrorCode.INTERNAL)

    @property
    def failed(self) -> bool:
        """Whether it is not mounted."""
        return self.trouble is not None or self.code is not None

    @property
    def bug(self) -> bool:
        """Whether nobody foresaw it."""
        return self.code is ErrorCode.INTERNAL

    def check(self) -> None:
        """Raises MountError or ChubbyError if it is not mounted."""
        if self.trouble is not None:
            raise MountError(self.trouble, self.message)
        if self.code is not None:
            raise error_of(Failure(self.code, self.message))


class Connector:
    """Opens sessions with the cell of a locator, which is looked up anew each time: replicas come and go.

    A configuration that has become unreadable meanwhile does not count: then what was known last does.
    """

    def __init__(self, locator: Locator) -> None:
        """Raises ConfigError."""
        self._locator = locator
        self._known = locator.find()

    def __call__(self, drop: Drop, timeout: float) -> chubby.Session:
        """A session whose invalidations go to `drop`, within `timeout` seconds. Raises ChubbyError."""
        with contextlib.suppress(ConfigError):
            self._known = self._locator.find()
        cell = paths.full_name(self._locator.cell, paths.ROOT)
        return chubby.connect(cell, addresses=self._known.addresses, timeout=timeout, dependant=drop)
