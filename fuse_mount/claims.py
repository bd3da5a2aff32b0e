"""PURE. Who claims which locks through one session of ours: the rules, sans network and threads (see also `grips`).

A thread that wants a lock says so (`ask`), gets a ticket, and then does what it is told, step by step, until it is told
to finish: `next` begins, `report` goes on after each piece of work. Unlocking takes effect at once, and names the grips
that may have become idle: `tend` them. After every call `drain` says whom to wake, and what else there is to do.

**What an ask comes to**, with the grip at rest:

| the grip                 | the ask               | what its thread does                                             |
|--------------------------|-----------------------|------------------------------------------------------------------|
| holds enough             | any                   | nothing: it is granted                                           |
| holds more, for it alone | to weaken what it has | PEEK; if nobody would snatch it: RELEASE, acquire; else keep it  |
| holds too little         | that waits            | RELEASE, ACQUIRE                                                 |
| holds too little         | that does not wait    | PEEK; if it is alone with the lock: RELEASE, TRY; else refused   |
| holds nothing            | any                   | OPEN if need be, then ACQUIRE or TRY                             |

So a conversion that is refused has given up nothing, but for a race between the PEEK and the TRY. A lock gets weaker
only if nobody else's claim is at risk, and never because something was unlocked: that can neither wait nor fail.

**What a conversion gave up** and did not get (refused after all, interrupted) is tried to be regained, without waiting,
for those who still have claims; what cannot be regained is lost, and said so. Until then it does not count as held.

**Upkeep** is what a grip needs for nobody's sake: to be closed when it is deserted or broken, to regain. A driver does
it before it rests; of an interrupted one it is left to others (`Outbox.neglected`), for its caller must not be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from chubby.types.nodes import LockMode
from fuse_mount.grips import (
    BEGINNINGS,
    SECURE,
    Ask,
    Claim,
    Claimant,
    Deed,
    Finish,
    Grip,
    Kind,
    Node,
    Outcome,
    Pending,
    Phase,
    Step,
    Verdict,
    Wait,
    Work,
)
from fuse_mount.obstacles import Standing, in_the_way
from fuse_mount.ranges import NOTHING, WHOLE, Span, covers, strongest

_UPKEEP: Final = 0
"""The driver that works for nobody's sake; tickets are greater."""
_ENDS: Final = frozenset({Outcome.FAILED, Outcome.INTERRUPTED})
"""The outcomes that end an ask in whichever phase they come."""


class Outbox(msgspec.Struct, frozen=True):
    """What there is to do besides the step: tickets to wake; grips to `tend`, though whoever let them come to that has
    no time; grips whose handle to close under their driver; claims that were lost through no doing of their owner.
    """

    woken: tuple[int, ...] = ()
    neglected: tuple[int, ...] = ()
    aborted: tuple[int, ...] = ()
    lost: tuple[tuple[Node, Claimant, Claim], ...] = ()


