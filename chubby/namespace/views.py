"""What the machine tells its readers and is born with: frozen, never a window into its own structures."""

from __future__ import annotations

import msgspec

from chubby.namespace.commands import LeaseCaps, Limits
from chubby.types.identity import CallNumber, CellId, SessionId


class Genesis(msgspec.Struct, frozen=True):
    """What a cell is born with: identical on every replica, the content of slot 0.

    `admins` are principals whom every access-control list admits. `key` makes check digits of tickets and sequencers.
    All counters of the cell start above `counter_floor`; 0 for a cell whose name was never used.
    """

    cell: CellId
    name: str
    admins: tuple[str, ...]
    limits: Limits
    caps: LeaseCaps
    key: bytes
    time_ms: int
    counter_floor: int = 0


class SessionView(msgspec.Struct, frozen=True):
    """One session. `locks` counts locks held or waited for, `ephemerals` memberships in open-sets."""

    id: SessionId
    principal: str
    caching: bool
    nonce: int
    locks: int
    ephemerals: int
    acknowledged: CallNumber
