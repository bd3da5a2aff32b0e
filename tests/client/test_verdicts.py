"""What a caller out of time is told, and that it is the truth (DESIGN §4; `chubby.errors`)."""

from __future__ import annotations

import pytest

from chubby.client.in_flight import Flight, Purpose
from chubby.client.verdicts import changes, never_opened, not_granted, out_of_time, session_over
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    Call,
    ChangeMembers,
    CheckSequencer,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    ListLocks,
    ListSessions,
    MemberAction,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    SetSequencer,
    StepDown,
    Transact,
    Unwatch,
    Watch,
)
from chubby.types.nodes import AclNames
from chubby.types.time import SECOND

READS: list[Call] = [
    GetContentsAndStat(1),
    GetStat(1),
    GetLockInfo(1),
    ReadDir(1),
    GetSequencer(1),
    CheckSequencer(b""),
    ListLocks(),
    ListSessions(),
    Watch(1, "/a"),
    Unwatch(1),
    Open(1, "/a"),
]
CHANGES: list[Call] = [
    Open(1, "/a", create=CreateMode.MAY),
    Open(1, "/a", create=CreateMode.MUST),
    Close(1),
    SetContents(1, b""),
    SetAcl(1, AclNames("", "", "")),
    SetAttributes(1, {}),
    Delete(1),
    Acquire(1),
    Release(1),
    SetSequencer(1, b""),
    Transact(),
    StepDown(),
    ChangeMembers(MemberAction.ADD, 1),
]


def flight(call: Call, sent: bool) -> Flight:
    """A call begun at 0."""
    made = Flight(1, call, 0, 5 * SECOND, Purpose.CALLER)
    made.stream = 1 if sent else 0
    return made


@pytest.mark.parametrize("call", READS)
def test_reads_change_nothing(call: Call) -> None:
    """Out of time, they took no effect."""
    assert not changes(call)
    assert out_of_time(flight(call, sent=True), 5 * SECOND, reached=True).code is ErrorCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("call", CHANGES)
def test_changes_that_were_sent_may_have_happened(call: Call) -> None:
    """DESIGN §4: until either is certain the error says outcome unknown."""
    assert changes(call)
    for reached in (True, False):
        assert out_of_time(flight(call, sent=True), 5 * SECOND, reached).code is ErrorCode.OUTCOME_UNKNOWN


@pytest.mark.parametrize("call", [*READS, *CHANGES])
def test_what_was_never_sent_took_no_effect(call: Call) -> None:
    """And the error says whether a quorum was missing, or only room. Both promise that nothing happened."""
    without = out_of_time(flight(call, sent=False), 5 * SECOND, reached=False)
    assert without.code is ErrorCode.NO_QUORUM and "no quorum" in without.message
    behind = out_of_time(flight(call, sent=False), 5 * SECOND, reached=True)
    assert behind.code is ErrorCode.DEADLINE_EXCEEDED
    assert without.code.retryable and behind.code.retryable


def test_texts_say_how_long_one_waited() -> None:
    """A human reads them."""
    assert "5.0 s" in out_of_time(flight(GetStat(1), sent=True), 5 * SECOND, reached=True).message
    assert "2.5 s" in not_granted(flight(Acquire(1), sent=True), 5 * SECOND // 2).message


def test_an_acquire_taken_back_took_no_effect() -> None:
    """DEADLINE_EXCEEDED promises that."""
    assert not_granted(flight(Acquire(1), sent=True), SECOND).code is ErrorCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("call", "sent", "doubt"), [(SetContents(1, b""), True, True), (SetContents(1, b""), False, False)]
)
def test_the_end_of_the_session_leaves_the_same_doubt(call: Call, sent: bool, doubt: bool) -> None:
    """The code is the session's; the text does not promise what it cannot know."""
    why = Failure(ErrorCode.SESSION_EXPIRED, "it expired")
    told = session_over(flight(call, sent), why)
    assert told.code is ErrorCode.SESSION_EXPIRED
    assert ("may have taken effect" in told.message) == doubt


def test_a_session_that_never_opened() -> None:
    """With or without a master."""
    nobody = never_opened(7, 5 * SECOND, reached=False, refused=None)
    assert nobody == Failure(ErrorCode.NO_QUORUM, "no quorum: no master was found in 7 attempts over 5.0 s")
    assert "in 1 attempt over 0.5 s" in never_opened(1, SECOND // 2, reached=False, refused=None).message
    silent = never_opened(1, SECOND, reached=True, refused=None)
    assert silent.code is ErrorCode.NO_QUORUM and "was reached" in silent.message


def test_a_session_that_an_overloaded_cell_refused() -> None:
    """It is not the quorum that is missing, and the cell's own words say what is."""
    full = Failure(ErrorCode.OVERLOADED, "100000 sessions are open")
    told = never_opened(3, 4 * SECOND, reached=False, refused=full)
    assert told == Failure(
        ErrorCode.OVERLOADED, "no session was opened in 3 attempts over 4.0 s: 100000 sessions are open"
    )
    other = Failure(ErrorCode.NOT_MASTER, "ask elsewhere")
    assert never_opened(3, SECOND, reached=False, refused=other).code is ErrorCode.NO_QUORUM


@pytest.mark.parametrize(
    ("call", "sent", "reached", "advice"),
    [
        (SetContents(1, b""), False, False, "was not sent, so try again"),
        (SetContents(1, b""), False, True, "was not sent: try again"),
        (SetContents(1, b""), True, False, "it may yet take effect; look before you repeat it"),
        (Acquire(1), True, False, "is given back once a master answers; try again"),
        (GetStat(1), True, True, "it only reads, so try again"),
    ],
)
def test_each_text_says_what_to_do(call: Call, sent: bool, reached: bool, advice: str) -> None:
    """After a lost quorum the first call is in doubt and later ones are not: both must be told what that means."""
    assert advice in out_of_time(flight(call, sent), 5 * SECOND, reached).message
