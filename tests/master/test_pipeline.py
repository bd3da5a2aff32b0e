"""The way of a command into the log: invalidate, take turns, look again, propose (DESIGN §5 Invalidate first)."""

from __future__ import annotations

from chubby.master.counters import Counters
from chubby.master.effects import Propose
from chubby.master.footprints import Departures, node_key
from chubby.master.invalidation import Invalidations
from chubby.master.mailbox import Mailbox
from chubby.master.moment import Moment
from chubby.master.pipeline import Pipeline, Work, WorkPlan
from chubby.master.proposals import Proposals
from chubby.master.registry import Registry
from chubby.master.session import Session, SessionState
from chubby.namespace.commands import Body, CheckDigest, SetVersion
from chubby.namespace.outcomes import Applied, Outcome
from chubby.types.identity import CallNumber, SessionId
from chubby.types.nodes import LockOwner
from chubby.types.stream import CacheKey
from chubby.types.time import SECOND
from tests.master.cell import SETTINGS

A, B = node_key("/a"), node_key("/b")
NOW = Moment(10 * SECOND, 20 * SECOND)


class Errand:
    """Proposes what it was told; notes what happened to it."""

    def __init__(self, plan: WorkPlan, session: Session | None = None, acknowledged: CallNumber = 0) -> None:
        self.now: WorkPlan | None = plan
        self.session = session
        self.acknowledged = acknowledged
        self.queues = True
        self.looks = 0
        self.is_proposed = False
        self.outcome: Outcome | None = None

    def plan(self, at: Moment) -> WorkPlan | None:
        """As it is now."""
        self.looks += 1
        return self.now

    def proposed(self) -> None:
        """Noted."""
        self.is_proposed = True

    def applied(self, outcome: Outcome, at: Moment) -> None:
        """Noted."""
        self.outcome = outcome


class Line:
    """A pipeline with sessions that cache, gates that open, and a log."""

    def __init__(self) -> None:
        self.sessions: dict[SessionId, Session] = {}
        self.registry = Registry()
        self.told: dict[SessionId, None] = {}
        self.proposals = Proposals()
        self.proposals.begin(7)
        self.invalidations = Invalidations(self.sessions, self.registry, Counters(), self.told)
        self.departures = Departures()
        self.gate = True
        self.free = True
        self.pipeline = Pipeline(
            self.proposals,
            self.invalidations,
            self.departures,
            lambda: self.gate,
            lambda plan, at: self.free,
        )

    def reader(self, number: SessionId, *keys: CacheKey, cache_until: int = 14 * SECOND) -> Session:
        """A session that caches these keys, filled by its call 5."""
        mailbox = Mailbox(SETTINGS, Counters(), 0)
        session = Session(
            number,
            "p",
            caching=True,
            acknowledged=0,
            mailbox=mailbox,
            state=SessionState.LIVE,
            lease_until=100 * SECOND,
        )
        session.cache_until = cache_until
        self.sessions[number] = session
        for key in keys:
            self.registry.register(number, key, 5)
        return session

    def admit(self, errand: Errand, at: Moment = NOW) -> Work:
        """Start it, and let everything go as far as it goes."""
        assert errand.now is not None
        work = self.pipeline.admit(errand, errand.now, at)
        self.pipeline.run(at)
        return work

    def acknowledge(self, session: Session, at: Moment = NOW) -> None:
        """The session carries out everything it was told."""
        while (push := session.mailbox.next_push(0)) is not None:
            settled = session.mailbox.acknowledge(push.number)
            self.registry.acknowledged(session.id, settled.keys, settled.place)
        self.pipeline.rounds_clear(self.invalidations.settled(session))
        self.pipeline.run(at)

    def bodies(self) -> list[Body]:
        """What was proposed since the last time."""
        return [effect.command.body for effect in self.proposals.take_effects() if isinstance(effect, Propose)]

    def applied(self, sequence: int) -> None:
        """The log has come to it."""
        self.pipeline.applied(Outcome(sequence, 7, sequence, Applied()), NOW)
        self.pipeline.run(NOW)


def plan(
    version: int,
    *keys: CacheKey,
    locks: tuple[str, ...] = (),
    frees: tuple[str, ...] = (),
    leaving: tuple[tuple[str, LockOwner], ...] = (),
) -> WorkPlan:
    """A command that is recognised by its number."""
    return WorkPlan(SetVersion(version), keys, locks, frees, leaving)


def test_nobody_caches_it_so_it_is_proposed_at_once() -> None:
    """And planned only once: nothing can have changed."""
    line, errand = Line(), Errand(plan(1, A))
    line.admit(errand)
    assert line.bodies() == [SetVersion(1)] and errand.looks == 0 and errand.is_proposed


