"""Proposals, streams, permissions, the table of verbs: small parts that the rest stands on."""

from __future__ import annotations

from typing import get_args

import pytest

from chubby.errors import ErrorCode
from chubby.master.effects import Deliver, EndStream, Propose
from chubby.master.moment import Moment
from chubby.master.permissions import denied
from chubby.master.proposals import Proposals
from chubby.master.streams import Streams
from chubby.master.verbs import VERBS
from chubby.namespace.commands import BeginEpoch, CheckDigest, Command
from chubby.namespace.outcomes import Applied
from chubby.types.calls import Call, Close, GetStat, Mode
from chubby.types.nodes import ANYONE, AclNames
from chubby.types.stream import Redirect, SessionClosed
from chubby.types.time import MILLISECOND, SECOND
from tests.master.cell import WALL_MS, Cell

# --------------------------------------------------------------------------------------------------------- proposals


def test_commands_are_numbered_within_an_epoch() -> None:
    """From 1, under the epoch; a new epoch begins again."""
    proposals = Proposals()
    proposals.begin(7)
    assert [proposals.put(CheckDigest(), 0) for _ in range(3)] == [1, 2, 3]
    commands = [effect.command for effect in proposals.take_effects() if isinstance(effect, Propose)]
    assert [(command.epoch, command.sequence) for command in commands] == [(7, 1), (7, 2), (7, 3)]
    proposals.end()
    proposals.begin(9)
    assert proposals.put(CheckDigest(), 0) == 1 and proposals.epoch == 9


def test_begin_epoch_is_named_by_a_nonce() -> None:
    """There is no epoch yet to number it within."""
    proposals = Proposals()
    proposals.begin_epoch(3, 12345, 0)
    assert proposals.take_effects() == [Propose(Command(0, 12345, 0, BeginEpoch(3)))]


def test_nothing_is_proposed_without_an_epoch() -> None:
    """Nor handed out after its end."""
    proposals = Proposals()
    with pytest.raises(AssertionError):
        proposals.put(CheckDigest(), 0)
    proposals.begin(7)
    proposals.put(CheckDigest(), 0)
    proposals.end()
    assert proposals.take_effects() == []


def test_wall_time_is_reckoned() -> None:
    """By how much the wall clock was ahead when it was last told; it decides nothing and is never negative."""
    proposals = Proposals()
    proposals.begin(1)
    proposals.set_wall(10 * SECOND, WALL_MS)
    proposals.put(CheckDigest(), 12 * SECOND)
    proposals.set_wall(10 * SECOND, 0)
    proposals.put(CheckDigest(), 10 * SECOND)
    times = [effect.command.time_ms for effect in proposals.take_effects() if isinstance(effect, Propose)]
    assert times == [WALL_MS + 2_000, 0]
    assert 12 * SECOND // MILLISECOND == 12_000


# ----------------------------------------------------------------------------------------------------------- streams


def test_frames_are_gathered_per_stream() -> None:
    """Whatever waits for a stream leaves together, in order."""
    streams = Streams()
    streams.attach(1, "a")
    streams.attach(2, "b")
    streams.send(2, SessionClosed())
    streams.send(1, Redirect("x", 1), Redirect("y", 2))
    streams.send(2, Redirect("z", 3))
    assert streams.take_effects() == [
        Deliver(2, (SessionClosed(), Redirect("z", 3))),
        Deliver(1, (Redirect("x", 1), Redirect("y", 2))),
    ]
    assert streams.take_effects() == []


def test_an_ended_stream_has_its_last_words() -> None:
    """What waited for it, the last frames, then the end; nothing afterwards."""
    streams = Streams()
    streams.attach(1, "a")
    streams.send(1, Redirect("x", 1))
    streams.end(1, SessionClosed())
    streams.send(1, Redirect("late", 1))
    streams.end(1, SessionClosed())
    assert streams.take_effects() == [Deliver(1, (Redirect("x", 1), SessionClosed())), EndStream(1)]
    assert streams.get(1) is None and len(streams) == 0


def test_a_stream_that_is_gone_hears_nothing() -> None:
    """Detached before its frames left."""
    streams = Streams()
    streams.attach(1, "a")
    streams.send(1, SessionClosed())
    assert streams.detach(1) is not None and streams.detach(1) is None
    streams.send(None, SessionClosed())
    streams.end(None)
    assert streams.take_effects() == []


def test_a_stream_number_is_never_reused() -> None:
    """Two attached streams of one number are a bug of the shell."""
    streams = Streams()
    streams.attach(1, "a")
    with pytest.raises(AssertionError):
        streams.attach(1, "b")


# ------------------------------------------------------------------------------------------------------- permissions


def test_the_lists_of_a_node() -> None:
    """Each mode has its list; `anyone` is built in; a missing file admits nobody but administrators."""
    machine = Cell().machine
    acl = AclNames(ANYONE, "missing", ANYONE)
    assert denied(machine, acl, "alice", Mode.READ, "/f") is None
    assert denied(machine, acl, "alice", Mode.READ | Mode.CHANGE_ACL, "/f") is None
    refusal = denied(machine, acl, "alice", Mode.READ | Mode.WRITE, "/f")
    assert refusal is not None and refusal.code is ErrorCode.PERMISSION_DENIED
    assert "missing" in refusal.message and "alice" in refusal.message
    assert denied(machine, acl, "root", Mode.READ | Mode.WRITE, "/f") is None


# ------------------------------------------------------------------------------------------------------------- verbs


def test_every_call_has_its_verb() -> None:
    """The table covers what a client may call, and nothing else."""
    assert set(VERBS) == set(get_args(Call))


def test_a_verb_is_given_its_own_kind() -> None:
    """A call of another kind is a bug, not a surprise."""
    cell = Cell()
    client = cell.client()
    session = cell.master._sessions[client.session]
    desk = cell.master._desk
    with pytest.raises(AssertionError):
        VERBS[Close].plan(desk, session, GetStat(1), Moment(0, 1))
    with pytest.raises(AssertionError, match="puts no command"):
        VERBS[GetStat].settle(desk, session, GetStat(1), Applied())


def test_the_master_lease_is_live_up_to_its_end() -> None:
    """Not in the instant in which it ends."""
    assert Moment(9, 10).live and not Moment(10, 10).live and not Moment(11, 10).live
