"""What a session knows of its handles: enough to refuse a dead one locally and to present a live one to a new master
(DESIGN §5 Handles; paper §2.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeGuard, get_args

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    Call,
    CancelAcquire,
    Close,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    SetSequencer,
)
from chubby.types.events import EventMask
from chubby.types.identity import CallNumber, HandleNumber
from chubby.types.results import Opened
from chubby.types.stream import HandleClaim

HandleCall = (
    Acquire
    | CancelAcquire
    | Close
    | Delete
    | GetContentsAndStat
    | GetLockInfo
    | GetSequencer
    | GetStat
    | ReadDir
    | Release
    | SetAcl
    | SetAttributes
    | SetContents
    | SetSequencer
)
"""Calls that go through an open handle."""


CLAIMS_LIMIT: Final = 1408 * 1024
"""Bytes that handles and watches may take in a Resume, one frame, whose ceiling is in `chubby.wire.limits`."""
_CLAIM_BYTES: Final = 24
"""What a claim takes besides the ticket, at most."""
_TICKET_BYTES: Final = 128
"""What a ticket and its claim take besides the path, at most: a sequential name's digits are longer than was asked."""

_THROUGH_HANDLE: Final = frozenset(get_args(HandleCall))


def through_handle(call: Call) -> TypeGuard[HandleCall]:
    """Whether `call` goes through an open handle."""
    return type(call) in _THROUGH_HANDLE


class HandleRecord:
    """One open handle. It is bound to one instance of the node for life.

    `lost` is set once the handle is of no more use, and why; it is never unset. `acquires` are the numbers of acquires
    not yet answered nor given up, each with whether it keeps a place in the queue. `left_behind`: an acquire that was
    given up while another one shared its place (0: none). `holds`: a caller was told that it holds the lock, and has
    not begun to release it since. `unclaimed`: the lock was granted to an acquire given up, and nobody has been told
    since. `sequenced`: a sequencer was, or is being, bound; `sequencer` is the one that certainly is, `rebinding` while
    a new master is told of it. `reads_cache`: a read through this handle may be answered from the cache; not without
    the right to read, not once the handle is of no more use, and not with a sequencer bound to it, whose validity only
    the master knows. Plain attributes, written by the core alone; other threads only read them.
    """

    __slots__ = (
        "acquires",
        "closing",
        "ephemeral",
        "events",
        "holds",
        "instance",
        "left_behind",
        "lost",
        "mode",
        "number",
        "path",
        "reads_cache",
        "rebinding",
        "sequenced",
        "sequencer",
        "ticket",
        "unclaimed",
    )

    def __init__(self, call: Open, opened: Opened) -> None:
        self.number: HandleNumber = call.handle
        self.path = opened.path
        self.mode = call.mode
        self.events: EventMask = call.events
        self.ticket = opened.ticket
        self.instance = opened.stat.instance
        self.ephemeral = opened.stat.ephemeral
        self.reads_cache = Mode.READ in call.mode
        self.closing = False
        self.sequenced = False
        self.sequencer = b""
        self.rebinding = False
        self.holds = False
        self.lost: Failure | None = None
        self.acquires: dict[CallNumber, bool] = {}
        self.left_behind: CallNumber = 0
        self.unclaimed = False

    def close(self) -> None:
        """It is being closed."""
        self.closing, self.reads_cache = True, False

    def sequence(self) -> None:
        """A sequencer is being bound to it."""
        self.sequenced, self.reads_cache = True, False

    def lose(self, why: Failure) -> None:
        """It is of no more use."""
        self.lost, self.reads_cache = why, False


class HandleTable:
    """The open handles of one session, in the order in which they were opened.

    `claimed` is what presenting them at Resume takes, and those being opened with them: bytes, at most.
    """

    def __init__(self) -> None:
        self._next: HandleNumber = 1
        self._records: dict[HandleNumber, HandleRecord] = {}
        self._costs: dict[HandleNumber, int] = {}
        self.claimed = 0

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[HandleRecord]:
        return iter(tuple(self._records.values()))

    def fresh_number(self) -> HandleNumber:
        """A number no handle of this session ever had."""
        number, self._next = self._next, self._next + 1
        return number

    def opening(self, call: Open) -> None:
        """Note that `call` is about to be made; followed by `add` or `remove`."""
        self._cost(call.handle, len(call.path.encode(errors="replace")) + _TICKET_BYTES)

    def add(self, call: Open, opened: Opened) -> HandleRecord:
        """Note that `call` was answered by `opened`."""
        record = HandleRecord(call, opened)
        self._records[record.number] = record
        self._cost(record.number, len(opened.ticket) + _CLAIM_BYTES)
        return record

    def _cost(self, number: HandleNumber, cost: int) -> None:
        self.claimed += cost - self._costs.pop(number, 0)
        if cost:
            self._costs[number] = cost

    def get(self, number: HandleNumber) -> HandleRecord | None:
        """The handle, or None if it was never open or is closed."""
        return self._records.get(number)

    def remove(self, number: HandleNumber) -> None:
        """Forget a handle whose Close was answered, or that never came to be; idempotent."""
        self._records.pop(number, None)
        self._cost(number, 0)

    def lose(self, number: HandleNumber, why: Failure) -> HandleRecord | None:
        """Note that the handle is of no more use; the first reason stays. None if it is not open."""
        record = self._records.get(number)
        if record is not None and record.lost is None:
            record.lose(why)
        return record

    def refusal(self, call: HandleCall) -> Failure | None:
        """Why `call` need not be sent at all, if so. Close is never refused."""
        record = self._records.get(call.handle)
        if isinstance(call, Close):
            return None
        if record is None or record.closing:
            return Failure(ErrorCode.HANDLE_INVALID, "the handle is closed")
        return record.lost

    def claims(self) -> tuple[HandleClaim, ...]:
        """What to present at Resume: every handle that is of use still, and those whose Close is under way."""
        return tuple(
            HandleClaim(record.number, record.ticket, record.events)
            for record in self._records.values()
            if record.lost is None or record.lost.code is ErrorCode.HANDLE_POISONED
        )
