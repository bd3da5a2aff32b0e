"""All locks that the mount holds through one session of its own: flock(2) and fcntl(2), arbitrated by the cell.

What is to be done is decided in `claims`; here it is done. Each grip has one chubby handle, opened when it is needed
and closed as soon as nobody needs it. The one mutex guards the claims and is never held over a call: a thousand waiters
wait each for their own answer, and whoever unlocks goes past them.

| what happens to a thread that waits          | what it raises              | what becomes of its place              |
|----------------------------------------------|-----------------------------|----------------------------------------|
| it does not want to wait, and would have to  | BlockingIOError, EAGAIN     | it never had one                       |
| its check raises (`chubby.client.waiting`)   | what the check raises       | given up; the handle is closed for it  |
| the node is deleted, or another of that name | OSError, ESTALE             | gone with the node                     |
| the session is lost, or `abandon` is called  | OSError, EIO                | gone with the session                  |
| its open file is released                    | OSError, EBADF              | given up                               |
| the call fails                               | ChubbyError, as it is       | given up                               |

A conversion gives the lock up for a moment. If it does not come off and what was had before cannot be had again, a
flock that was refused is just refused (flock(2) allows that), an fcntl lock is EIO, for EAGAIN would say that the old
one is still there; if a lock of another owner was lost with it, that is logged.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeVar

from chubby.client.waiting import Patience
from chubby.errors import ConditionError, HandleError, HandleInvalid, LockConflict, NoNode, SessionError
from chubby.types.nodes import LockInfo, LockMode
from chubby.types.results import LockGranted
from fuse_mount.claims import Claims, Outbox
from fuse_mount.grips import Ask, Claimant, Deed, Finish, Kind, Node, Outcome, Step, Verdict, Wait, Work
from fuse_mount.janitor import Janitor
from fuse_mount.obstacles import Obstacle, attainable, elsewhere
from fuse_mount.ranges import WHOLE, Span, covers

if TYPE_CHECKING:
    from chubby import SequencerBytes

T = TypeVar("T")

_log = logging.getLogger(__name__)

_ERRNOS: Final = {
    Verdict.REFUSED: errno.EAGAIN,
    Verdict.LOST: errno.EIO,
    Verdict.STALE: errno.ESTALE,
    Verdict.DROPPED: errno.EBADF,
    Verdict.ABANDONED: errno.EIO,
}
"""What a caller is told, unless it is what a call of its own raised. OSError makes EAGAIN a BlockingIOError."""


class LockHandle(Protocol):
    """What is needed of `chubby.Handle`, whose calls these are."""

    def acquire(self, mode: LockMode = ..., *, lock_delay: float = ...) -> LockGranted:
        """Take the lock, waiting for it in line."""

    def try_acquire(self, mode: LockMode = ..., *, lock_delay: float = ...) -> LockGranted:
        """Take the lock now, or raise LockConflict."""

    def release(self) -> None:
        """Give the lock back."""

    def get_sequencer(self) -> SequencerBytes:
        """The sequencer of the lock held."""

    def get_lock_info(self) -> LockInfo:
        """The state of the lock."""

    def close(self) -> None:
        """Close the handle; a lock that it holds or waits for is let go."""


class Locks:
    """The locks of one session. Its methods may be called from any number of threads.

    `open_handle(path, instance)` opens a node, or raises NoNode or HandleInvalid if it is not there any more.
    `lock_delay` (seconds) keeps a lock closed that long if the session dies holding it.
    """

    def __init__(self, open_handle: Callable[[str, int], LockHandle], *, lock_delay: float = 0.0) -> None:
        self._open_handle = open_handle
        self._lock_delay = lock_delay
        self._mutex = threading.Lock()
        self._claims = Claims()
        self._over = False
        self._asked: set[int] = set()
        """Files through which anything was asked for."""
        self._handles: dict[int, LockHandle] = {}
        self._alarms: dict[int, threading.Event] = {}
        self._janitor = Janitor()

    # ---------------------------------------------------------------------------------------------------- the kernel

    def flock(self, node: Node, file: int, process: int, mode: LockMode, wait: bool) -> None:
        """flock(2) of an open file: LOCK_SH or LOCK_EX, without LOCK_NB if `wait`. Raises as the module says."""
        self._take(Ask(node, Claimant(Kind.FLOCK, file), file, process, WHOLE, mode, wait))

    def unflock(self, node: Node, file: int) -> None:
        """flock(2) LOCK_UN. Raises OSError EIO if the session is lost, and the lock with it."""
        self._check()
        self._give_back(lambda claims: claims.unlock(node, Claimant(Kind.FLOCK, file)))

    def lock(self, node: Node, file: int, owner: int, process: int, mode: LockMode, span: Span, wait: bool) -> None:
        """fcntl(2) F_SETLK, or if `wait` F_SETLKW, of a read or write lock. Raises as the module says."""
        self._take(Ask(node, Claimant(Kind.POSIX, owner), file, process, span, mode, wait))

    def unlock(self, node: Node, owner: int, span: Span = WHOLE) -> None:
        """fcntl(2) F_UNLCK. Raises OSError EIO if the session is lost, and the lock with it."""
        self._check()
        self._give_back(lambda claims: claims.unlock(node, Claimant(Kind.POSIX, owner), span))

    def test(self, node: Node, owner: int, process: int, mode: LockMode, span: Span = WHOLE) -> Obstacle | None:
        """fcntl(2) F_GETLK: what is in the way of this lock, or None. Raises OSError ESTALE, EIO; ChubbyError."""
        self._check()
        claimant = Claimant(Kind.POSIX, owner)
        standing = self._inside(lambda claims: claims.standing(node, claimant, process, mode, span))
        if standing.obstacle is not None or covers(standing.held, mode):
            return standing.obstacle
        try:
            handle = self._open_handle(node.path, node.instance)
            try:
                return elsewhere(handle.get_lock_info(), standing.held, mode)
            finally:
                self._close(handle)
        except (HandleInvalid, NoNode) as error:
            raise _os_error(Verdict.STALE) from error
        except SessionError as error:
            self.abandon()
            raise _os_error(Verdict.ABANDONED) from error

    def drop_file(self, file: int) -> None:
        """An open file was released: everything it took is given back, whatever is asked through it ends."""
        if file in self._asked:  # else there is nothing, which is what most files come to
            self._asked.discard(file)
            self._give_back(lambda claims: claims.drop_file(file))

    # ------------------------------------------------------------------------------------------------------- others

    def held(self, node: Node, process: int) -> SequencerBytes | None:
        """The sequencer of the lock that this process holds on the node, with `token` and `mode`; None if it does not.

        Raises ChubbyError if the cell does not answer.
        """
        grip = None if self._over else self._inside(lambda claims: claims.holding(node, process))
        handle = None if grip is None else self._handles.get(grip)
        try:
            return None if handle is None else handle.get_sequencer()
        except (ConditionError, HandleError, SessionError):  # given back, or lost, meanwhile
            return None

    def has(self, node: Node, claimant: Claimant) -> bool:
        """Whether this claimant holds anything of the node."""
        return self._inside(lambda claims: claims.has(node, claimant))

    @property
    def count(self) -> int:
        """How many locks are held or waited for."""
        return len(self._handles)

    def abandon(self) -> None:
        """The session is lost: every waiter ends with EIO, and so does everything later. Idempotent."""
        self._over = True
        self._inside(Claims.abandon)

    # ------------------------------------------------------------------------------------------------------ walking

    def _check(self) -> None:
        if self._over:
            raise _os_error(Verdict.ABANDONED)

    def _take(self, ask: Ask) -> None:
        """Get what is asked for, or raise why not."""
        self._asked.add(ask.file)
        ticket = self._inside(lambda claims: claims.ask(ask))
        self._alarms[ticket] = threading.Event()
        try:
            verdict, failure = self._walk(self._inside(lambda claims: claims.next(ticket)), ticket)
        finally:
            del self._alarms[ticket]
        if verdict is not Verdict.GRANTED:
            _refuse(verdict, failure)

    def _give_back(self, action: Callable[[Claims], tuple[int, ...]]) -> None:
        """Do what may leave grips idle, and see to them. Never fails: what cannot be done now is done afterwards."""
        for grip in self._inside(action):
            self._tend(grip)

    def _tend(self, grip: int) -> None:
        self._walk(self._inside(lambda claims: claims.tend(grip)))

    def _walk(self, step: Step, ticket: int = 0) -> tuple[Verdict | None, BaseException | None]:
        """Go step by step to the end: the verdict, and the first failure on the way."""
        failure: BaseException | None = None
        while not isinstance(step, Finish):
            if isinstance(step, Wait):
                step = self._wait(ticket)
            else:
                outcome, error = self._perform(step)
                failure = failure or error
                step = self._report(step.grip, outcome)
        return step.verdict, failure

    def _report(self, grip: int, outcome: Outcome) -> Step:
        return self._inside(lambda claims: claims.report(grip, outcome))

    def _wait(self, ticket: int) -> Step:
        """Wait to be woken, then ask for the next step; interrupted, withdraw."""
        alarm, patience = self._alarms[ticket], Patience()
        try:
            while not alarm.wait(patience.slice):
                patience.look_up()
        except BaseException:
            self._inside(lambda claims: claims.withdraw(ticket))
            raise
        alarm.clear()  # before the claims are asked: what happens after that rings again
        return self._inside(lambda claims: claims.next(ticket))

    def _perform(self, work: Work) -> tuple[Outcome, BaseException | None]:
        """Do a piece of work: what came of it, and what it raised."""
        try:
            return self._do(work), None
        except LockConflict as error:
            return (Outcome.REFUSED if work.deed is Deed.TRY else Outcome.FAILED), error
        except (HandleInvalid, NoNode) as error:
            return Outcome.STALE, error
        except SessionError as error:
            self.abandon()
            return Outcome.FAILED, error
        except InterruptedError as error:
            return Outcome.INTERRUPTED, error
        except Exception as error:
            return Outcome.FAILED, error
        except BaseException as error:  # Ctrl-C: raised again once the claims know
            return Outcome.INTERRUPTED, error

    def _do(self, work: Work) -> Outcome:
        if work.deed is Deed.OPEN:
            self._handles[work.grip] = self._open_handle(work.node.path, work.node.instance)
            return Outcome.DONE
        if work.deed is Deed.CLOSE:
            self._close(self._handles.pop(work.grip))
            return Outcome.DONE
        handle = self._handles[work.grip]
        if work.deed is Deed.RELEASE:
            handle.release()
            return Outcome.DONE
        assert work.mode is not None, "the others are for a mode"
        if work.deed is Deed.PEEK:
            return Outcome.DONE if attainable(handle.get_lock_info(), work.mode) else Outcome.REFUSED
        acquire = handle.acquire if work.deed is Deed.ACQUIRE else handle.try_acquire
        acquire(work.mode, lock_delay=self._lock_delay)
        return Outcome.DONE

    def _close(self, handle: LockHandle) -> None:
        """Close a handle, now or, if this thread is interrupted, afterwards."""
        try:
            handle.close()
        except Exception:
            self._janitor.entrust(partial(_close_quietly, handle))

    # ----------------------------------------------------------------------------------------------------- the claims

    def _inside(self, action: Callable[[Claims], T]) -> T:
        """Do something with the claims, alone, and then what it brought about."""
        with self._mutex:
            result = action(self._claims)
            outbox = self._claims.drain()
            alarms = [self._alarms.get(ticket) for ticket in outbox.woken]
            aborted = [self._handles[grip] for grip in outbox.aborted]
        for alarm in alarms:
            if alarm is not None:  # None: it has not begun to wait, or ended
                alarm.set()
        for handle in aborted:
            self._janitor.entrust(partial(_close_quietly, handle))
        self._see_to(outbox)
        return result

    def _see_to(self, outbox: Outbox) -> None:
        for grip in outbox.neglected:
            self._janitor.entrust(partial(self._tend, grip))
        for node, _, claim in outbox.lost:
            _log.warning("the lock of %s is lost to the processes %s", node.path, list(claim.processes))


def _close_quietly(handle: LockHandle) -> None:
    with suppress(SessionError):  # the handle went with its session
        handle.close()


def _os_error(verdict: Verdict) -> OSError:
    number = _ERRNOS[verdict]
    return OSError(number, os.strerror(number))


def _refuse(verdict: Verdict | None, failure: BaseException | None) -> NoReturn:
    """Raise what an ask that was not granted came to."""
    if verdict in _ERRNOS:
        raise _os_error(verdict) from failure
    assert failure is not None, "who failed knows of what"
    raise failure
