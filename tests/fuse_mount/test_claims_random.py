"""The claims under whatever threads, signals and failures do to them, in any order; and against Linux.

Two properties. Whatever happens, what a caller was told is what the cell knows, nobody waits without a reason, and
nothing is left behind. And as long as nothing happens at once, flock(2) and fcntl(2) answer as Linux would.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chubby.types.nodes import LockMode
from fuse_mount.grips import Ask, Claimant, Kind, Verdict
from fuse_mount.ranges import NOTHING, WHOLE, Ranges, Span, covers, strongest
from tests.fuse_mount.lock_world import EXCLUSIVE, SHARED, Actor, Luck, World, flock, posix

MODES = st.sampled_from([EXCLUSIVE, SHARED])
SPANS = st.sampled_from([WHOLE, Span(0, 10), Span(5, 20), Span(20)])
PEOPLE = st.sampled_from([(1, 10), (2, 10), (3, 20), (4, 20), (4, 30), (5, 0), (6, 0)])
"""Open files and processes that use them: 10 has two, 4 is shared by a parent and its child, 5 and 6 are unseen."""


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """Any ask of anybody."""
    file, process = draw(PEOPLE)
    mode, wait = draw(MODES), draw(st.booleans())
    if draw(st.booleans()):
        return flock(file, mode, process=process, wait=wait)
    owner = 100 + (process or file)
    return posix(owner, file, mode, process=process, span=draw(SPANS), wait=wait)


class AnyOrder(RuleBasedStateMachine):
    """Threads ask, step, are interrupted, fail; others unlock and release under them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def _actor(self, which: int) -> Actor:
        return self.world.actors[which % len(self.world.actors)]

    @rule(ask=asks())
    def ask(self, ask: Ask) -> None:
        """A new thread."""
        self.world.ask(ask)

    @precondition(lambda self: self.world.actors)
    @rule(which=st.integers(0, 20), steps=st.integers(1, 4))
    def step(self, which: int, steps: int) -> None:
        """A thread gets on, or cannot."""
        actor = self._actor(which)
        for _ in range(steps):
            self.world.step(actor)

    @precondition(lambda self: self.world.actors)
    @rule(which=st.integers(0, 20), luck=st.sampled_from([Luck.INTERRUPTED, Luck.FAILED]))
    def mishap(self, which: int, luck: Luck) -> None:
        """A thread's step fails, perhaps after it had its effect."""
        self.world.step(self._actor(which), luck)

    @rule(person=PEOPLE, kind=st.sampled_from(Kind), span=SPANS)
    def unlock(self, person: tuple[int, int], kind: Kind, span: Span) -> None:
        """Somebody unlocks, whatever is under way."""
        file, process = person
        claimant = Claimant(kind, file if kind is Kind.FLOCK else 100 + (process or file))
        self.world.unlock(claimant, WHOLE if kind is Kind.FLOCK else span)

    @rule(person=PEOPLE)
    def drop(self, person: tuple[int, int]) -> None:
        """An open file is released, whatever is under way."""
        self.world.drop(person[0])

    @rule()
    def run(self) -> None:
        """All get on until all have ended or wait in line."""
        self.world.run()

    @invariant()
    def believed_is_known(self) -> None:
        """The checks of the world hold."""
        self.world.check()

    def teardown(self) -> None:
        """All files are released: nothing is left."""
        for file in range(1, 7):
            self.world.drop(file)
        self.world.run()
        self.world.is_empty()
        assert not self.world.claims._nodes


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


# ------------------------------------------------------------------------------------------------------ against Linux


class Linux:
    """One node, processes with one open file each, whole-file conflicts, nobody waits: flock(2) and fcntl(2).

    The two families meet in one lock here, but not within a process. A process' hold grows with what it asks, shrinks
    when its only lock is weakened, and ends with its last lock.
    """

    def __init__(self) -> None:
        self.has: dict[Claimant, Ranges] = {}
        self.hold: dict[int, LockMode] = {}

    def ask(self, ask: Ask) -> bool:
        """Whether it is granted; refused, everything stays as it was."""
        before = self.has.get(ask.claimant, NOTHING)
        after = before.set(ask.span, ask.mode)
        hold = self.hold.get(ask.process)
        alone = self._of(ask.process) == [ask.claimant]
        others = strongest(mode for process, mode in self.hold.items() if process != ask.process)
        if not covers(hold, after.strongest) and others is not None and EXCLUSIVE in {after.strongest, others}:
            return False
        weaker = alone and hold is before.strongest
        mode = after.strongest if weaker else strongest([hold, after.strongest])
        assert mode is not None
        self.has[ask.claimant], self.hold[ask.process] = after, mode
        return True

    def unlock(self, claimant: Claimant, span: Span) -> None:
        """Always possible."""
        if claimant in self.has:
            process = _process_of(claimant)
            self.has[claimant] = self.has[claimant].unset(span)
            if not self.has[claimant]:
                del self.has[claimant]
            if not self._of(process):
                del self.hold[process]

    def _of(self, process: int) -> list[Claimant]:
        return [claimant for claimant in self.has if _process_of(claimant) == process]


def _process_of(claimant: Claimant) -> int:
    return claimant.owner % 100


DEEDS = st.lists(
    st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from(Kind), st.sampled_from([None, EXCLUSIVE, SHARED]), SPANS),
    max_size=25,
)


@given(DEEDS)
@settings(max_examples=400)
def test_one_after_the_other_it_is_as_on_linux(deeds: list[tuple[int, Kind, LockMode | None, Span]]) -> None:
    """Each request without waiting, carried out before the next: the same answers, and the same locks afterwards."""
    linux, world = Linux(), World()
    for process, kind, mode, span in deeds:
        owner = process if kind is Kind.FLOCK else 100 + process
        where = WHOLE if kind is Kind.FLOCK else span
        claimant = Claimant(kind, owner)
        if mode is None:
            linux.unlock(claimant, where)
            world.unlock(claimant, where)
            world.run()
            continue
        if kind is Kind.FLOCK:
            ask = flock(process, mode, process=process, wait=False)
        else:
            ask = posix(owner, process, mode, process=process, span=span, wait=False)
        verdict = world.settle(ask).verdict
        assert verdict is (Verdict.GRANTED if linux.ask(ask) else Verdict.REFUSED)
        assert world.told == linux.has
    assert sorted(linux.hold.values()) == sorted(world.lock.holders.values())
