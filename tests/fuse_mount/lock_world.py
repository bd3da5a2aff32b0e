"""A world for the claims: threads that do what they are told one step at a time, and a cell with one lock.

A thread here is an `Actor`. Which one takes the next step, and whether that step goes well, is the test's choice; a
thread that waits goes on only if it was woken. After each step `check` compares what the claims believe with what the
callers were told and with what the cell knows.
"""

from __future__ import annotations

import enum
from itertools import combinations

import pytest

from chubby.types.nodes import LockMode
from fuse_mount.claims import Claims
from fuse_mount.grips import (
    BEGINNINGS,
    SECURE,
    Ask,
    Claimant,
    Deed,
    Finish,
    Grip,
    Kind,
    Node,
    Outcome,
    Phase,
    Step,
    Verdict,
    Wait,
    Work,
)
from fuse_mount.obstacles import attainable
from fuse_mount.ranges import NOTHING, WHOLE, Ranges, Span, covers
from tests.fuse_mount.fake_lock import FakeLock

NODE = Node("/f", 1)
EXCLUSIVE, SHARED = LockMode.EXCLUSIVE, LockMode.SHARED
GRANTED, REFUSED = Verdict.GRANTED, Verdict.REFUSED
FILE_1, OWNER_9 = Claimant(Kind.FLOCK, 1), Claimant(Kind.POSIX, 9)
PATIENCE = 2000
"""More steps than any story needs: who has not come to rest by then never will."""


def flock(file: int, mode: LockMode = EXCLUSIVE, *, process: int = 0, wait: bool = True) -> Ask:
    """An ask of flock(2)."""
    return Ask(NODE, Claimant(Kind.FLOCK, file), file, process, WHOLE, mode, wait)


def posix(
    owner: int, file: int, mode: LockMode = EXCLUSIVE, *, process: int = 0, span: Span = WHOLE, wait: bool = True
) -> Ask:
    """An ask of fcntl(2)."""
    return Ask(NODE, Claimant(Kind.POSIX, owner), file, process, span, mode, wait)


class Luck(enum.Enum):
    """How a step goes."""

    WELL = "well"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Actor:
    """A thread: for an ask, or (ticket 0) for the upkeep of a grip. `did` is what it has done, the deeds in order."""

    def __init__(self, step: Step, ticket: int = 0, ask: Ask | None = None, chore: int | None = None) -> None:
        self.step = step
        self.chore = chore
        self.ticket = ticket
        self.ask = ask
        self.queued = False
        self.did: list[Deed] = []

    @property
    def verdict(self) -> Verdict | None:
        """How its ask ended, if it did."""
        return self.step.verdict if isinstance(self.step, Finish) else None


