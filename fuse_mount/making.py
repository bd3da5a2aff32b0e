"""From an order to what is mounted: the cell's files, or every cell's, by libfuse."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from chubby.config import cell_names
from chubby.errors import ConfigError
from fuse_mount import binding
from fuse_mount.attributes import View
from fuse_mount.binding import FuseUnavailable, MountOptions, unavailable
from fuse_mount.cell_files import CellFiles
from fuse_mount.daemon import Files, Serve
from fuse_mount.every_cell import EveryCell
from fuse_mount.library import HELPER
from fuse_mount.orders import Connector, Order


def make(order: Order) -> tuple[Files, Serve]:
    """What is to be started, and what mounts it. Raises FuseUnavailable, ConfigError."""
    reason = unavailable()
    if reason is not None:
        raise FuseUnavailable(reason)
    files = every_cell(order) if order.every else one_cell(order)
    options = MountOptions(
        source=order.source,
        read_only=order.read_only,
        allow_other=order.allow_other,
        auto_unmount=shutil.which(HELPER) is not None,
        kernel=order.kernel,
    )
    return files, lambda mounted: binding.serve(files, order.directory, options, mounted)


def one_cell(order: Order) -> Files:
    """The cell of the order's locator. Raises ConfigError."""
    view = View(os.getuid(), os.getgid())
    return CellFiles(order.locator.cell, Connector(order.locator), view, timeout=order.timeout)


def every_cell(order: Order) -> Files:
    """A directory for each cell that is configured at the time. Raises ConfigError if none is."""
    view = View(os.getuid(), os.getgid())

    def names() -> tuple[str, ...]:
        return cell_names(os.environ, Path(order.locator.directory))

    def cell(name: str, number: int) -> CellFiles:
        locator = msgspec.structs.replace(order.locator, cell=name)
        numbered = msgspec.structs.replace(view, cell=number)
        return CellFiles(name, Connector(locator), numbered, prefix=f"/{name}", timeout=order.timeout)

    if not names():
        raise ConfigError(
            "no cell is configured: write a file NAME.toml into /etc/chubby, or name one in CHUBBY_CONFIG"
        )
    return EveryCell(names, cell, view)
