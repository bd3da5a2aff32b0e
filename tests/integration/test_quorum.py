"""How many replicas may die, and what happens when one too many does (DESIGN §3, §6; errors: NoQuorum, OutcomeUnknown).

The tests of this module share a cell and leave it whole; the last one kills all of it.
"""

from __future__ import annotations

import time

import pytest

import chubby
from chubby.client.state import SessionState
from chubby.errors import AvailabilityError, NoQuorum, OutcomeUnknown
from tests.integration.cells import Cell, wait_for

COUNTER = "/ls/test/counter"


class Counter:
    """A client that counts up in a file and knows what was acknowledged to it, and what may yet take effect."""

    def __init__(self, session: chubby.Session) -> None:
        """From what the file says now, made if need be."""
        self.handle = session.open(COUNTER, create=True, contents=b"0")
        self.acknowledged = self.stored()
        self.attempted = self.acknowledged

    def write(self, timeout: float | None = None) -> None:
        """Count one up, acknowledged; raises what the client raises."""
        self.attempted = self.acknowledged + 1
        self.handle.set_contents(str(self.attempted).encode(), timeout=timeout)
        self.acknowledged = self.attempted

    def stored(self) -> int:
        """What the cell says now."""
        return int(self.handle.get_contents_and_stat()[0])


def wait_safe(session: chubby.Session) -> None:
    """Until the session is out of jeopardy, having lost nothing."""
    wait_for(lambda: session.certain and session.state.live, "a safe session")
    assert session.state in (SessionState.SAFE, SessionState.NORMAL)


def refused_for_want_of_a_quorum(counter: Counter) -> bool:
    """Whether a write fails for this reason, and says so; until the loss is noticed its outcome is just unknown."""
    with pytest.raises((NoQuorum, OutcomeUnknown)) as caught:
        counter.write(timeout=1.0)
    return caught.errisinstance(NoQuorum) and "no quorum" in str(caught.value)


def test_two_of_five_may_die_and_a_third_stops_all_acknowledgements(cell: Cell) -> None:
    """kill -9 of two: it works. Of a third: calls block, then say why; restart of one: it works again, and the session
    has lost nothing (DESIGN §6: jeopardy, then safe).
    """
    with cell.connect(caching=False) as session:
        counter = Counter(session)
        first, second, third = cell.followers()[:3]
        cell.kill(first, second)
        for _ in range(10):
            counter.write()
        cell.kill(third)
        began = time.monotonic()
        with pytest.raises((OutcomeUnknown, NoQuorum)):
            counter.write(timeout=2.0)
        assert 1.9 < time.monotonic() - began < 15, "it blocks to its deadline, and not for ever"
        wait_for(lambda: refused_for_want_of_a_quorum(counter), "the clear error")
        with pytest.raises(NoQuorum, match="no quorum"):
            cell.connect(timeout=2.0)
        cell.start(third)
        wait_safe(session)
        value = counter.stored()
        assert value in (counter.acknowledged, counter.attempted), "acknowledged, or unknown: never anything else"
        counter.write()
        assert counter.stored() == counter.acknowledged


def test_the_master_among_the_dead(cell: Cell) -> None:
    """kill -9 of the master and a follower at once: the other three elect one, and go on."""
    with cell.connect(caching=False) as session:
        counter = Counter(session)
        counter.write()
        cell.kill(cell.wait_master(), cell.followers()[0])
        counter.write()
        assert counter.stored() == counter.acknowledged
        assert session.state in (SessionState.NORMAL, SessionState.SAFE)


def test_all_five_die_and_everything_acknowledged_is_there(cell: Cell) -> None:
    """kill -9 of all five under a writing client, and again: what was acknowledged survives (DESIGN §3 persist before
    send), and so does the session, whose grace period lasts (§6).
    """
    with cell.connect(caching=False, call_timeout=1.0) as session:
        counter = Counter(session)
        for _ in range(2):
            for _ in range(20):
                counter.write()
            cell.kill(*cell.members)
            with pytest.raises(AvailabilityError):
                counter.write()
            cell.start()
            cell.wait_master()
            wait_safe(session)
            assert int(counter.handle.get_contents_and_stat(timeout=60)[0]) in (counter.acknowledged, counter.attempted)
        with cell.connect() as another, another.open(COUNTER) as handle:
            assert int(handle.get_contents_and_stat()[0]) in (counter.acknowledged, counter.attempted)
