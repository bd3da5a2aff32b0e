"""PURE. A grip: one handle of the cell that holds, or waits for, a node's lock on behalf of claims that may share it.

**Who shares a grip.** The cell knows sessions and handles; the kernel knows processes and open files. A process that
has locked a file with flock(2) and locks it with fcntl(2) too must not wait for itself. So a claim joins a grip if it
shares the process or the open file with somebody there, unless somebody else's claim of its own kind is there already:
two open files that a process flocks exclude each other, as do two processes that use fcntl. What may not join gets a
grip of its own, and the cell arbitrates.

**One thread at a time** works on a grip, its *driver*; the others wait for it to rest. What the driver does is a walk
through these phases, in which a *deed* begins a phase and its *outcome* ends it:

| phase     | handle | lock            | what may happen                                                             |
|-----------|--------|-----------------|-----------------------------------------------------------------------------|
| CLOSED    | none   | none            | OPEN                                                                        |
| OPENING   |        |                 |                                                                             |
| IDLE      | open   | none            | ACQUIRE (in line), TRY (now or never), CLOSE                                |
| ACQUIRING | open   | in line         | may last for ever; whoever does not wait is refused meanwhile               |
| TRYING    | open   | soon known      |                                                                             |
| HELD      | open   | held as `mode`  | PEEK, RELEASE (a conversion), CLOSE (nobody needs it any more)              |
| PEEKING   | open   | held as `mode`  | is asked whether a conversion would succeed now; nothing is given up for it |
| RELEASING | open   | soon none       |                                                                             |
| BROKEN    | open   | not known       | CLOSE, which lets go of whatever it is                                      |
| CLOSING   |        |                 |                                                                             |

A conversion is release, then acquire, for a handle that asks again in another mode is refused by the cell. Whatever an
interrupted or failed call may have left is let go of by closing its handle; who still needs the grip opens another.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from chubby.types.nodes import LockMode
from fuse_mount.ranges import NOTHING, Ranges, Span, strongest


class Node(msgspec.Struct, frozen=True):
    """A node as locks see it: `instance` says which, `path` under which name it was opened."""

    path: str
    instance: int


class Kind(enum.Enum):
    """Which of the two families of locks: flock(2), or fcntl(2) with lockf(3)."""

    FLOCK = "flock"
    POSIX = "posix"


class Claimant(msgspec.Struct, frozen=True):
    """Who can hold a lock: of flock an open file, by its number; of fcntl the kernel's `lock_owner`."""

    kind: Kind
    owner: int


class Ask(msgspec.Struct, frozen=True):
    """A lock is wanted, through an open file, by a process (0: out of sight, and so nobody's like)."""

    node: Node
    claimant: Claimant
    file: int
    process: int
    span: Span
    mode: LockMode
    wait: bool


class Claim(msgspec.Struct, frozen=True):
    """What a claimant has: never nothing. `files` and `processes` are those it asked through, first ones first."""

    ranges: Ranges
    files: tuple[int, ...]
    processes: tuple[int, ...]


class Verdict(enum.Enum):
    """How an ask ended."""

    GRANTED = "granted"
    REFUSED = "refused"  # it did not want to wait; what it had, if anything, is as before, or for flock perhaps lost
    LOST = "lost"  # refused, and what the fcntl owner had before was lost in the attempt
    STALE = "stale"  # the node is gone
    FAILED = "failed"  # by what the call of this very thread raised
    INTERRUPTED = "interrupted"
    DROPPED = "dropped"  # its open file was released
    ABANDONED = "abandoned"  # the session is lost


class Pending:
    """An ask under way: its grip, and once it has ended its verdict."""

    __slots__ = ("ask", "grip", "ticket", "verdict")

    def __init__(self, ticket: int, ask: Ask, grip: Grip) -> None:
        self.ticket = ticket
        self.ask = ask
        self.grip = grip
        self.verdict: Verdict | None = None