def test_uncachable_from_admission_to_outcome() -> None:
    """DESIGN §5: the counter rises before the first invalidation and falls when the change is applied or void."""
    line, errand = Line(), Errand(plan(1, A))
    reader = line.reader(1, A)
    line.admit(errand)
    assert A in line.invalidations.uncachable and line.bodies() == [] and line.told == {1: None}
    line.acknowledge(reader)
    assert A in line.invalidations.uncachable and line.bodies() == [SetVersion(1)]
    line.applied(1)
    assert A not in line.invalidations.uncachable and errand.outcome is not None


def test_waits_for_every_session_that_may_cache() -> None:
    """DESIGN §5: until every session that may cache it has acknowledged."""
    line, errand = Line(), Errand(plan(1, A))
    one, two = line.reader(1, A), line.reader(2, A)
    line.reader(3, B)
    line.admit(errand)
    line.acknowledge(one)
    assert line.bodies() == []
    line.acknowledge(two)
    assert line.bodies() == [SetVersion(1)] and 3 not in line.told


def test_a_lapsed_cache_lease_is_not_waited_for() -> None:
    """DESIGN §5: when a cache lease lapses writers stop waiting; the invalidation is queued all the same."""
    line, errand = Line(), Errand(plan(1, A))
    lapsed = line.reader(1, A, cache_until=NOW.now)
    line.admit(errand)
    assert line.bodies() == [SetVersion(1)] and lapsed.mailbox.owes


def test_waits_no_longer_than_the_lease() -> None:
    """A dead reader delays a writer by what was left of its lease, once."""
    line, errand = Line(), Errand(plan(1, A))
    line.reader(1, A, cache_until=14 * SECOND)
    line.admit(errand)
    assert line.invalidations.next_lapse == 14 * SECOND
    assert line.invalidations.lapse(14 * SECOND - 1) == []
    later = Moment(14 * SECOND, 20 * SECOND)
    line.pipeline.rounds_clear(line.invalidations.lapse(later.now))
    line.pipeline.run(later)
    assert line.bodies() == [SetVersion(1)]
    line.admit(Errand(plan(2, A)), later)
    assert line.bodies() == [SetVersion(2)], "the second writer does not wait at all"


def test_the_session_lease_bounds_the_wait_too() -> None:
    """A hit needs both leases."""
    line = Line()
    line.reader(1, A, cache_until=50 * SECOND).lease_until = 12 * SECOND
    line.admit(Errand(plan(1, A)))
    assert line.invalidations.next_lapse == 12 * SECOND


def test_one_round_is_enough() -> None:
    """A second writer waits for the same acknowledgement; nothing is sent twice."""
    line = Line()
    reader = line.reader(1, A)
    line.admit(Errand(plan(1, A)))
    line.admit(Errand(plan(2, A)))
    push = reader.mailbox.next_push(0)
    assert push is not None and push.invalidate == (A,) and reader.mailbox.next_push(0) is None
    reader.mailbox.acknowledge(1)
    line.pipeline.rounds_clear(line.invalidations.settled(reader))
    line.pipeline.run(NOW)
    assert line.bodies() == [SetVersion(1), SetVersion(2)]


def test_the_writers_own_copy_is_dropped_without_a_word() -> None:
    """DESIGN §5: the writer drops its own copies before it sends."""
    line = Line()
    writer = line.reader(1, A)
    line.admit(Errand(plan(1, A), writer, acknowledged=5))
    assert line.bodies() == [SetVersion(1)] and line.registry.marks(A) == () and not writer.mailbox.owes


def test_a_fill_still_under_way_to_the_writer_is_invalidated() -> None:
    """The answer that fills its cache had not arrived when it sent the change: it will bring the old value back."""
    line = Line()
    writer = line.reader(1, A)
    line.admit(Errand(plan(1, A), writer, acknowledged=4))
    assert line.bodies() == [] and writer.mailbox.owes
    line.acknowledge(writer)
    assert line.bodies() == [SetVersion(1)]


def test_proposed_in_order_of_arrival_per_key() -> None:
    """A later change of the same key does not overtake one that still waits for somebody."""
    line = Line()
    reader = line.reader(1, B)
    line.admit(Errand(plan(1, A, B)))
    line.admit(Errand(plan(2, A)))
    line.admit(Errand(plan(3)))
    assert line.bodies() == [SetVersion(3)], "what meets nobody waits for nobody"
    line.acknowledge(reader)
    assert line.bodies() == [SetVersion(1), SetVersion(2)]


