"""What one simulated client sees of locks, taken down for the history of each: acquires, releases, sequencers, and the
end of what its session holds. See `histories`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from chubby.errors import ErrorCode, Failure
from chubby.types import calls
from chubby.types.identity import HandleNumber, Token
from chubby.types.nodes import LockMode
from chubby.types.results import Answer, Done, LockGranted, SequencerResult
from chubby.types.time import Instant
from tests.checking import locks
from tests.checking.history import HistoryBuilder
from tests.checking.locks import Granted, Hold, LockCall, LockResult, LockSaid

OPEN_OUTCOMES = frozenset(
    {ErrorCode.OUTCOME_UNKNOWN, ErrorCode.SESSION_EXPIRED, ErrorCode.SESSION_UNKNOWN, ErrorCode.INTERNAL}
)
"""After these a call may have taken effect; after all others it certainly did not."""
HOLDS = {LockMode.EXCLUSIVE: Hold.EXCLUSIVE, LockMode.SHARED: Hold.SHARED}


class Book(Protocol):
    """Where it is written."""

    locks: HistoryBuilder[LockCall, LockResult]
    sequencers: dict[bytes, tuple[str, Token]]
    bounded: bool

    def instant(self) -> Instant:
        """Now, and later than all before."""

    def begin_lock(self, place: str, path: str, call: LockCall, at: Instant) -> int:
        """Something is done with a lock."""


class LockWitness:
    """The locks of one client. Its handles own them."""

    def __init__(self, book: Book, place: str) -> None:
        self._book = book
        self._place = place
        self._owners: dict[HandleNumber, str] = {}

    def owns(self, handle: HandleNumber) -> bool:
        """Whether that handle was ever used to acquire."""
        return handle in self._owners

    def over(self, at: Instant) -> None:
        """The session may have ended at that instant, or any later one, and given everything back."""
        for handle in self._owners:
            self.give_back(handle, at)

    def give_back(self, handle: HandleNumber, at: Instant) -> None:
        """From now on it may be given back, and nobody is told when."""
        self._book.begin_lock("cell", self._owners[handle], locks.Release(self._owner(handle)), at)

    def _owner(self, handle: HandleNumber) -> str:
        return f"{self._place}/{handle}"

    def called(
        self, path: str, call: calls.Acquire | calls.CancelAcquire | calls.Release, at: Instant
    ) -> Callable[[Answer], None]:
        """The client takes, leaves or gives back; what is to be done with the answer."""
        book, owner = self._book, self._owner(call.handle)
        done: LockCall
        match call:
            case calls.Acquire(mode=mode):
                self._owners[call.handle] = path
                done = locks.Acquire(owner, HOLDS[mode])
            case calls.CancelAcquire():
                done = locks.Confirm(owner)
            case calls.Release():
                done = locks.Release(owner)
        number = book.begin_lock(self._place, path, done, at)

        def answered(answer: Answer) -> None:
            match answer:
                case LockGranted(token):
                    book.locks.answer(number, Granted(token), book.instant())
                case Done():
                    said = LockSaid.RELEASED if isinstance(call, calls.Release) else LockSaid.NOT_HELD
                    book.locks.answer(number, said, book.instant())
                case Failure(ErrorCode.LOCK_NOT_HELD):
                    book.locks.answer(number, LockSaid.NOT_HELD, book.instant())
                case Failure() if not leaves_open(answer):
                    book.locks.fail(number)
                case Failure() if isinstance(call, calls.Acquire):
                    self.give_back(call.handle, book.instant())

        return answered

    def asked(self, call: calls.GetSequencer | calls.CheckSequencer, at: Instant) -> Callable[[Answer], None] | None:
        """The client asks for a sequencer, or about one (of no interest: one that was never handed out)."""
        if isinstance(call, calls.GetSequencer):
            return partial(self._proven, call.handle, at) if self.owns(call.handle) else None
        if call.sequencer not in self._book.sequencers or not self._book.bounded:
            return None
        return partial(self._validated, call.sequencer, at)

    def _proven(self, handle: HandleNumber, at: Instant, answer: Answer) -> None:
        """Whoever gets a sequencer holds the lock."""
        match answer:
            case SequencerResult(sequencer=sequencer, path=path, token=token):
                self._book.sequencers[sequencer] = path, token
                self._note(self._owners[handle], locks.Confirm(self._owner(handle)), at, Granted(token))
            case Failure(ErrorCode.LOCK_NOT_HELD):
                self._note(self._owners[handle], locks.Confirm(self._owner(handle)), at, LockSaid.NOT_HELD)

    def _validated(self, sequencer: bytes, at: Instant, answer: Answer) -> None:
        """A sequencer is valid for as long as its hold period lasts."""
        path, token = self._book.sequencers[sequencer]
        match answer:
            case SequencerResult():
                self._note(path, locks.Validate(token), at, LockSaid.VALID)
            case Failure(ErrorCode.SEQUENCER_INVALID):
                self._note(path, locks.Validate(token), at, LockSaid.INVALID)

    def _note(self, path: str, call: LockCall, at: Instant, result: LockResult) -> None:
        if self._book.bounded:
            self._book.locks.answer(self._book.begin_lock(self._place, path, call, at), result, self._book.instant())


def leaves_open(answer: Answer) -> bool:
    """Whether the call may have taken effect, although this is all its client was told."""
    return isinstance(answer, Failure) and answer.code in OPEN_OUTCOMES
