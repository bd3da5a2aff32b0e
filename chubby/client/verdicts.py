"""What a caller is told when its patience ends before the answer comes (DESIGN §4; `chubby.errors`).

| the call ...                             | may have taken effect | told                                  |
|------------------------------------------|-----------------------|---------------------------------------|
| was never sent, no master was in reach   | no                    | NO_QUORUM                             |
| was never sent, for want of room         | no                    | DEADLINE_EXCEEDED                     |
| was sent and only reads                  | no                    | DEADLINE_EXCEEDED                     |
| was sent and may change something        | yes                   | OUTCOME_UNKNOWN                       |
| is an acquire, taken back in time        | no                    | DEADLINE_EXCEEDED                     |

An answer that arrives in time, though it be a failure, always goes before.
"""

from __future__ import annotations

from chubby.client.in_flight import Flight
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Call,
    CheckSequencer,
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
from chubby.types.time import Instant, to_seconds

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
    waited = f"{to_seconds(now - flight.begun):.1f} s"
    if flight.stream == 0:
        if not reached:
            return Failure(ErrorCode.NO_QUORUM, f"no quorum: no master of the cell was found within {waited}")
        return Failure(ErrorCode.DEADLINE_EXCEEDED, f"the call waited {waited} behind others and was not sent")
    if changes(flight.call):
        return Failure(ErrorCode.OUTCOME_UNKNOWN, f"sent, but not answered within {waited}: it may yet take effect")
    return Failure(ErrorCode.DEADLINE_EXCEEDED, f"not answered within {waited}")


def not_granted(flight: Flight, now: Instant) -> Failure:
    """What to tell the caller of an acquire that was taken back."""
    waited = to_seconds(now - flight.begun)
    return Failure(ErrorCode.DEADLINE_EXCEEDED, f"the lock was not granted within {waited:.1f} s")


def session_over(flight: Flight, why: Failure) -> Failure:
    """What to tell the caller of a call that the end of the session overtook."""
    if flight.stream and changes(flight.call):
        return Failure(why.code, f"{why.message}; the call was sent and may have taken effect")
    return why


def never_opened(attempts: int, reached: bool) -> Failure:
    """What to tell who asked for a session and did not get one in time."""
    if reached:
        return Failure(ErrorCode.NO_QUORUM, "no quorum: the master was reached, but opened no session in time")
    tries = "one attempt" if attempts == 1 else f"{attempts} attempts"
    return Failure(ErrorCode.NO_QUORUM, f"no quorum: no master of the cell was found in {tries}")
