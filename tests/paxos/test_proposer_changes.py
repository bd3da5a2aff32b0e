"""The proposer and changes of the configuration: drained before, alone, nothing behind (DESIGN §3 Membership)."""

from __future__ import annotations

import pytest

from chubby.paxos.messages import (
    Accepted,
    Entry,
    Promise,
    ValueKind,
    configuration_value,
)
from tests.paxos.parts import NOW, ballot, commands, configuration, entry
from tests.paxos.test_proposer import opened, preparing, promise, proposals, vote


def test_a_configuration_travels_alone() -> None:
    """DESIGN §3 Membership: "Drain; the command is proposed alone"."""
    parts = opened()
    parts.proposer.enqueue(b"a")
    parts.proposer.pump(NOW)
    parts.proposer.change(configuration(1, 2, 3, 4))
    parts.proposer.enqueue(b"b")
    parts.proposer.pump(NOW)
    assert [slot for slot, _ in proposals(parts)] == [1]
    vote(parts, 1, 1)
    vote(parts, 2, 1)
    parts.proposer.pump(NOW)
    ((slot, value),) = proposals(parts)
    assert (slot, value.kind) == (2, ValueKind.CONFIGURATION)
    assert not parts.proposer.pump(NOW)
    vote(parts, 1, 2)
    assert vote(parts, 2, 2) == [2], "by a majority of the configuration before it"
    parts.electorate.chosen(2, configuration(1, 2, 3, 4))
    parts.proposer.pump(NOW)
    assert proposals(parts) == [(3, commands("b"))]
    vote(parts, 1, 3)
    assert vote(parts, 2, 3) == [], "two of four"
    assert vote(parts, 4, 3) == [3]


def test_an_adopted_configuration_travels_alone_too() -> None:
    """What stands behind it is proposed under the configuration it brings."""
    parts = preparing()
    change = Entry(2, ballot(4, 2), configuration_value(configuration(1, 2, 3, 4)))
    parts.proposer.on_promise(2, promise(2, entry(1, 4), change, entry(3, 4)))
    parts.proposer.on_promise(4, promise(4))
    parts.proposer.open(NOW)
    assert parts.proposer.changing
    assert [slot for slot, _ in proposals(parts)] == [1]
    vote(parts, 1, 1)
    vote(parts, 2, 1)
    parts.proposer.pump(NOW)
    assert [slot for slot, _ in proposals(parts)] == [2]
    vote(parts, 1, 2)
    vote(parts, 2, 2)
    parts.electorate.chosen(2, configuration(1, 2, 3, 4))
    parts.proposer.pump(NOW)
    assert [slot for slot, _ in proposals(parts)] == [3]


def test_a_change_judged_by_another_configuration_is_dropped() -> None:
    """Phase 1, run again, may bring up an older change: two voters would differ at once (DESIGN §3 "one at a time")."""
    parts = opened()
    parts.proposer.change(configuration(1, 2))
    higher = ballot(10, 1)
    parts.proposer.prepare(higher)
    found = Entry(1, ballot(4, 2), configuration_value(configuration(1, 2, 3, 4)))
    for replica in (1, 2, 4):
        parts.proposer.on_promise(replica, Promise(higher, 100 + replica, 0, (found,)))
    parts.proposer.open(NOW)
    assert [slot for slot, _ in proposals(parts)] == [1]
    for replica in (1, 2):
        message = Accepted(higher, 100 + replica, (1,), 0, NOW, 0)
        for each in parts.proposer.on_accepted(replica, message):
            parts.log.choose(each)
    parts.electorate.chosen(1, configuration(1, 2, 3, 4))
    assert not parts.proposer.pump(NOW)
    assert not parts.proposer.changing


def test_one_change_at_a_time() -> None:
    """The caller asks first."""
    parts = opened()
    parts.proposer.change(configuration(1, 2))
    assert parts.proposer.changing
    with pytest.raises(AssertionError, match="one change"):
        parts.proposer.change(configuration(1, 3))
