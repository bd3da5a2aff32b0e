"""What the master pushes: taken in order, carried out, acknowledged (DESIGN §5 KeepAlive, Invalidate first).

An acknowledgement says that nobody reads the old value here any more. Where other caches rest on this one (a mount's
kernel keeps pages of what was read through the session), that is true only when they have dropped it too. So for a
session that *relays*, each drop is told to the shell as a `Relay`, and what it belongs to is acknowledged when the
shell says `relayed`. Places number the drops; they are carried out in that order.

::

    Push 7: drop a ──▶ cache drops a ──▶ Relay(3, a) ──▶ the shell's caches drop a ──▶ relayed(3) ──▶ Acknowledge(7)

A stream begins with an empty cache, which is the acknowledgement of all that the one before carried: then, too, those
who rest on it go first (`empty`, `waits`).
"""

from __future__ import annotations

from collections import deque

from chubby.client.cache import Cache
from chubby.client.effects import Effect, Relay, Send
from chubby.types.identity import StreamNumber
from chubby.types.stream import Acknowledge, Push


class Pushes:
    """The pushes of the present stream. Invariant: acknowledged ≤ taken; what lies between waits for `relayed`."""

    def __init__(self, cache: Cache, effects: list[Effect], relays: bool) -> None:
        """Nothing was pushed yet. `effects` is the core's own list."""
        self._cache = cache
        self._effects = effects
        self._relays = relays
        self._taken = 0
        self._acknowledged = 0
        self._told = 0
        self._done = 0
        self._owed: deque[tuple[int, int]] = deque()
        """Places, and the pushes to which they belong."""

    @property
    def waits(self) -> bool:
        """Whether a drop is on its way to those who rest on this cache."""
        return self._done < self._told

    def begin(self) -> None:
        """A stream begins: pushes are numbered anew, and those of the one before are acknowledged by its greeting."""
        self._taken = self._acknowledged = 0
        self._owed.clear()
        self.empty()

    def take(self, push: Push) -> bool:
        """Carry out the invalidations of `push`; False if it is not the next one, and nothing was done."""
        if push.number != self._taken + 1:
            return False
        self._taken = push.number
        if push.everything:
            self._cache.empty()
        for key in push.invalidate:
            self._cache.drop(key)
        if self._relays and (push.everything or push.invalidate):
            self._owed.append((self._relay(Relay(self._told + 1, push.invalidate, push.everything)), push.number))
        return True

    def empty(self) -> None:
        """Forget everything, here and in what rests on it."""
        self._cache.empty()
        if self._relays:
            self._relay(Relay(self._told + 1, (), everything=True))

    def relayed(self, place: int) -> None:
        """Whatever rests on this cache has dropped all up to `place`."""
        assert self._done <= place <= self._told, "places are done in order"
        self._done = place
        while self._owed and self._owed[0][0] <= place:
            self._owed.popleft()

    def acknowledge(self, stream: StreamNumber) -> None:
        """Acknowledge on `stream` what has been carried out everywhere, if there is any news in that."""
        upto = self._owed[0][1] - 1 if self._owed else self._taken
        if upto > self._acknowledged:
            self._acknowledged = upto
            self._effects.append(Send(stream, Acknowledge(upto)))

    def _relay(self, relay: Relay) -> int:
        self._told = relay.place
        self._effects.append(relay)
        return relay.place
