"""Virtual time: a queue of callbacks, seeded chances, and a trace whose hash names the run."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable

from chubby.types.time import Duration, Instant, to_seconds

START: Instant = 1_000_000_000_000
"""True time at the start: well above zero, as on a machine that has been up for a while."""


def stream(seed: int, concern: str) -> random.Random:
    """The chances of one concern of a seed, independent of those of all others; the same in every process."""
    return random.Random(f"{seed}/{concern}")


class Timer:
    """A callback that will run, unless it is cancelled before."""

    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Do not run it."""
        self.cancelled = True


class World:
    """True time and chance. Hosts have clocks of their own, see `Clock`."""

    def __init__(self, seed: int, tracing: bool = False) -> None:
        """`tracing` prints each line of the trace."""
        self.seed = seed
        self.bounded = True
        """Whether clocks keep to the bound. If not, whatever rests on leases may break: reads may be of the past, and
        two may believe to hold a lock at one time; nothing else may.
        """
        self.now: Instant = START
        self._queue: list[tuple[Instant, int, Timer]] = []
        self._count = 0
        self._tracing = tracing
        self._hash = hashlib.blake2b(digest_size=8)

    def stream(self, concern: str) -> random.Random:
        """The chances of one concern of this run."""
        return stream(self.seed, concern)

    def after(self, delay: Duration, callback: Callable[[], None]) -> Timer:
        """Run `callback` when `delay` has passed."""
        return self.at(self.now + max(delay, 0), callback)

    def at(self, when: Instant, callback: Callable[[], None]) -> Timer:
        """Run `callback` at true time `when`, or now if that is past."""
        timer = Timer(callback)
        self._count += 1
        heapq.heappush(self._queue, (max(when, self.now), self._count, timer))
        return timer

    def run(self, until: Instant) -> None:
        """Let true time pass until `until`."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, timer = heapq.heappop(queue)
            if not timer.cancelled:
                timer.callback()
        self.now = until

    def trace(self, line: str) -> None:
        """Note what happens: hashed always, printed when tracing."""
        self._hash.update(f"{self.now} {line}\n".encode())
        if self._tracing:
            print(f"{to_seconds(self.now - START):10.6f}  {line}")

    @property
    def trace_hash(self) -> str:
        """Names all that happened so far."""
        return self._hash.hexdigest()


class Clock:
    """One host's CLOCK_BOOTTIME: an offset of its own, and a rate within the bound that the cell agreed upon, unless it
    is told to run otherwise. It never goes back, and it counts the time that its host sleeps.
    """

    def __init__(self, world: World, drift_ppm: int, chance: random.Random) -> None:
        """The rate is drawn once for the host, half the time at the very bound."""
        self._world = world
        self._offset = chance.randrange(10**9, 10**15)
        ppm = chance.randint(-2 * drift_ppm, 2 * drift_ppm)
        self.usual_ppm = max(-drift_ppm, min(ppm, drift_ppm))
        self._rate = 1_000_000 + self.usual_ppm
        self._since = START

    def now(self) -> Instant:
        """What the host reads."""
        return self._offset + (self._world.now - self._since) * self._rate // 1_000_000

    def run_at(self, ppm: int) -> None:
        """Gain so many millionths from now on, or lose them; timers that are set already are not told."""
        self._offset, self._since = self.now(), self._world.now
        self._rate = 1_000_000 + ppm

    def leap(self, distance: Duration) -> None:
        """Go forward at once."""
        self._offset += distance

    def true_delay(self, wait: Duration) -> Duration:
        """How much true time passes until this clock has advanced by `wait` (rounded up)."""
        return -(-wait * 1_000_000 // self._rate)
