"""One lock of one node as the cell keeps it: first come, first served, no barging. An obvious model, for tests."""

from __future__ import annotations

from chubby.types.nodes import LockInfo, LockMode, LockOwner

SESSION = 7
"""The session to which all handles of the fake belong."""


class FakeLock:
    """Holders and waiters by handle number, in the order of their arrival. `token` counts the hold periods."""

    def __init__(self) -> None:
        self.holders: dict[int, LockMode] = {}
        self.waiters: dict[int, LockMode] = {}
        self.token = 0
        self.delayed = False

    def acquire(self, handle: int, mode: LockMode) -> None:
        """Queue, and be granted as soon as nobody who is in the way is left."""
        assert handle not in self.holders, "a handle that asks again is a conflict: release first"
        assert handle not in self.waiters, "one thread at a time works on a handle"
        self.waiters[handle] = mode
        self._settle()

    def try_acquire(self, handle: int, mode: LockMode) -> bool:
        """Be granted now or not at all."""
        self.acquire(handle, mode)
        if handle in self.waiters:
            del self.waiters[handle]
            return False
        return True

    def release(self, handle: int) -> None:
        """Give back what is held."""
        del self.holders[handle]
        self._settle()

    def leave(self, handle: int) -> None:
        """Be neither holder nor waiter any more: cancelled, or closed."""
        self.holders.pop(handle, None)
        self.waiters.pop(handle, None)
        self._settle()

    @property
    def mode(self) -> LockMode | None:
        """How it is held."""
        return next(iter(self.holders.values()), None)

    def info(self) -> LockInfo:
        """What the cell would say."""
        holders = tuple(LockOwner(SESSION, handle) for handle in self.holders)
        waiters = tuple((LockOwner(SESSION, handle), mode) for handle, mode in self.waiters.items())
        return LockInfo("/f", self.mode, self.token, self.token, holders, waiters, self.delayed, 0)

    def _settle(self) -> None:
        while self.waiters and not self.delayed:
            handle, mode = next(iter(self.waiters.items()))
            if self.holders and LockMode.EXCLUSIVE in {mode, self.mode}:
                return
            self.token += not self.holders
            self.holders[handle] = self.waiters.pop(handle)
