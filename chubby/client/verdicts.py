"""What a caller is told when its patience ends before the answer comes (DESIGN §4; `chubby.errors`).

| the call ...                             | may have taken effect | told                                  |
|------------------------------------------|-----------------------|---------------------------------------|
| was never sent, no master was in reach   | no                    | NO_QUORUM                             |
| was never sent, for want of room         | no                    | DEADLINE_EXCEEDED                     |
| was sent and only reads                  | no                    | DEADLINE_EXCEEDED                     |
| was sent and may change something        | yes                   | OUTCOME_UNKNOWN                       |
| is an acquire, taken back in time        | no                    | DEADLINE_EXCEEDED                     |

An answer that arrives in time, though it be a failure, always goes before. Each text says what was waited for, for how
long, and what the caller can do now.
"""

from __future__ import annotations

from typing import Final

from chubby.client.in_flight import Flight
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    Call,
    CheckSequencer,
    Close,
    CreateMode,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    ListLocks,
    ListSessions,
    Open,
    ReadDir,
    Unwatch,
    Watch,
)
from chubby.types.results import Answer
from chubby.types.time import Duration, Instant, to_seconds

DISOWNED: Final = frozenset({ErrorCode.SESSION_EXPIRED, ErrorCode.SESSION_UNKNOWN})
"""A master that refuses a stream for one of these knows that the session is over."""
TRY_AGAIN: Final = frozenset({ErrorCode.NOT_MASTER, ErrorCode.NO_QUORUM, ErrorCode.OVERLOADED})
"""Refused for one of these, another stream may do better."""
_READING = (
    CheckSequencer,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    ListLocks,
    ListSessions,
    ReadDir,
    Unwatch,
    Watch,
)


def changes(call: Call) -> bool:
    """Whether `call` may change something that others see."""
    if isinstance(call, Open):
        return call.create is not CreateMode.NEVER
    return not isinstance(call, _READING)


def out_of_time(flight: Flight, now: Instant, reached: bool) -> Failure:
    """What to tell the caller of an unanswered call; `reached`: a master was in reach at some time since it began."""
    waited = seconds(now - flight.begun)
    if flight.stream == 0:
        if not reached:
            text = f"no quorum: no master was found within {waited}; the call was not sent, so try again"
            return Failure(ErrorCode.NO_QUORUM, text)
        text = f"the call waited {waited} behind others and was not sent: try again"
        return Failure(ErrorCode.DEADLINE_EXCEEDED, text)
    if isinstance(flight.call, Acquire):
        text = f"not answered within {waited}: a lock granted meanwhile is given back once a master answers; try again"
        return Failure(ErrorCode.OUTCOME_UNKNOWN, text)
    if changes(flight.call):
        text = f"sent, but not answered within {waited}: it may yet take effect; look before you repeat it"
        return Failure(ErrorCode.OUTCOME_UNKNOWN, text)
    return Failure(ErrorCode.DEADLINE_EXCEEDED, f"not answered within {waited}: it only reads, so try again")


def not_granted(flight: Flight, now: Instant) -> Failure:
    """What to tell the caller of an acquire that was taken back."""
    waited = seconds(now - flight.begun)
    return Failure(ErrorCode.DEADLINE_EXCEEDED, f"the lock was not granted within {waited}")


def told(flight: Flight, answer: Answer, now: Instant) -> Answer:
    """What the caller hears: that its acquire was cancelled, when its own deadline did that, means out of time."""
    if flight.cancelling and isinstance(answer, Failure) and answer.code is ErrorCode.CANCELLED:
        return not_granted(flight, now)
    return answer


def to_be_made_again(call: Call, answer: Answer) -> bool:
    """Whether `call` closes a handle and was refused: the handle is open still, and a new master must hear of it."""
    return isinstance(call, Close) and isinstance(answer, Failure) and answer.code.retryable


def session_over(flight: Flight, why: Failure) -> Failure:
    """What to tell the caller of a call that the end of the session overtook."""
    if flight.stream and changes(flight.call):
        return Failure(why.code, f"{why.message}; the call was sent and may have taken effect")
    return why


def never_opened(attempts: int, waited: Duration, reached: bool, refused: Failure | None) -> Failure:
    """What to tell who asked for a session and did not get one in time; `refused`: what a master said to the last try.

    NO_QUORUM, or OVERLOADED if that was it.
    """
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    tried = f"in {tries} over {seconds(waited)}"
    if refused is not None and refused.code is ErrorCode.OVERLOADED:
        return Failure(ErrorCode.OVERLOADED, f"no session was opened {tried}: {refused.message}")
    if reached:
        return Failure(ErrorCode.NO_QUORUM, f"no quorum: the master was reached, but opened no session {tried}")
    return Failure(ErrorCode.NO_QUORUM, f"no quorum: no master was found {tried}")


def seconds(duration: Duration) -> str:
    """A duration for a human."""
    return f"{to_seconds(duration):.1f} s"