class Claims:
    """All claims of one session."""

    def __init__(self) -> None:
        self._grips: dict[int, Grip] = {}
        self._open: dict[Node, dict[int, Grip]] = {}
        self._pending: dict[int, Pending] = {}
        self._nodes: dict[int, Node] = {}
        self._last = 0
        self._over = False
        self._woken: dict[int, None] = {}
        self._neglected: dict[int, None] = {}
        self._aborted: list[int] = []
        self._lost: list[tuple[Node, Claimant, Claim]] = []

    # ------------------------------------------------------------------------------------------------------- asking

    def ask(self, ask: Ask) -> int:
        """Somebody wants a lock: the ticket under which its thread gets its steps."""
        self._last += 1
        grip = self._home(ask.node, ask.claimant, ask.file, ask.process) or self._new_grip(ask.node)
        pending = self._pending[self._last] = grip.pending[self._last] = Pending(self._last, ask, grip)
        if self._over:
            pending.verdict = Verdict.ABANDONED
        else:
            self._nodes[ask.file] = ask.node
        return pending.ticket

    def next(self, ticket: int) -> Step:
        """What the thread of this ask has to do now: at the beginning, and when it was woken."""
        pending = self._pending[ticket]
        grip, patient = pending.grip, pending.ask.wait
        assert grip.driver != ticket, "a driver goes on by reporting"
        if pending.verdict is None and grip.driver is not None:
            if patient or grip.phase is not Phase.ACQUIRING:
                return Wait()
            pending.verdict = Verdict.REFUSED
        if pending.verdict is not None:
            return self._finish(pending)
        grip.driver, grip.attainable = ticket, None
        return self._advance(grip)

    def report(self, number: int, outcome: Outcome) -> Step:
        """What came of the work on this grip; what its thread has to do next."""
        grip = self._grips[number]
        assert grip.driver is not None, "only a driver has something to report"
        if grip.spoilt and outcome is Outcome.STALE:
            outcome = Outcome.FAILED  # by our own closing of the handle; it says nothing of the node
        grip.end(outcome)
        if self._over:
            return self._rest(grip)
        if outcome is Outcome.STALE:
            self._bury(grip)
        elif grip.regaining and outcome in {Outcome.REFUSED, Outcome.FAILED}:
            self._lose(grip)
        elif outcome in _ENDS or (outcome is Outcome.REFUSED and grip.phase is Phase.IDLE):
            self._decide(grip, Verdict(outcome.value))
        if outcome is Outcome.INTERRUPTED:
            self._neglected[number] = None
            return self._rest(grip)
        return self._advance(grip)

    def withdraw(self, ticket: int) -> None:
        """The thread of this ask was interrupted while it waited to be woken: it takes no further step."""
        pending = self._pending[ticket]
        assert pending.grip.driver != ticket, "a driver reports its interruption"
        pending.verdict = Verdict.INTERRUPTED
        self._finish(pending)
        self._neglected[pending.grip.number] = None

    # ------------------------------------------------------------------------------------------------- giving back

    def unlock(self, node: Node, claimant: Claimant, span: Span = WHOLE) -> tuple[int, ...]:
        """These bytes are unlocked, now; what is being asked for is not touched. The grips to tend."""
        for grip in self._at(node):
            claim = grip.claims.get(claimant)
            if claim is not None:
                grip.put(claimant, msgspec.structs.replace(claim, ranges=claim.ranges.unset(span)))
                return (grip.number,)
        return ()

    def drop_file(self, file: int) -> tuple[int, ...]:
        """An open file is no more: what was taken through no other goes, what is asked through it ends. Grips to tend.

        The kernel unlocks what fcntl took at every close of a descriptor, so this is for flock, for open file
        description locks, and for whatever a killed process left.
        """
        node = self._nodes.pop(file, None)
        touched: dict[int, None] = {}
        for grip in self._at(node) if node is not None else ():
            for claimant, claim in list(grip.claims.items()):
                if file in claim.files:
                    files = tuple(other for other in claim.files if other != file)
                    ranges = claim.ranges if files else NOTHING
                    grip.put(claimant, msgspec.structs.replace(claim, ranges=ranges, files=files))
                    touched[grip.number] = None
            for pending in grip.pending.values():
                if pending.ask.file == file and pending.verdict is None:
                    pending.verdict = Verdict.DROPPED
                    self._woken[pending.ticket] = touched[grip.number] = None
                    if grip.driver == pending.ticket and grip.phase is Phase.ACQUIRING:
                        grip.spoilt = True
                        self._aborted.append(grip.number)
        return tuple(touched)

    def abandon(self) -> None:
        """The session is lost, and with it every lock: nothing is held any more, every ask ends, later ones at once."""
        self._over = True
        for pending in self._pending.values():
            if pending.verdict is None:
                pending.verdict = Verdict.ABANDONED
            self._woken[pending.ticket] = None
        self._grips = {number: grip for number, grip in self._grips.items() if grip.driver is not None}
        self._open.clear()
        self._nodes.clear()

    def tend(self, number: int) -> Step:
        """The first step of whoever has time for this grip's upkeep; Finish if there is none, or a driver."""
        grip = self._grips.get(number)
        if grip is None or grip.driver is not None:
            return Finish()
        grip.driver = _UPKEEP
        return self._advance(grip)

    def drain(self) -> Outbox:
        """What there is to do since the last time."""
        outbox = Outbox(tuple(self._woken), tuple(self._neglected), tuple(self._aborted), tuple(self._lost))
        for kept in (self._woken, self._neglected, self._aborted, self._lost):
            kept.clear()
        return outbox

    # ------------------------------------------------------------------------------------------------------ looking

    def standing(self, node: Node, claimant: Claimant, process: int, mode: LockMode, span: Span) -> Standing:
        """How a lock of `claimant` would fare on this mount. Any bytes of others count as the whole file."""
        home, obstacle = self._home(node, claimant, None, process), None
        for grip in self._at(node):
            if grip is not home and grip.phase in SECURE:
                obstacle = obstacle or in_the_way(grip, mode, span)
        return Standing(obstacle, home.mode if home is not None and home.phase in SECURE else None)

    def has(self, node: Node, claimant: Claimant) -> bool:
        """Whether this claimant holds anything of the node."""
        return any(claimant in grip.claims for grip in self._at(node))

    def holding(self, node: Node, process: int) -> int | None:
        """The grip through which this process holds the node's lock, the strongest of several; None if it does not."""
        grips = [
            grip
            for grip in self._at(node)
            if grip.phase in SECURE and any(process in claim.processes for claim in grip.claims.values())
        ]
        found = strongest(grip.mode for grip in grips) if process else None
        return next((grip.number for grip in grips if grip.mode is found), None) if found is not None else None

    # ------------------------------------------------------------------------------------------------------ driving

    def _advance(self, grip: Grip) -> Step:
        """The next step of the grip's driver: for its ask while that is open, then for the grip's own sake."""
        pending = self._pending.get(grip.driver or _UPKEEP)
        work = self._serve(grip, pending) if pending is not None and pending.verdict is None else None
        return work or self._upkeep(grip) or self._rest(grip)

    def _serve(self, grip: Grip, pending: Pending) -> Work | None:
        """What the driver does for its ask; None if that has its verdict now."""
        ask, had = pending.ask, grip.claims.get(pending.ask.claimant)
        before = had.ranges if had is not None else NOTHING
        after = before.set(ask.span, ask.mode)
        others = [claim.ranges.strongest for claimant, claim in grip.claims.items() if claimant != ask.claimant]
        if grip.phase is Phase.HELD:
            if not covers(grip.mode, after.strongest):
                if not ask.wait and grip.attainable is None:
                    return grip.begin(Deed.PEEK, after.strongest)
                if ask.wait or grip.attainable:
                    return grip.begin(Deed.RELEASE)
                pending.verdict = Verdict.REFUSED
                return None
            weakens = grip.mode is before.strongest is not after.strongest and not others
            if weakens and grip.attainable is None:
                return grip.begin(Deed.PEEK, after.strongest)
            if weakens and grip.attainable:
                return grip.begin(Deed.RELEASE)
            grip.grant(pending)
            return None
        if grip.phase is not Phase.IDLE:
            return grip.begin(Deed.OPEN if grip.phase is Phase.CLOSED else Deed.CLOSE)
        if ask.wait:
            self._wake(grip)  # who does not wait is refused from now on
        return grip.begin(Deed.ACQUIRE if ask.wait else Deed.TRY, strongest([after.strongest, *others]))

    def _upkeep(self, grip: Grip) -> Work | None:
        """What the driver does for the grip's own sake; None if it may rest as it is."""
        if grip.deserted:
            self._open.get(grip.node, {}).pop(grip.number, None)
            if not self._open.get(grip.node):
                self._open.pop(grip.node, None)
            if grip.phase is not Phase.CLOSED:
                return grip.begin(Deed.CLOSE)
            self._grips.pop(grip.number, None)
            return None
        if grip.phase is Phase.BROKEN:
            return grip.begin(Deed.CLOSE)
        if grip.claims and grip.phase is not Phase.HELD:
            regain = Deed.OPEN if grip.phase is Phase.CLOSED else Deed.TRY
            return grip.begin(regain, grip.needed, regaining=True)
        return None

    def _rest(self, grip: Grip) -> Finish:
        """The driver is done, and others may go on."""
        pending = self._pending.get(grip.driver or _UPKEEP)
        self._wake(grip)
        grip.driver = None
        if self._over:
            self._grips.pop(grip.number, None)
        else:
            assert grip.phase in BEGINNINGS, "a grip rests between deeds"
            assert grip.phase is not Phase.HELD or covers(grip.mode, grip.needed), "what is had is held"
        return self._finish(pending) if pending is not None else Finish()

    def _finish(self, pending: Pending) -> Finish:
        """The ask is over."""
        assert pending.verdict is not None, "an ask ends with a verdict"
        del self._pending[pending.ticket], pending.grip.pending[pending.ticket]
        return Finish(pending.verdict)

    def _decide(self, grip: Grip, verdict: Verdict) -> None:
        """That is what the driver's ask comes to, unless it has ended already."""
        pending = self._pending.get(grip.driver or _UPKEEP)
        if pending is not None and pending.verdict is None:
            pending.verdict = verdict

    def _bury(self, grip: Grip) -> None:
        """The node is gone, and every lock of it."""
        for pending in grip.pending.values():
            pending.verdict = pending.verdict or Verdict.STALE
        self._lost += [(grip.node, claimant, claim) for claimant, claim in grip.claims.items()]
        grip.claims.clear()

    def _lose(self, grip: Grip) -> None:
        """What a conversion gave up could not be regained."""
        pending = self._pending.get(grip.driver or _UPKEEP)
        own = pending.ask.claimant if pending is not None else None
        self._lost += [(grip.node, other, claim) for other, claim in grip.claims.items() if other != own]
        if pending is not None and own in grip.claims and own.kind is Kind.POSIX:
            pending.verdict = Verdict.LOST
        grip.claims.clear()

    # ------------------------------------------------------------------------------------------------------- places

    def _at(self, node: Node) -> Iterator[Grip]:
        """The grips of a node that may be joined, the oldest first."""
        return iter(self._open.get(node, {}).values())

    def _home(self, node: Node, claimant: Claimant, file: int | None, process: int) -> Grip | None:
        """The grip that a claim belongs to or may join, the closest one; None if it needs one of its own."""
        found, closest = None, 0
        for grip in self._at(node):
            closeness = grip.closeness(claimant, file, process)
            if closeness > closest and grip.admits(claimant):
                found, closest = grip, closeness
        return found

    def _new_grip(self, node: Node) -> Grip:
        grip = Grip(self._last, node)
        if not self._over:
            self._grips[grip.number] = self._open.setdefault(node, {})[grip.number] = grip
        return grip

    def _wake(self, grip: Grip) -> None:
        for ticket in grip.pending:
            if ticket != grip.driver:
                self._woken[ticket] = None
