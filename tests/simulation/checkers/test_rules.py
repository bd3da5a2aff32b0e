"""Checkers of the log's story: good ones pass, each broken one is caught."""

from __future__ import annotations

import pytest

from chubby.namespace.commands import BeginEpoch, CloseSession, EndLockDelay, ExpireSession
from chubby.namespace.outcomes import Grant, LockAnswer
from chubby.types.nodes import LockOwner
from chubby.types.time import SECOND
from tests.namespace.cell import EXCLUSIVE, NONE, SHARED
from tests.simulation.checkers import delays, departures, grants, once, queues
from tests.simulation.checkers.grants import Waiting
from tests.simulation.checkers.recorded_cell import RecordedCell, granted_to, other, with_grants
from tests.simulation.checkers.story import Told
from tests.simulation.violation import Violation

PPM = 10_000


def queue() -> tuple[RecordedCell, int, int, int]:
    """Three sessions at the lock of /l: the first holds it, the others wait."""
    cell = RecordedCell()
    one, two, three = cell.session(), cell.session(), cell.session()
    cell.create(one, "/l")
    for session in (one, two, three):
        cell.acquire(session, "/l", delay=2 * SECOND)
    return cell, one, two, three


def test_a_lock_goes_from_hand_to_hand() -> None:
    """DESIGN §4 Locks: first come first served, also after leaving by cancel, close, delete and the session's end."""
    cell, one, two, three = queue()
    cell.cancel(two, "/l")
    cell.acquire(two, "/l")
    cell.release(one, "/l")
    cell.close(three, "/l")
    cell.acquire(one, "/l", handle=4)
    cell.acquire(one, "/l", handle=5)
    cell.do(CloseSession(one))
    cell.remove(two, "/l")
    found = queues.check(cell.told)
    assert found.handed_on == 2
    once.check(cell.told)


def test_whoever_overtakes_a_queue_is_caught() -> None:
    """Barging, and a queue that is lost or turned round."""
    cell, one, _, three = queue()
    cell.release(one, "/l")
    with pytest.raises(Violation, match="waited longer"):
        queues.check(cell.spoilt(-1, granted_to(three)))
    with pytest.raises(Violation, match="waited longer"):
        queues.check(cell.spoilt(-1, granted_to(one)))


def test_tokens_that_do_not_grow_are_caught() -> None:
    """DESIGN §4 Token: a number for each hold period of any lock; only sharers have the same one."""
    cell = RecordedCell()
    one, two = cell.session(), cell.session()
    for path in ("/l", "/m"):
        cell.create(one, path)
    cell.acquire(one, "/l", SHARED)
    cell.acquire(one, "/m", EXCLUSIVE)
    cell.acquire(two, "/l", SHARED)
    queues.check(cell.told)

    with pytest.raises(Violation, match="with token 1 after 1"):
        queues.check(cell.spoilt(-2, lambda outcome: with_grants(outcome, token=1)))
    with pytest.raises(Violation, match="with token 1 after 2"):
        queues.check(cell.spoilt(-1, lambda outcome: with_grants(outcome, mode=EXCLUSIVE)))


def test_a_request_that_takes_effect_twice_is_caught() -> None:
    """DESIGN §4 Sessions with a reply table: a repeat is answered, not repeated."""
    cell, one, _, _ = queue()
    number = cell.release(one, "/l").number
    body = cell.told[-1].command.body
    cell.do(body)
    once.check(cell.told)
    with pytest.raises(Violation, match=f"call {number} of session {one} took effect in slots"):
        once.check(cell.spoilt(-1, lambda outcome: other(outcome, repeated=False)))


def test_who_is_dead_is_given_nothing() -> None:
    """DESIGN §4 Locks: a dead session is never granted anything, nor ends twice, nor comes back."""
    cell, one, two, three = queue()
    cell.do(ExpireSession(two))
    cell.release(one, "/l")
    once.check(cell.told)
    with pytest.raises(Violation, match=f"to session {two}, which is dead"):
        once.check(cell.spoilt(-1, granted_to(two)))
    with pytest.raises(Violation, match="which does not live"):
        once.check(cell.spoilt(-1, lambda outcome: other(outcome, ended_sessions=(two,))))
    opened = next(index for index, each in enumerate(cell.told) if each.outcome.session == three)
    with pytest.raises(Violation, match="second time"):
        once.check([*cell.told[: opened + 1], cell.told[opened]])