class World:
    """The claims, the cell's lock, the threads, and what each claimant was told that it has."""

    def __init__(self) -> None:
        self.claims = Claims()
        self.lock = FakeLock()
        self.node_is_there = True
        self.handles: dict[int, int] = {}
        self.open_handles: set[int] = set()
        self.actors: list[Actor] = []
        self.woken: set[int] = set()
        self.told: dict[Claimant, Ranges] = {}
        self._last_handle = 0

    # ------------------------------------------------------------------------------------------------------- deeds

    def ask(self, ask: Ask) -> Actor:
        """A thread asks, and is told its first step."""
        ticket = self.claims.ask(ask)
        actor = Actor(self.claims.next(ticket), ticket, ask)
        self._after(actor)
        return actor

    def settle(self, ask: Ask) -> Actor:
        """A thread asks, and everybody goes on for as long as there is a step to take."""
        actor = self.ask(ask)
        self.run()
        return actor

    def unlock(self, claimant: Claimant, span: Span = WHOLE) -> None:
        """Somebody unlocks; a thread sees to the grips."""
        if claimant in self.told:
            self._tell(claimant, self.told[claimant].unset(span))
        self._tend(self.claims.unlock(NODE, claimant, span))

    def drop(self, file: int) -> None:
        """An open file is released."""
        for grip in self.grips:
            for claimant, claim in grip.claims.items():
                if claim.files == (file,):
                    self.told.pop(claimant, None)
        self._tend(self.claims.drop_file(file))

    def step(self, actor: Actor, luck: Luck = Luck.WELL) -> bool:
        """One step of a thread; False if there is none to take."""
        match actor.step:
            case Finish():
                return False
            case Wait() if actor.chore is not None:
                actor.step, actor.chore = self.claims.tend(actor.chore), None
            case Wait() if actor.ticket in self.woken and luck is not Luck.INTERRUPTED:
                self.woken.discard(actor.ticket)
                actor.step = self.claims.next(actor.ticket)
            case Wait():
                if luck is not Luck.INTERRUPTED:
                    return False
                self.claims.withdraw(actor.ticket)
                actor.step = Finish(Verdict.INTERRUPTED)
            case Work() as work:
                outcome = self._outcome(actor, work, luck)
                if outcome is None:
                    return False
                actor.queued = False
                actor.did.append(work.deed)
                actor.step = self.claims.report(work.grip, outcome)
        self._after(actor)
        return True

    def run(self) -> None:
        """Everybody goes on for as long as there is a step to take; then nobody waits without a reason."""
        for _ in range(PATIENCE):
            if not sum(self.step(actor) for actor in list(self.actors)):  # all of them, each round
                break
        else:
            raise AssertionError("they never come to rest")
        for grip in self.grips:
            if grip.driver is None:
                assert grip.phase is Phase.HELD, "a grip at rest is there because it is needed"
                assert grip.claims, "nobody holds what nobody has"
        for actor in self.actors:
            assert isinstance(actor.step, Work | Wait)
            driver = actor if isinstance(actor.step, Work) else self._driver_for(actor)
            assert isinstance(driver.step, Work)
            assert driver.step.deed is Deed.ACQUIRE, "only a lock is waited for without end"
            assert self.handles[driver.step.grip] in self.lock.waiters

    def _driver_for(self, actor: Actor) -> Actor:
        """The thread that works on the grip for which `actor` waits."""
        driver = self.claims._pending[actor.ticket].grip.driver
        return next(other for other in self.actors if other.ticket == driver)

    def _outcome(self, actor: Actor, work: Work, luck: Luck) -> Outcome | None:
        """What the cell makes of a piece of work; None if it is not done yet."""
        if work.deed is Deed.OPEN:
            if luck is Luck.WELL and self.node_is_there:
                self._last_handle += 1
                self.handles[work.grip] = self._last_handle
                self.open_handles.add(self._last_handle)
            return Outcome.STALE if not self.node_is_there else _come_to(luck)
        handle = self.handles[work.grip]
        if work.deed is Deed.CLOSE:
            self._close(self.handles.pop(work.grip))
            return Outcome.DONE
        if handle not in self.open_handles or not self.node_is_there:
            return Outcome.STALE
        if work.deed is Deed.ACQUIRE:
            assert work.mode is not None
            if not actor.queued:
                actor.queued = True
                self.lock.acquire(handle, work.mode)
            if luck is not Luck.WELL and handle in self.lock.waiters:
                self.lock.leave(handle)  # cancelled; if the grant came first, it stays
            return None if handle in self.lock.waiters else _come_to(luck)
        return self._quick(work, handle, luck)

    def _quick(self, work: Work, handle: int, luck: Luck) -> Outcome:
        """Work that the cell answers at once. Unlucky, it has had its effect, and nobody was told."""
        found = Outcome.DONE
        if work.deed is Deed.RELEASE:
            self.lock.release(handle)
        elif work.deed is Deed.PEEK and work.mode is not None:
            found = Outcome.DONE if attainable(self.lock.info(), work.mode) else Outcome.REFUSED
        elif work.mode is not None and not self.lock.try_acquire(handle, work.mode):
            found = Outcome.REFUSED
        return found if luck is Luck.WELL else _come_to(luck)

    def _close(self, handle: int) -> None:
        self.open_handles.discard(handle)
        self.lock.leave(handle)

    def _tend(self, grips: tuple[int, ...]) -> None:
        self._drain()
        self.actors += [Actor(Wait(), chore=grip) for grip in grips]

    def _after(self, actor: Actor) -> None:
        """Keep the books after a step of `actor`."""
        if actor not in self.actors:
            self.actors.append(actor)
        if isinstance(actor.step, Finish):
            self.actors.remove(actor)
            if actor.ask is not None:
                self._ended(actor, actor.ask)
        self._drain()
        self.check()

    def _ended(self, actor: Actor, ask: Ask) -> None:
        had = self.told.get(ask.claimant, NOTHING)
        if actor.verdict is Verdict.GRANTED:
            self._tell(ask.claimant, had.set(ask.span, ask.mode))
        elif actor.verdict is Verdict.LOST:
            self._tell(ask.claimant, NOTHING)
        elif ask.claimant.kind is Kind.FLOCK and Deed.RELEASE in actor.did and not self._knows(ask.claimant):
            self._tell(ask.claimant, NOTHING)  # as flock(2) allows

    def _drain(self) -> None:
        outbox = self.claims.drain()
        self.woken.update(outbox.woken)
        for _, claimant, claim in outbox.lost:
            if self.told.get(claimant) == claim.ranges:
                del self.told[claimant]
        for grip in outbox.aborted:
            self._close(self.handles[grip])
        self.actors += [Actor(Wait(), chore=grip) for grip in outbox.neglected]

    def _tell(self, claimant: Claimant, ranges: Ranges) -> None:
        self.told.pop(claimant, None)
        if ranges:
            self.told[claimant] = ranges

    # ------------------------------------------------------------------------------------------------------- checks

    @property
    def grips(self) -> list[Grip]:
        """All of them, those on their way out too."""
        return list(self.claims._grips.values())

    def _knows(self, claimant: Claimant) -> bool:
        return any(claimant in grip.claims for grip in self.grips)

    def check(self) -> None:
        """What must hold after every step."""
        believed = {claimant: claim.ranges for grip in self.grips for claimant, claim in grip.claims.items()}
        assert sum(len(grip.claims) for grip in self.grips) == len(believed), "in one grip only"
        unsure = {actor.ask.claimant for actor in self.actors if actor.ask is not None and Deed.RELEASE in actor.did}
        for claimant in {*believed, *self.told} - unsure:
            assert believed.get(claimant) == self.told.get(claimant), "what a caller was told that it has, it has"
        for grip in self.grips:
            if grip.driver is None:
                assert grip.phase in BEGINNINGS
            if grip.phase in SECURE and not grip.spoilt:
                assert self.lock.holders.get(self.handles[grip.number]) is grip.mode
                assert covers(grip.mode, grip.needed)
            for one, other in combinations({*grip.claims, *(p.ask.claimant for p in grip.pending.values())}, 2):
                assert one.kind is not other.kind or not _open(grip, one) or not _open(grip, other)
        secure = [grip for grip in self.grips if grip.phase in SECURE]
        for left, right in combinations(secure, 2):
            assert left.mode is right.mode is SHARED, "an exclusive lock is alone"
        assert set(self.handles.values()) >= self.open_handles, "no handle is forgotten"

    def is_empty(self) -> None:
        """Nothing is left behind."""
        assert not self.actors
        assert not self.open_handles
        assert not self.lock.holders
        assert not self.lock.waiters
        assert not self.claims._grips
        assert not self.claims._open
        assert not self.claims._pending
        assert not self.told


def _open(grip: Grip, claimant: Claimant) -> bool:
    return claimant in grip.claims or any(
        pending.ask.claimant == claimant and pending.verdict is None for pending in grip.pending.values()
    )


def _come_to(luck: Luck) -> Outcome:
    return {Luck.WELL: Outcome.DONE, Luck.INTERRUPTED: Outcome.INTERRUPTED, Luck.FAILED: Outcome.FAILED}[luck]


@pytest.fixture
def world() -> World:
    """Nobody has anything."""
    return World()
