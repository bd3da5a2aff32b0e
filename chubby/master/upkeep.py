"""What a master sees to by itself: its first acts, lease caps, lock-delays (DESIGN §4 Lock-delay; §5 Three leases)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chubby.master.desk import Desk
from chubby.master.errands import OwnErrand
from chubby.master.leases import Leases
from chubby.master.moment import Moment
from chubby.master.pipeline import Pipeline, WorkPlan
from chubby.master.timers import Timers
from chubby.namespace.commands import Body, EndLockDelay, LeaseCaps, RaiseCaps, RotateKey, SetLimits
from chubby.namespace.outcomes import Delay
from chubby.types.time import Instant

_Period = tuple[str, int, int]
"""The path of a lock, the node's instance, the lock's generation."""


class Upkeep:
    """Commands on the master's own account."""

    def __init__(self, desk: Desk, pipeline: Pipeline, leases: Leases, fresh_key: Callable[[], bytes]) -> None:
        """Nothing to see to yet."""
        self._desk = desk
        self._pipeline = pipeline
        self._leases = leases
        self._fresh_key = fresh_key
        self._delays: Timers[_Period] = Timers()
        self._seen: tuple[int, LeaseCaps] = (0, LeaseCaps())

    def __len__(self) -> int:
        """How many locks are in lock-delay."""
        return len(self._delays)

    @property
    def next(self) -> Instant:
        """When there is something to see to."""
        return min(self._delays.next, self._leases.next_review)

    @property
    def has_key(self) -> bool:
        """Whether there is a key for check digits."""
        return bool(self._desk.machine.keys) and bool(self._desk.machine.keys[0])

    def begin(self, at: Moment) -> None:
        """The first acts of a mastership, whose BeginEpoch was just applied.

        Lock-delays start again in full: how much of them had passed, nobody knows.
        """
        machine, settings = self._desk.machine, self._desk.settings
        self.delay(machine.delays(), at.now)
        if settings.rotate_key or not self.has_key:
            self.propose(RotateKey(self._fresh_key()), at)
        if settings.limits is not None and settings.limits != machine.limits:
            self.propose(SetLimits(settings.limits), at)
        self._ask(self._leases.begin(machine.caps, machine.session_count, at.now), at)

    def propose(self, body: Body, at: Moment) -> None:
        """Put a command into the log that touches nothing anybody caches."""
        plan = WorkPlan(body)
        self._pipeline.admit(OwnErrand(lambda _: plan), plan, at)

    def delay(self, delays: Iterable[Delay], now: Instant) -> None:
        """These locks are in lock-delay from now on."""
        for delay in delays:
            self._delays.set((delay.path, delay.instance, delay.generation), now + delay.delay)

    def tick(self, at: Moment) -> None:
        """End the lock-delays that are over; look at the length of leases."""
        while (period := self._delays.pop(at.now)) is not None:
            self._end_delay(period, at)
        self._review(at)

    def applied(self, at: Moment) -> None:
        """A command was applied: look at the load again if sessions came or went, or the caps changed."""
        machine = self._desk.machine
        if (machine.session_count, machine.caps) != self._seen:
            self._review(at)

    def _review(self, at: Moment) -> None:
        machine = self._desk.machine
        self._seen = (machine.session_count, machine.caps)
        self._ask(self._leases.review(machine.caps, machine.session_count, at.now), at)

    def clear(self) -> None:
        """The mastership is over."""
        self._delays.clear()

    def _ask(self, caps: LeaseCaps | None, at: Moment) -> None:
        if caps is not None:
            self.propose(RaiseCaps(caps), at)

    def _end_delay(self, period: _Period, at: Moment) -> None:
        path, instance, generation = period

        def plan(_: Moment) -> WorkPlan | None:
            node = self._desk.machine.node(path)
            if node is None or node.instance != instance or node.lock_generation != generation:
                return None
            return WorkPlan(EndLockDelay(path, instance, generation), locks=(path,), frees=(path,))

        planned = plan(at)
        if planned is not None:
            self._pipeline.admit(OwnErrand(plan), planned, at)
