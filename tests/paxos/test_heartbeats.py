"""When the master speaks for its lease alone, and when what it says of the log rides along (DESIGN §3 Master lease)."""

from __future__ import annotations

from chubby.paxos.messages import Accept, Commit, Heartbeat
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.paxos.bench import Bench


def _settled() -> Bench:
    """Replica 1 is master, and the first lease of its office is over."""
    bench = Bench()
    bench.elect(1)
    bench.run(2 * SECOND)
    bench.sent.clear()
    return bench


def _write_for(bench: Bench, duration: Duration, pause: Duration = 20 * MILLISECOND) -> None:
    """One write after the other."""
    end = bench.now + duration
    while bench.now < end:
        assert bench.propose(1, "x")
        bench.settle()
        bench.run(pause)


def _told(bench: Bench, kind: type, to: int) -> int:
    return sum(isinstance(message, kind) for _, target, message in bench.sent if target == to)


def test_an_idle_master_beats() -> None:
    """To every follower, one beat per interval."""
    bench = _settled()
    bench.run(SECOND)
    assert _told(bench, Heartbeat, 2) == _told(bench, Heartbeat, 3) == SECOND // HEARTBEAT_INTERVAL


def test_answered_accepts_are_heartbeats() -> None:
    """Under load none is sent, and the lease is renewed by the answers to Accepts alone."""
    bench = _settled()
    _write_for(bench, 3 * SECOND)
    assert not any(isinstance(message, Heartbeat) for _, _, message in bench.sent)
    assert bench.peer(1).lease_until > bench.now + 800 * MILLISECOND
    bench.run(HEARTBEAT_INTERVAL)
    assert _told(bench, Heartbeat, 2) == 1, "as soon as the load ends"


def test_whoever_does_not_answer_is_asked() -> None:
    """A follower whose Accepts are lost still hears, one interval apart, that there is a master."""
    bench = _settled()
    end = bench.now + SECOND
    while bench.now < end:
        bench.propose(1, "x")
        bench.drop(1, 3, "Accept")
        bench.settle()
        bench.run(20 * MILLISECOND)
    assert _told(bench, Heartbeat, 2) == 0
    assert 5 <= _told(bench, Heartbeat, 3) <= 10


def test_slow_disks_cost_no_lease() -> None:
    """An Accepted waits for its sender's disk; the answers to heartbeats do not (DESIGN §3 Master lease)."""
    bench = _settled()
    for _ in range(30):
        bench.propose(1, "x")
        bench.persist(1)
        for _ in range(5):
            bench.tick(10 * MILLISECOND)
            bench.deliver()
    assert bench.peer(1).lease_until > bench.now + 700 * MILLISECOND
    assert _told(bench, Heartbeat, 2) >= 10


def test_lost_accepts_are_sent_again_though_nobody_needs_a_heartbeat() -> None:
    """The others' answers to later Accepts do not hide that one of them lacks an earlier one."""
    bench = _settled()
    bench.propose(1, "lost")
    lost = bench.peer(1).chosen + 1
    bench.drop(kind="Accept")
    bench.persist(1)
    _write_for(bench, SECOND)
    again = [message for _, _, message in bench.sent if isinstance(message, Accept) and message.slot == lost]
    assert len(again) > 2, "the first two were lost"
    assert bench.peer(1).chosen == bench.peer(2).chosen or bench.peer(1).chosen > lost


def test_what_is_chosen_rides_along() -> None:
    """With the next Accept, or the next heartbeat: never later than one interval, and by no message of its own."""
    bench = _settled()
    bench.propose(1, "a")
    bench.settle()
    assert bench.peer(2).chosen < bench.peer(1).chosen
    bench.propose(1, "b")
    bench.settle()
    assert bench.peer(2).chosen == bench.peer(1).chosen - 1, "told by the Accept of b"
    bench.run(HEARTBEAT_INTERVAL)
    assert bench.peer(2).chosen == bench.peer(3).chosen == bench.peer(1).chosen
    assert not any(isinstance(message, Commit) for _, _, message in bench.sent)


def test_a_new_office_tells_at_once() -> None:
    """Followers point clients to the new master as soon as they know its epoch: that must not wait for a beat."""
    bench = Bench()
    bench.elect(1)
    bench.sent.clear()
    bench.propose(1, "epoch")
    bench.settle()
    assert bench.peer(2).chosen == bench.peer(3).chosen == bench.peer(1).chosen
    assert _told(bench, Commit, 2) == 1


def test_a_configuration_is_told_at_once() -> None:
    """Those it concerns act by it."""
    bench = _settled()
    assert bench.peer(1).reconfigure(bench.genesis.without(3), bench.now) is None
    bench.drain(1)
    bench.settle()
    assert bench.peer(2).electorate.latest == bench.peer(1).electorate.latest != bench.genesis
