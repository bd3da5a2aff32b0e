"""How long to wait before dialling a peer again, sans-IO: exponential, with jitter, between two bounds.

The wait is drawn from the upper half of a range that doubles with every failure: it grows, and five replicas that lost
each other in the same millisecond do not all come back in the same millisecond.
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.types.time import Duration


class Backoff:
    """The waits of one peer. `jitter` returns numbers in [0, 1)."""

    __slots__ = ("_ceiling", "_jitter", "_longest", "_shortest")

    def __init__(self, shortest: Duration, longest: Duration, jitter: Callable[[], float]) -> None:
        """No wait is shorter than `shortest` or longer than `longest`."""
        assert shortest > 0 and 2 * shortest <= longest, "the range must leave room for one doubling"
        self._shortest = shortest
        self._longest = longest
        self._jitter = jitter
        self._ceiling = 2 * shortest

    def draw(self) -> Duration:
        """The next wait; the one after it is drawn from twice the range."""
        half = self._ceiling // 2
        self._ceiling = min(2 * self._ceiling, self._longest)
        return half + int(self._jitter() * half)

    def reset(self) -> None:
        """The peer answered: the next failure is a new one."""
        self._ceiling = 2 * self._shortest

    def exhaust(self) -> None:
        """The peer answered, and said no: asking again soon will not change its mind."""
        self._ceiling = self._longest
