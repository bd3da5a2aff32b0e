"""How long leases are, and what stands in the log before they may be longer (DESIGN §5 Three leases)."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from chubby.master.leases import Leases
from chubby.master.settings import MasterSettings
from chubby.namespace.commands import LeaseCaps, RaiseCaps
from chubby.types.time import NEVER, SECOND, Duration, Instant
from tests.master.cell import START, Cell

SETTINGS = MasterSettings(replica=1, keep_alives_per_second=100)
IDLE = LeaseCaps(12 * SECOND, 4 * SECOND)


def test_default_lengths() -> None:
    """DESIGN §5: session lease 12 s, cache lease 4 s."""
    leases = Leases(MasterSettings(replica=1))
    assert leases.begin(LeaseCaps(), 10_000, 0) is None, "ten thousand sessions are no load by default"
    assert (leases.session, leases.cache) == (12 * SECOND, 4 * SECOND)


def test_stretching_under_load() -> None:
    """Up to 60 s and 12 s; KeepAlives at half-lease stay within what the master accepts."""
    leases = Leases(SETTINGS)
    assert leases.wanted(0) == IDLE and leases.wanted(600) == IDLE
    assert leases.wanted(601) == LeaseCaps(18 * SECOND, 6 * SECOND)
    assert leases.wanted(100_000) == LeaseCaps(60 * SECOND, 12 * SECOND)


def test_raised_through_the_log_first() -> None:
    """DESIGN §5: the cap is put into the log before a longer one is granted."""
    leases = Leases(SETTINGS)
    asked = leases.begin(IDLE, 1_200, 0)
    assert asked == LeaseCaps(24 * SECOND, 8 * SECOND)
    assert (leases.session, leases.cache) == (12 * SECOND, 4 * SECOND), "not yet"
    assert leases.review(IDLE, 1_200, 1) is None, "one proposal at a time"
    assert leases.review(asked, 1_200, 2) is None
    assert (leases.session, leases.cache) == (24 * SECOND, 8 * SECOND)


def test_lowered_when_longer_ones_have_run_out() -> None:
    """Shorter leases first, then the log: a new master must not extend by less than what somebody may hold."""
    high = LeaseCaps(60 * SECOND, 12 * SECOND)
    leases = Leases(SETTINGS)
    assert leases.begin(high, 10, 0) is None
    assert leases.session == 12 * SECOND
    assert leases.next_review == 60 * SECOND
    assert leases.review(high, 10, 60 * SECOND - 1) is None
    assert leases.review(high, 10, 60 * SECOND) == IDLE
    assert leases.next_review == NEVER
    assert leases.review(IDLE, 10, 61 * SECOND) is None and leases.session == 12 * SECOND


def test_a_longer_lease_in_between_starts_the_wait_again() -> None:
    """Whoever was granted a longer one has all of it."""
    high = LeaseCaps(60 * SECOND, 12 * SECOND)
    leases = Leases(SETTINGS)
    leases.begin(high, 10, 0)
    leases.review(high, 1_200, 30 * SECOND)
    assert leases.session == 24 * SECOND
    leases.review(high, 10, 40 * SECOND)
    assert leases.review(high, 10, 60 * SECOND) is None
    assert leases.review(high, 10, 100 * SECOND) == IDLE


def test_lowering_waits_for_what_was_granted_last() -> None:
    """A load that falls in two steps: the leases of the step between have to run out as well."""
    leases = Leases(SETTINGS)
    high = LeaseCaps(36 * SECOND, 12 * SECOND)
    leases.begin(high, 10, 0)
    assert leases.review(high, 601, 0) is None
    assert leases.session == 18 * SECOND
    assert leases.review(high, 10, 36 * SECOND) is None, "a moment ago 18 s were granted"
    assert leases.session == 12 * SECOND
    assert leases.next_review == 72 * SECOND
    assert leases.review(high, 10, 72 * SECOND) == IDLE


def test_a_load_that_rises_meanwhile_makes_nothing_wait() -> None:
    """Nothing longer than what is wanted now was granted since the wait began."""
    leases = Leases(SETTINGS)
    high = LeaseCaps(36 * SECOND, 12 * SECOND)
    leases.begin(high, 10, 0)
    assert leases.review(high, 601, 30 * SECOND) is None
    assert leases.review(high, 601, 36 * SECOND) == LeaseCaps(18 * SECOND, 6 * SECOND)


def test_a_stall_makes_lowering_wait() -> None:
    """Leases were extended by as much."""
    leases = Leases(SETTINGS)
    leases.begin(LeaseCaps(60 * SECOND, 12 * SECOND), 10, 0)
    leases.postpone(5 * SECOND)
    assert leases.next_review == 65 * SECOND


loads = st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 40), st.booleans()), min_size=1, max_size=40)


@given(loads)
@example([(1_501, 0, False), (0, 0, True), (601, 0, False), (601, 31, False), (0, 5, False), (0, 0, True)])
def test_nothing_granted_outlives_what_a_new_master_would_wait(script: list[tuple[int, int, bool]]) -> None:
    """At any time, any lease still running ends no later than now plus the caps that stand in the log."""
    leases = Leases(SETTINGS)
    caps, asked, now = IDLE, leases.begin(IDLE, 0, 0), 0
    running: list[tuple[Instant, Duration]] = []
    for load, seconds, applied in script:
        now += seconds * SECOND
        running = [(end, length) for end, length in running if end > now]
        if applied and asked is not None:
            caps, asked = asked, None
        asked = leases.review(caps, load, now) or asked
        assert leases.session <= caps.session_lease and leases.cache <= caps.cache_lease
        running.append((now + leases.session, leases.session))
        assert all(end <= now + caps.session_lease for end, _ in running)


def test_a_stall_of_the_master_makes_lowering_wait() -> None:
    """The leases granted before end later by as much."""
    cell = Cell(caps=LeaseCaps(20 * SECOND, 4 * SECOND))
    cell.now += 5 * SECOND
    cell.master.stalled(5 * SECOND, cell.now)
    cell.advance(20 * SECOND - 1)
    assert cell.machine.caps.session_lease == 20 * SECOND
    cell.advance(1)
    assert cell.machine.caps == IDLE


def test_the_master_puts_its_caps_into_the_log() -> None:
    """First act after BeginEpoch: raise the caps if the settings ask for longer leases than the log allows."""
    cell = Cell(MasterSettings(replica=1, session_lease=20 * SECOND))
    assert [command.body for command in cell.proposed(RaiseCaps)] == [RaiseCaps(LeaseCaps(20 * SECOND, 4 * SECOND))]
    assert cell.client().opened is not None
    assert cell.machine.caps == LeaseCaps(20 * SECOND, 4 * SECOND)


def test_no_longer_lease_before_the_caps_are_applied() -> None:
    """While RaiseCaps is on its way sessions get what the log allows."""
    cell = Cell(MasterSettings(replica=1, session_lease=20 * SECOND), elect=False)
    cell.applying = False
    cell.master.elected(cell.now, cell.wall_ms)
    cell.pump()
    cell.apply()
    client_frames = len(cell.log)
    assert client_frames == 1 and isinstance(cell.log[0].body, RaiseCaps)
    raising = cell.log.popleft()
    cell.applying = True
    client = cell.client()
    assert client.opened is not None and client.opened.session_lease == 12 * SECOND
    cell.log.append(raising)
    cell.settle()
    renewed = client.keep_alive()
    assert renewed is not None and renewed.session_lease == 20 * SECOND


def test_load_stretches_the_leases_of_a_running_master() -> None:
    """More sessions than the accepted KeepAlives allow: caps first, longer leases after, lower again when they left."""
    cell = Cell(MasterSettings(replica=1, keep_alives_per_second=1))
    clients = [cell.client(f"c{number}") for number in range(8)]
    assert cell.machine.caps.session_lease == 18 * SECOND
    renewed = clients[0].keep_alive()
    assert renewed is not None and renewed.session_lease == 18 * SECOND and renewed.cache_lease == 6 * SECOND
    for client in clients[4:]:
        client.disconnect()
    end = START + 60 * SECOND
    while cell.now < end:
        cell.advance(5 * SECOND)
        for client in clients[:4]:
            client.keep_alive()
    assert cell.machine.session_count == 4
    assert cell.machine.caps == LeaseCaps(12 * SECOND, 4 * SECOND)
