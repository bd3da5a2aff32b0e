"""From an order to what is mounted: the cell's files, or every cell's, by libfuse."""

from __future__ import annotations

import os
import shutil

from fuse_mount import binding
from fuse_mount.attributes import View
from fuse_mount.binding import FuseUnavailable, MountOptions, unavailable
from fuse_mount.cell_files import CellFiles
from fuse_mount.daemon import Files, Serve
from fuse_mount.library import HELPER
from fuse_mount.orders import Connector, Order


def make(order: Order) -> tuple[Files, Serve]:
    """What is to be started, and what mounts it. Raises FuseUnavailable, ConfigError."""
    reason = unavailable()
    if reason is not None:
        raise FuseUnavailable(reason)
    files = cell_files(order)
    options = MountOptions(
        source=order.source,
        read_only=order.read_only,
        allow_other=order.allow_other,
        auto_unmount=shutil.which(HELPER) is not None,
        kernel=order.kernel,
    )
    return files, lambda mounted: binding.serve(files, order.directory, options, mounted)


def cell_files(order: Order) -> Files:
    """One cell."""
    view = View(os.getuid(), os.getgid())
    return CellFiles(order.locator.cell, Connector(order.locator), view, timeout=order.timeout)