def test_a_call_of_a_dead_session_that_takes_effect_is_caught() -> None:
    """DESIGN §4 Sessions: it is void; whatever the machine says of it."""
    cell, one, _, _ = queue()
    cell.do(ExpireSession(one))
    assert cell.release(one, "/l").void
    once.check(cell.told)
    with pytest.raises(Violation, match="carries out a call"):
        once.check(cell.spoilt(-1, lambda outcome: other(outcome, void=False, reply=LockAnswer(NONE))))


def delayed(passed: int, fail_over: int | None = None) -> list[Told]:
    """A holder dies at true time 10 s, its delay of 2 s ends when `passed` went by; a fail-over in between."""
    cell, one, _, _ = queue()
    cell.now = 10 * SECOND
    cell.do(ExpireSession(one))
    if fail_over is not None:
        cell.now += fail_over
        cell.do(BeginEpoch(2))
    cell.now = 10 * SECOND + passed
    lock = cell.machine.lock("/l")
    assert lock is not None and lock.delayed
    cell.do(EndLockDelay("/l", cell.instance("/l"), lock.generation))
    return cell.told


def test_a_lock_delay_lasts_as_long_as_promised() -> None:
    """DESIGN §4 Lock-delay: by a clock that may be as fast as the bound; in full after a fail-over."""
    assert delays.check(delayed(2 * SECOND), PPM) == 1
    assert delays.check(delayed(delays.shortest(2 * SECOND, PPM)), PPM) == 1
    assert delays.check(delayed(3 * SECOND, fail_over=SECOND), PPM) == 1
    for told in (delayed(delays.shortest(2 * SECOND, PPM) - 1), delayed(2 * SECOND, fail_over=SECOND)):
        with pytest.raises(Violation, match="ends a lock-delay"):
            delays.check(told, PPM)


def test_a_lock_granted_in_its_delay_is_caught() -> None:
    """Whatever the machine says of it."""
    told = delayed(2 * SECOND)
    ended = next(each for each in told if isinstance(each.command.body, EndLockDelay))
    grant = ended.outcome.grants[0]
    assert isinstance(grant, Grant)
    early = told[-2]._replace(outcome=other(told[-2].outcome, grants=(grant,), delays=()))
    with pytest.raises(Violation, match="in its lock-delay"):
        delays.check([*told[:-1], early, told[-1]], PPM)


def test_whoever_is_not_told_of_its_grant_is_caught() -> None:
    """DESIGN §4 Locks: the queue survives a fail-over, and so does the answer."""
    cell, one, two, three = queue()
    cell.now = 5
    cell.release(one, "/l")
    holders = [LockOwner(two, 1)]
    grants.check(cell.told, [Waiting("c3", three, 1), Waiting("c2", two, 2)], holders, 100)
    grants.check(cell.told, [Waiting("c2", two, 1)], holders, 4)
    with pytest.raises(Violation, match="c2 waits"):
        grants.check(cell.told, [Waiting("c2", two, 1)], holders, 5)


def test_who_is_gone_leaves_nothing_behind() -> None:
    """DESIGN §4, §5: sessions, lock-delays; and whoever lives is there."""
    cell, one, two, three = queue()
    assert departures.remains(cell.machine, [one, two, three]) == ""
    assert departures.remains(cell.machine, [two, three]) == f"session {one}"
    departures.check(cell.machine, [one, two, three])
    cell.do(ExpireSession(one))
    assert departures.remains(cell.machine, [two, three]) == "the lock-delay of /l"
    with pytest.raises(Violation, match=f"session {one} lives"):
        departures.check(cell.machine, [one, two, three])
