"""The process of a mount: an order is carried out here, in the foreground, or detached from the one who gave it.

A detached one is a new process by exec, never the child of a fork: gRPC's threads would not be in it, their locks
would. Its standard output is a pipe to its starter, for one line, an `Answer`; nobody reads what comes after it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from typing import Final, NoReturn

import msgspec

from fuse_mount import logs, mount_table
from fuse_mount.daemon import Daemon, Files, Left, Serve
from fuse_mount.orders import Answer, Order
from fuse_mount.troubles import MountError
from fuse_mount.unmounting import take_away
from fuse_mount.users import name_ourselves, server_of

log = logging.getLogger(__name__)

Make = Callable[[Order], tuple[Files, Serve]]
"""Makes what an order asks for, and what mounts it. Raises MountError, ChubbyError."""
Leave = Callable[[int], NoReturn]
"""Ends this process at once with an exit code."""

_STDOUT: Final = 1
_STDERR: Final = 2


def run_in_foreground(order: Order, make: Make, leave: Leave = os._exit) -> None:
    """Mount, and return when it is unmounted; logs go to the terminal, or the order's file. In the main thread.

    Raises MountError, ChubbyError, OSError: it could not be mounted.
    """
    _log_to(order, logs.log_to_terminal)

    def tell() -> None:
        _announce(order)
        logs.notify(f"READY=1\nSTATUS={order.source} is mounted at {order.directory}")

    _live(order, make, tell, None, leave)


def run_detached(order: Order, make: Make, leave: Leave = os._exit) -> int:
    """The same in a process of its own, which tells its starter how it went; returns its exit code."""
    told = False

    def tell() -> None:
        nonlocal told
        told = True
        _announce(order)
        _answer(Answer())

    try:
        _log_to(order, logs.log_to_system)
        os.chdir("/")
        _live(order, make, tell, _STDOUT, leave)
    except Exception as error:
        expected = Answer.of(error)
        log.error("%s: %s", order.directory, error, exc_info=expected.bug)
        if not told:
            with contextlib.suppress(BrokenPipeError):
                _answer(expected)
        return 1
    return 0


def _log_to(order: Order, otherwise: Callable[[], None]) -> None:
    if order.log is not None:
        logs.log_to_file(order.log)
    else:
        otherwise()


def _live(order: Order, make: Make, tell: Callable[[], None], starter: int | None, leave: Leave) -> None:
    files, serve = make(order)
    try:
        Daemon(files, serve, tell, starter, last=lambda: _detach(order.directory)).run()
    except Left as left:
        logging.shutdown()
        leave(128 + left.number if left.number else 1)
    log.info("%s is unmounted", order.directory)


def _announce(order: Order) -> None:
    mount = mount_table.at(order.directory)
    if mount is not None:
        name_ourselves(mount.device)
    log.info("%s is mounted at %s", order.source, order.directory)


def _detach(directory: str) -> None:
    """Leave no mount behind that nobody serves, as far as that can be done without waiting."""
    log.warning("%s: left before all was in good order", directory)
    mount = mount_table.at(directory)
    if mount is not None and mount.ours and server_of(mount.device) in (None, os.getpid()):
        with contextlib.suppress(MountError):
            take_away(mount, lazy=True, force=True)


def _answer(what: Answer) -> None:
    """Tell the starter, and let go of it. Raises BrokenPipeError if it is gone."""
    try:
        os.write(_STDOUT, msgspec.json.encode(what) + b"\n")
    finally:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, _STDOUT)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
