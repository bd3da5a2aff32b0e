"""Where the synchronous face is sewn to the asyncio one: what its parts share, and its users do not see (DESIGN §6).

Sessions, handles, events and recipes of the synchronous face each know the seam of their session. It carries their
errands to the background loop; a call that the cache answers goes nowhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from chubby.client import portal
from chubby.client import session as asynchronous
from chubby.client.driver import Driver
from chubby.client.operations import Steps
from chubby.errors import ChubbyError, Failure, SessionExpired, error_of
from chubby.types.calls import Call
from chubby.types.identity import CallNumber
from chubby.types.results import Answer, Result

T = TypeVar("T")


class _CallErrand:
    """One call: see `portal.Errand`. No task is made for it."""

    __slots__ = ("_call", "_driver", "_number", "_timeout", "future")

    def __init__(self, driver: Driver, call: Call, timeout: float | None) -> None:
        self.future: Future[Answer] = Future()
        self._driver = driver
        self._call = call
        self._timeout = timeout
        self._number: CallNumber = 0

    def begin(self) -> None:
        """See `portal.Errand`."""
        try:
            self._number = self._driver.begin(self._call, self._timeout, self.future)
        except Exception as error:  # a bug, too, must reach whoever waits
            self.future.set_exception(error)

    def give_up(self) -> None:
        """See `portal.Errand`."""
        self.future.cancel()
        if self._number:
            self._driver.cancel(self._number)


class Seam:
    """One session as the synchronous face uses it: `session` is the asyncio one, `closed` says whether it was closed.

    `owner` is the synchronous session, which the end of the process closes.
    """

    def __init__(
        self, owner: portal.Closable, opening: Callable[[], Coroutine[Any, Any, asynchronous.Session]]
    ) -> None:
        self.closed = False
        self._owner = owner
        self.portal = portal.enter(owner)
        try:
            self.session = self.portal.run(opening())
        except BaseException:
            self.closed = True
            portal.leave(self.portal, owner)
            raise
        self.driver = self.session._driver
        self.cached = self.driver.cached

    @property
    def ours(self) -> bool:
        """Whether this is the process that opened the session. In a fork of it, leaving a `with` block does nothing."""
        return os.getpid() == self.portal.pid

    def check_process(self) -> None:
        """Raise ForkedProcess in a child of the process that opened the session."""
        self.portal.check()

    def end(self, timeout: float) -> None:
        """Close the session. Idempotent."""
        self.check_process()
        if self.closed:
            return
        self.closed = True
        try:
            self.portal.run(self.session.close(timeout))
        finally:
            portal.leave(self.portal, self._owner)

    # ------------------------------------------------------------------------------------------------- on the loop

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the session's loop, and wait for it; interrupted, it is cancelled."""
        if self.closed:
            coroutine.close()
            self.check_process()
            raise SessionExpired("the session was closed by its owner")
        return self.portal.run(coroutine)

    def wait_within(self, make: Callable[[], Coroutine[Any, Any, T]], timeout: float | None) -> T | None:
        """The same with the coroutine that `make` makes, for `timeout` seconds at most; None if they pass."""

        async def within() -> T | None:
            try:
                async with asyncio.timeout(timeout):
                    return await make()
            except TimeoutError:
                return None

        return self.wait_for(within())

    def on_loop(self, action: Callable[[], T]) -> T:
        """Have `action` done on the session's loop, and wait for what it gives."""

        async def act() -> T:
            return action()

        return self.wait_for(act())

    def on_loop_undoable(self, action: Callable[[], Callable[[], None]]) -> Callable[[], None]:
        """The same for an action that gives what undoes it; that, too, is then done on the loop."""
        undo = self.on_loop(action)
        return lambda: self.portal.post(undo)

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items of an asynchronous iterator of this session, one blocking step after the other."""
        while found := self.wait_for(step(items)):
            yield found[0]

    # ------------------------------------------------------------------------------------------------------- calls

    def run(self, steps: Steps[T], timeout: float | None = None, patient: bool = False) -> T:
        """Run one operation, each of its calls within `timeout` seconds.

        None: the session's `call_timeout`, or for ever if the operation is `patient` by nature.
        """
        limit = self.session.call_timeout if timeout is None and not patient else timeout
        try:
            call = next(steps)
            while True:
                try:
                    result = self._answer(call, limit)
                except ChubbyError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _answer(self, call: Call, timeout: float | None) -> Result:
        answer = self.cached(call)
        if answer is None:
            if self.closed:
                raise SessionExpired("the session was closed by its owner")
            answer = self.portal.carry_out(_CallErrand(self.driver, call, timeout))
        if isinstance(answer, Failure):
            raise error_of(answer)
        return answer


async def step(items: AsyncIterator[T]) -> tuple[T, ...]:
    """The next item, alone in a tuple; empty at the end."""
    async for item in items:
        return (item,)
    return ()