class Phase(enum.Enum):
    """Where a grip stands: see the module."""

    CLOSED = "closed"
    OPENING = "opening"
    IDLE = "idle"
    ACQUIRING = "acquiring"
    TRYING = "trying"
    HELD = "held"
    PEEKING = "peeking"
    RELEASING = "releasing"
    BROKEN = "broken"
    CLOSING = "closing"


class Deed(enum.Enum):
    """What a driver does, over the network."""

    OPEN = "open"
    ACQUIRE = "acquire"
    TRY = "try"
    PEEK = "peek"
    RELEASE = "release"
    CLOSE = "close"


class Outcome(enum.Enum):
    """What came of a deed. Of a PEEK, DONE and REFUSED are the answer. CLOSE is always DONE, at least in the end."""

    DONE = "done"
    REFUSED = "refused"
    STALE = "stale"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Work(msgspec.Struct, frozen=True):
    """Do this, then report. `mode` is that of ACQUIRE, TRY, and of the conversion that a PEEK is for."""

    grip: int
    node: Node
    deed: Deed
    mode: LockMode | None = None


class Wait(msgspec.Struct, frozen=True):
    """Somebody else works on the grip: wait to be woken, then ask for the next step."""


class Finish(msgspec.Struct, frozen=True):
    """There is nothing left to do. `verdict` is that of the ask; None after mere upkeep."""

    verdict: Verdict | None = None


Step = Work | Wait | Finish
"""What a thread has to do next."""

BEGINNINGS: Final[Mapping[Phase, Mapping[Deed, Phase]]] = {
    Phase.CLOSED: {Deed.OPEN: Phase.OPENING},
    Phase.IDLE: {Deed.ACQUIRE: Phase.ACQUIRING, Deed.TRY: Phase.TRYING, Deed.CLOSE: Phase.CLOSING},
    Phase.HELD: {Deed.PEEK: Phase.PEEKING, Deed.RELEASE: Phase.RELEASING, Deed.CLOSE: Phase.CLOSING},
    Phase.BROKEN: {Deed.CLOSE: Phase.CLOSING},
}
"""A phase at rest, and what each deed that is possible in it begins."""

_SPOILT: Final = {Outcome.STALE: Phase.BROKEN, Outcome.FAILED: Phase.BROKEN, Outcome.INTERRUPTED: Phase.BROKEN}
_UNCHANGED: Final = {Outcome.REFUSED: Phase.HELD, Outcome.FAILED: Phase.HELD, Outcome.INTERRUPTED: Phase.HELD}
_UNOPENED: Final = {Outcome.STALE: Phase.CLOSED, Outcome.FAILED: Phase.CLOSED, Outcome.INTERRUPTED: Phase.CLOSED}

ENDINGS: Final[Mapping[Phase, Mapping[Outcome, Phase]]] = {
    Phase.OPENING: {Outcome.DONE: Phase.IDLE, **_UNOPENED},
    Phase.ACQUIRING: {Outcome.DONE: Phase.HELD, **_SPOILT},
    Phase.TRYING: {Outcome.DONE: Phase.HELD, Outcome.REFUSED: Phase.IDLE, **_SPOILT},
    Phase.PEEKING: {Outcome.DONE: Phase.HELD, **_UNCHANGED, Outcome.STALE: Phase.BROKEN},
    Phase.RELEASING: {Outcome.DONE: Phase.IDLE, **_SPOILT},
    Phase.CLOSING: {Outcome.DONE: Phase.CLOSED},
}
"""A phase of work, and what each outcome that is possible makes of it."""

SECURE: Final = frozenset({Phase.HELD, Phase.PEEKING})
"""The phases in which the cell knows the lock as this grip's."""