def test_locks_are_lanes_too() -> None:
    """A release that is held back is not overtaken by the same session's next acquire."""
    line = Line()
    line.free = False
    line.admit(Errand(plan(1, locks=("/l",), frees=("/l",))))
    line.admit(Errand(plan(2, locks=("/l",))))
    line.admit(Errand(plan(3, locks=("/m",))))
    assert line.bodies() == [SetVersion(3)]
    line.free = True
    line.pipeline.run(NOW)
    assert line.bodies() == [SetVersion(1), SetVersion(2)]


def test_the_gate_holds_what_changes_cacheable_data() -> None:
    """DESIGN §5 Fail-over: only commands that change cacheable data wait."""
    line = Line()
    line.gate = False
    line.admit(Errand(plan(1, A)))
    line.admit(Errand(plan(2, locks=("/l",))))
    assert line.bodies() == [SetVersion(2)]
    line.gate = True
    line.pipeline.gate_opened()
    line.pipeline.run(NOW)
    assert line.bodies() == [SetVersion(1)]


def test_planned_again_before_it_is_proposed() -> None:
    """What was true at admission may not be true any more."""
    line, errand = Line(), Errand(plan(1, A))
    reader = line.reader(1, A)
    line.admit(errand)
    line.applied(99)
    errand.now = plan(2, A)
    line.acknowledge(reader)
    assert line.bodies() == [SetVersion(2)] and errand.looks == 1


def test_a_plan_that_touches_more_invalidates_more() -> None:
    """Nothing is proposed before all it touches was invalidated."""
    line, errand = Line(), Errand(plan(1, A))
    one, two = line.reader(1, A), line.reader(2, B)
    line.admit(errand)
    line.applied(99)
    errand.now = plan(1, A, B)
    line.acknowledge(one)
    assert line.bodies() == [] and B in line.invalidations.uncachable
    line.acknowledge(two)
    assert line.bodies() == [SetVersion(1)]


def test_no_need_any_more() -> None:
    """A plan of None gives the command up: its keys are cacheable, the next in line has its turn."""
    line, errand = Line(), Errand(plan(1, A))
    reader = line.reader(1, A)
    line.admit(errand)
    line.admit(Errand(plan(2, A)))
    line.applied(99)
    errand.now = None
    line.acknowledge(reader)
    assert line.bodies() == [SetVersion(2)] and line.pipeline.waiting == 0


def test_abandoned_before_it_is_proposed() -> None:
    """A call whose deadline has passed leaves no trace."""
    line = Line()
    line.reader(1, A)
    work = line.admit(Errand(plan(1, A)))
    line.pipeline.abandon(work)
    line.pipeline.run(NOW)
    assert line.bodies() == [] and A not in line.invalidations.uncachable and line.invalidations.next_lapse > 1 << 62


def test_departures_last_from_proposal_to_outcome() -> None:
    """Only what is certainly on its way counts for the last one out."""
    line = Line()
    leaving = (("/e", LockOwner(1, 3)),)
    reader = line.reader(1, A)
    line.admit(Errand(plan(1, A, leaving=leaving)))
    assert line.departures.count("/e") == 0
    line.acknowledge(reader)
    assert line.departures.count("/e") == 1
    line.applied(1)
    assert line.departures.count("/e") == 0


def test_in_flight_is_known_by_what_it_touches() -> None:
    """A condition that fails is answered behind what is in flight on its nodes."""
    line = Line()
    line.admit(Errand(plan(1, A)))
    line.admit(Errand(plan(2, A, B)))
    assert line.pipeline.last_in_flight((A,)) == 2 and line.pipeline.last_in_flight((node_key("/c"),)) == 0
    line.applied(1)
    line.applied(2)
    assert line.pipeline.last_in_flight((A, B)) == 0


def test_sessions_count_what_is_in_flight() -> None:
    """A session's end waits until all of it is applied."""
    line = Line()
    session = line.reader(1)
    line.admit(Errand(plan(1), session))
    assert session.in_flight == 1
    line.applied(1)
    assert session.in_flight == 0


def test_clear_forgets_everything() -> None:
    """Deposed: nothing is proposed any more, outcomes that come late mean nothing."""
    line = Line()
    reader = line.reader(1, A)
    errand = Errand(plan(1, A))
    line.admit(errand)
    line.admit(Errand(WorkPlan(CheckDigest())))
    line.pipeline.clear()
    line.invalidations.clear()
    line.pipeline.rounds_clear(line.invalidations.settled(reader))
    line.applied(1)
    assert line.pipeline.waiting == line.pipeline.in_flight == 0 and errand.outcome is None
