"""`python -m fuse_mount ORDER`: the process of a mount, started by `starting.start`. Users say `chubby mount DIR`."""

from __future__ import annotations

import sys

import msgspec

from fuse_mount.making import make
from fuse_mount.orders import Order
from fuse_mount.process import run_detached

if __name__ == "__main__":
    sys.exit(run_detached(msgspec.json.decode(sys.argv[1], type=Order), make))