class Grip:
    """One grip. `claims` is what its claimants have, `pending` what is asked of it and has no end yet, by ticket.

    `driver` is the ticket of the ask whose thread works on it (0: upkeep for nobody's sake), None at rest. `wanted` is
    the mode of the acquire under way; `attainable` what its driver's PEEK brought, None before that. `regaining`: the
    work under way is for claims that a conversion gave up. `spoilt`: its handle was closed under its driver.

    Invariants: at rest it is in a phase that BEGINNINGS knows; held, its mode covers every claim; no two claimants of
    one kind are in it.
    """

    __slots__ = (
        "attainable",
        "claims",
        "driver",
        "mode",
        "node",
        "number",
        "pending",
        "phase",
        "regaining",
        "spoilt",
        "wanted",
    )

    def __init__(self, number: int, node: Node) -> None:
        self.number = number
        self.node = node
        self.phase = Phase.CLOSED
        self.mode: LockMode | None = None
        self.wanted: LockMode | None = None
        self.driver: int | None = None
        self.attainable: bool | None = None
        self.regaining = False
        self.spoilt = False
        self.claims: dict[Claimant, Claim] = {}
        self.pending: dict[int, Pending] = {}

    @property
    def needed(self) -> LockMode | None:
        """The mode that covers what its claimants have."""
        return strongest(claim.ranges.strongest for claim in self.claims.values())

    @property
    def deserted(self) -> bool:
        """Whether nobody has or wants anything of it."""
        return not self.claims and all(pending.verdict is not None for pending in self.pending.values())

    def admits(self, claimant: Claimant) -> bool:
        """Whether no other claimant of its kind is in it."""
        return all(other == claimant or other.kind is not claimant.kind for other, _, _ in self._members())

    def closeness(self, claimant: Claimant, file: int | None, process: int) -> int:
        """How much somebody in it is like who asks: 3 it is itself in it, 2 one open file, 1 one process, 0 not."""
        closest = 0
        for other, files, processes in self._members():
            if other == claimant:
                return 3
            if file in files:
                closest = 2
            elif process and process in processes:
                closest = max(closest, 1)
        return closest

    def grant(self, pending: Pending) -> None:
        """The grip covers what is asked: the claimant has it."""
        ask = pending.ask
        had = self.claims.get(ask.claimant) or Claim(NOTHING, (), ())
        files = had.files if ask.file in had.files else (*had.files, ask.file)
        processes = had.processes if ask.process in had.processes else (*had.processes, ask.process)
        self.claims[ask.claimant] = Claim(had.ranges.set(ask.span, ask.mode), files, processes)
        pending.verdict = Verdict.GRANTED

    def put(self, claimant: Claimant, claim: Claim) -> None:
        """That is what the claimant has from now on, perhaps nothing."""
        if claim.ranges:
            self.claims[claimant] = claim
        else:
            del self.claims[claimant]

    def begin(self, deed: Deed, mode: LockMode | None = None, *, regaining: bool = False) -> Work:
        """The driver does `deed` now."""
        assert self.driver is not None, "only a driver works"
        self.phase = BEGINNINGS[self.phase][deed]
        self.regaining = regaining
        self.wanted = mode
        return Work(self.number, self.node, deed, mode)

    def end(self, outcome: Outcome) -> None:
        """What the driver did came to this."""
        before, self.phase = self.phase, ENDINGS[self.phase][outcome]
        if self.spoilt and self.phase is not Phase.CLOSED:
            self.phase = Phase.BROKEN
        if self.phase is not Phase.HELD:
            self.mode = None
        elif before is Phase.PEEKING:
            self.attainable = outcome is Outcome.DONE
        else:
            self.mode = self.wanted
        self.spoilt = False

    def _members(self) -> Iterator[tuple[Claimant, tuple[int, ...], tuple[int, ...]]]:
        """Who has or wants something of it, with the open files and processes."""
        for claimant, claim in self.claims.items():
            yield claimant, claim.files, claim.processes
        for pending in self.pending.values():
            if pending.verdict is None:
                yield pending.ask.claimant, (pending.ask.file,), (pending.ask.process,)
