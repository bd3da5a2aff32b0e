"""The single values of the machine: whose it is, where it stands, what it counts (DESIGN §4).

Counters hold the last number given; the next one is one more. None is ever reset, so no number is ever given twice.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chubby.namespace.commands import LeaseCaps, Limits
from chubby.types.identity import CellId, Epoch, ReplicaId, Revision, SessionId, Slot, Token

__all__ = ["KNOWN_VERSIONS", "MACHINE_VERSION", "Register"]

MACHINE_VERSION: Final = 1
"""The version of the rules in this package. A change of any rule that commands or snapshots depend on makes a new
one.
"""

KNOWN_VERSIONS: Final = range(MACHINE_VERSION, MACHINE_VERSION + 1)
"""The versions whose rules this release can follow: its own and, once there is one, that of the release before."""


class Register(msgspec.Struct, array_like=True):
    """Everything of the machine's state that is not a row of a table. The one mutable value; a snapshot copies it."""

    cell: CellId
    name: str
    admins: tuple[str, ...]
    limits: Limits
    caps: LeaseCaps
    keys: tuple[bytes, ...]
    """Keys of check digits: the current one, then the one before, if any."""
    version: int = MACHINE_VERSION
    applied: Slot = 0
    epoch: Epoch = 0
    master: ReplicaId = 0
    """Who opened the epoch."""
    revision: Revision = 0
    instance: int = 0
    token: Token = 0
    session: SessionId = 0
    changes: int = 0
    """How many changes the history was ever given."""
    forgotten: Revision = 0
    """The highest revision of which the history no longer has every change."""
