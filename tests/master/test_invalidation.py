"""Rounds of invalidations, one by one (DESIGN §5 Invalidate first; paper §2.7)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.master.counters import Counters
from chubby.master.footprints import node_key
from chubby.master.invalidation import Invalidations, Round
from chubby.master.mailbox import Mailbox
from chubby.master.registry import Registry
from chubby.master.session import Session, SessionState
from chubby.types.identity import SessionId
from chubby.types.stream import CacheKey, Push
from chubby.types.time import NEVER, SECOND
from tests.master.cell import SETTINGS

A, B = node_key("/a"), node_key("/b")
NOW = 10 * SECOND


class Readers:
    """Sessions with caches, and the rounds that go to them."""

    def __init__(self) -> None:
        self.sessions: dict[SessionId, Session] = {}
        self.registry = Registry()
        self.counters = Counters()
        self.told: dict[SessionId, None] = {}
        self.invalidations = Invalidations(self.sessions, self.registry, self.counters, self.told)

    def reader(self, number: SessionId, *keys: CacheKey, until: int = 14 * SECOND) -> Session:
        """A session that caches these keys until then."""
        mailbox = Mailbox(SETTINGS, self.counters, 0)
        state = SessionState.LIVE
        session = Session(number, "p", caching=True, acknowledged=0, mailbox=mailbox, state=state, lease_until=NEVER)
        session.cache_until = until
        self.sessions[number] = session
        for key in keys:
            self.registry.register(number, key, 1)
        return session

    def round(self, *keys: CacheKey, now: int = NOW) -> Round:
        """A change of these keys, by nobody in particular."""
        round_ = Round()
        self.invalidations.extend(round_, keys, 0, 0, now)
        return round_

    def push(self, number: SessionId) -> Push:
        """Send what waits for that session."""
        push = self.sessions[number].mailbox.next_push(0)
        assert push is not None
        return push

    def acknowledge(self, number: SessionId) -> list[Round]:
        """The session has carried out everything it was sent."""
        session = self.sessions[number]
        settled = session.mailbox.acknowledge(99)
        self.registry.acknowledged(number, settled.keys, settled.place)
        return self.invalidations.settled(session)


def test_a_round_that_concerns_nobody_is_clear() -> None:
    """And makes its keys uncachable all the same."""
    readers = Readers()
    readers.reader(1, B)
    round_ = readers.round(A)
    assert round_.clear and A in readers.invalidations.uncachable and readers.told == {}
    readers.invalidations.end(round_)
    assert A not in readers.invalidations.uncachable


def test_uncachable_before_anybody_is_told() -> None:
    """All keys of a round, also those that come later in it."""
    readers = Readers()
    readers.reader(1, A, B)
    readers.round(A, B)
    assert A in readers.invalidations.uncachable and B in readers.invalidations.uncachable
    assert readers.push(1).invalidate == (A, B)


def test_only_the_last_acknowledgement_clears() -> None:
    """And says which rounds are clear by it, once."""
    readers = Readers()
    readers.reader(1, A)
    readers.reader(2, A)
    round_ = readers.round(A)
    readers.push(1)
    readers.push(2)
    assert readers.acknowledge(1) == [] and not round_.clear
    assert readers.acknowledge(2) == [round_] and round_.clear
    assert readers.acknowledge(2) == []


def test_rounds_share_what_is_owed() -> None:
    """Two changes of one key: one push, one acknowledgement, both clear."""
    readers = Readers()
    readers.reader(1, A)
    first, second = readers.round(A), readers.round(A)
    assert readers.push(1).invalidate == (A,)
    assert readers.acknowledge(1) == [first, second]
    assert readers.counters.invalidations == 1 and readers.counters.invalidation_rounds == 2


def test_a_round_waits_for_its_own_place_alone() -> None:
    """What is queued for the session after it does not keep it waiting."""
    readers = Readers()
    session = readers.reader(1, A, B)
    first = readers.round(A)
    readers.push(1)
    second = readers.round(B)
    assert readers.acknowledge(1) == [first] and not second.clear and session.mailbox.owes


def test_extending_a_round() -> None:
    """Keys it covers already are not counted twice."""
    readers = Readers()
    readers.reader(1, A, B)
    round_ = readers.round(A)
    readers.invalidations.extend(round_, (A, B), 0, 0, NOW)
    readers.invalidations.end(round_)
    assert len(readers.invalidations.uncachable) == 0 and round_.clear


def test_ending_a_round_stops_its_waiting() -> None:
    """Given up: the session still owes, nobody waits for it."""
    readers = Readers()
    readers.reader(1, A)
    round_ = readers.round(A)
    readers.invalidations.end(round_)
    assert readers.invalidations.next_lapse == NEVER and readers.sessions[1].mailbox.owes
    readers.push(1)
    assert readers.acknowledge(1) == []


def test_forgetting_a_session() -> None:
    """Resume, or its end: its cache is empty."""
    readers = Readers()
    readers.reader(1, A, B)
    round_ = readers.round(A)
    assert readers.invalidations.forget(1) == [round_]
    assert readers.round(B).clear and readers.registry.count_of(1) == 0
    assert readers.invalidations.forget(1) == []


def test_lapses_in_the_order_of_the_leases() -> None:
    """Each session is waited for until its own lease is over."""
    readers = Readers()
    readers.reader(1, A, until=14 * SECOND)
    readers.reader(2, A, until=12 * SECOND)
    round_ = readers.round(A)
    assert readers.invalidations.next_lapse == 12 * SECOND
    assert readers.invalidations.lapse(12 * SECOND) == [] and readers.invalidations.next_lapse == 14 * SECOND
    assert readers.invalidations.lapse(14 * SECOND) == [round_] and readers.counters.cache_lapses == 2


def test_a_lease_that_was_postponed_is_waited_for() -> None:
    """A stall moved it: the timer looks at the lease, not at what the lease was."""
    readers = Readers()
    session = readers.reader(1, A)
    round_ = readers.round(A)
    session.postpone(5 * SECOND)
    assert readers.invalidations.lapse(14 * SECOND) == [] and not round_.clear
    assert readers.invalidations.next_lapse == 19 * SECOND
    assert readers.invalidations.lapse(19 * SECOND) == [round_]


def test_a_lapsed_session_that_reads_again_is_told_again() -> None:
    """Its new registration is not covered by the invalidation it still owes."""
    readers = Readers()
    session = readers.reader(1, A, until=NOW)
    assert readers.round(A).clear
    readers.push(1)
    readers.registry.register(1, A, 7)
    session.cache_until = 20 * SECOND
    round_ = readers.round(A)
    assert not round_.clear and readers.acknowledge(1) == []
    assert readers.push(1).invalidate == (A,) and readers.acknowledge(1) == [round_]


steps = st.lists(
    st.tuples(st.sampled_from(["change", "push", "hear", "read", "resume", "time"]), st.integers(1, 3), st.booleans()),
    max_size=60,
)


@given(steps)
def test_clear_means_that_nobody_can_hit(script: list[tuple[str, int, bool]]) -> None:
    """When a round is clear, no session whose lease lasts has a copy from before the round began."""
    readers = Readers()
    copies: dict[SessionId, dict[CacheKey, int]] = {number: {} for number in (1, 2, 3)}
    out: dict[SessionId, list[Push]] = {number: [] for number in (1, 2, 3)}
    for number in (1, 2, 3):
        readers.reader(number, until=NOW + 4 * SECOND)
    rounds: list[tuple[Round, CacheKey, int]] = []
    now = NOW
    for clock, (verb, number, flag) in enumerate(script, 1):
        key, session = (A if flag else B), readers.sessions[number]
        if verb == "change":
            rounds.append((readers.round(key, now=now), key, clock))
        elif verb == "read" and key not in readers.invalidations.uncachable:
            readers.registry.register(number, key, clock)
            copies[number][key] = clock
            session.renew_cache(4 * SECOND, now)
        elif verb == "push" and (push := session.mailbox.next_push(0)) is not None:
            out[number].append(push)
        elif verb == "hear" and out[number]:
            push = out[number].pop(0)
            for dropped in push.invalidate:
                copies[number].pop(dropped, None)
            settled = session.mailbox.acknowledge(push.number)
            readers.registry.acknowledged(number, settled.keys, settled.place)
            readers.invalidations.settled(session)
        elif verb == "resume":
            copies[number].clear()
            out[number].clear()
            session.mailbox.restart(0)
            readers.invalidations.forget(number)
        elif verb == "time":
            now += SECOND
            readers.invalidations.lapse(now)
        for round_, changed, begun in rounds:
            if round_.clear and changed in round_.keys:
                for who, cache in copies.items():
                    live = readers.sessions[who].cache_until > now
                    assert not (live and cache.get(changed, begun) < begun), f"session {who} may hit {changed}"
        for round_, _, _ in [item for item in rounds if item[0].clear and item[2] < clock - 5]:
            readers.invalidations.end(round_)
