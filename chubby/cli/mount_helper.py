"""`mount.chubby` and `mount.fuse.chubby`: what mount(8) runs for a file system of type `chubby` or `fuse.chubby`.

It looks for them in /sbin; docs/mount.md says how they get there. Exit codes are those of mount(8): 1 wrong usage or
permissions, 4 a bug, 8 interrupted, 32 not mounted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from chubby.cli.mount import carry_out, locator_of, writable
from chubby.cli.mount_options import Misused, Wanted, parse
from chubby.errors import ChubbyError
from fuse_mount.orders import Order
from fuse_mount.starting import check_directory
from fuse_mount.troubles import MountError, Trouble

MISUSED: Final = 1
BUG: Final = 4
INTERRUPTED: Final = 8
NOT_MOUNTED: Final = 32

USAGE: Final = "usage: {program} SPEC DIR [-sfnv] [-o OPTIONS]"


def main() -> NoReturn:
    """Run the helper."""
    sys.exit(run(sys.argv[1:], Path(sys.argv[0]).name))


def run(arguments: Sequence[str], program: str = "mount.chubby") -> int:
    """Mount what the arguments say; an exit code."""
    try:
        _mount(parse(arguments), program)
    except Misused as error:
        _complain(program, f"{error}\n{USAGE.format(program=program)}")
        return MISUSED
    except MountError as error:
        _complain(program, str(error))
        return MISUSED if error.trouble is Trouble.REFUSED else NOT_MOUNTED
    except ChubbyError as error:
        _complain(program, str(error))
        return NOT_MOUNTED
    except OSError as error:
        _complain(program, f"{error.filename or program}: {error.strerror}")
        return NOT_MOUNTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        return BUG
    return 0


def _mount(wanted: Wanted, program: str) -> None:
    order = Order(
        directory=check_directory(wanted.directory, wanted.nonempty),
        source=wanted.source,
        locator=locator_of(wanted.connection, wanted.every),
        every=wanted.every,
        read_only=wanted.read_only,
        allow_other=wanted.allow_other,
        kernel=wanted.kernel,
        timeout=wanted.connection.timeout,
        log=writable(wanted.log),
    )
    if not wanted.fake:
        carry_out(order)
    if wanted.verbose:
        print(f"{program}: {wanted.source} {'could be' if wanted.fake else 'is'} mounted at {order.directory}")


def _complain(program: str, message: str) -> None:
    print(f"{program}: {message}", file=sys.stderr)
