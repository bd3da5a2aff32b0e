"""An operator, who changes the members of the cell in the middle of everything: replaces a replica by one with an empty
disk, or adds one and takes an old one out (DESIGN §3 Membership; docs/operations.md).

It does what `chubby replica add|remove|replace` do, by way of whichever client is there, and looks at what became of it
as `chubby status` does; a call whose answer does not come is made again. One change at a time, and none is begun after
the faults have ended, but the one that was begun is brought to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chubby.paxos.configuration import Configuration
from chubby.types.calls import ChangeMembers, MemberAction
from chubby.types.identity import Incarnation, ReplicaId
from chubby.types.results import Answer
from chubby.types.time import SECOND, Duration
from tests.simulation.faults.field import Field
from tests.simulation.hosts import ReplicaHost
from tests.simulation.population import Population

BETWEEN: Duration = 12 * SECOND
"""The mean between the end of one change and the begin of the next."""
AGAIN: Duration = SECOND
PATIENCE: Duration = 5 * SECOND

Task = Callable[[], bool]
"""Something to be brought about: asked again and again until it says that it is."""


class Operator:
    """One, with one thing to do at a time. `build` makes the machine of a replica that is not there yet."""

    def __init__(self, field: Field, population: Population, build: Callable[[ReplicaId], ReplicaHost]) -> None:
        self._field = field
        self._world = field.world
        self._chance = field.world.stream("operator")
        self._population = population
        self._build = build
        self._next: ReplicaId = max(host.number for host in field.hosts) + 1
        self._tasks: list[Task] = []
        self._asked = 0
        self._seen: Incarnation | None = None
        self._stopped = False
        self.replaced = 0
        self.added = 0
        self.removed = 0

    def start(self) -> None:
        """Begin to think of something to change."""
        self._world.after(round(self._chance.expovariate(1.0) * BETWEEN), self._begin)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True

    @property
    def busy(self) -> bool:
        """Whether a change was begun and is not done."""
        return bool(self._tasks)

    # --- what it has in mind -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._stopped:
            return
        if self._chance.random() < 0.5:
            self._exchange()
        else:
            self._replace()
        self._work()

    def _replace(self) -> None:
        """A replica that is not the master is stopped for good; another machine takes its number."""
        others = [host for host in self._field.hosts if not host.believes]
        host = self._chance.choice(others) if others else None
        if host is None or not self._field.may_lose_a_disk(host):
            return
        self._world.trace(f"the operator replaces {host.place}")
        host.retired = True
        host.crash()
        before = host.incarnation
        replace = ChangeMembers(MemberAction.REPLACE, host.number, incarnation=before)
        self._tasks = [
            partial(self._asks, replace, partial(self._is_gone, host, before)),
            partial(self._install, host),
            partial(self._votes, host),
            partial(self._count, "replaced"),
        ]

    def _exchange(self) -> None:
        """A new replica with a new number, then one less of the others."""
        host = self._build(self._next)
        self._next += 1
        self._world.trace(f"the operator adds {host.place}")
        host.retired = True
        address = host.config.replica(host.number)
        assert address is not None, "a new machine stands in its own configuration file"
        add = ChangeMembers(MemberAction.ADD, host.number, address.peer, address.client)
        self._tasks = [
            partial(self._asks, add, partial(self._is_member, host.number)),
            partial(self._install, host),
            partial(self._votes, host),
            partial(self._count, "added"),
            partial(self._remove_other, host),
        ]

    def _remove_other(self, newcomer: ReplicaHost) -> bool:
        host = self._chance.choice([host for host in self._field.hosts if host is not newcomer])
        self._world.trace(f"the operator removes {host.place}")
        self._seen = None
        self._tasks[1:] = [
            partial(self._asks_to_remove, host),
            partial(self._retire, host),
            partial(self._count, "removed"),
        ]
        return True

    # --- how it goes about it ------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._tasks and self._tasks[0]():
            self._tasks.pop(0)
        if self._tasks:
            self._world.after(AGAIN, self._work)
        else:
            self.start()

    def _count(self, what: str) -> bool:
        setattr(self, what, getattr(self, what) + 1)
        return True

    def _configuration(self) -> Configuration | None:
        """What the master says of the members, if there is one."""
        for host in self._field.hosts:
            if host.replica is not None and host.replica.serving and self._world.now >= host.paused_until:
                return host.replica.configuration
        return None

    def _is_member(self, number: ReplicaId) -> bool:
        latest = self._configuration()
        return latest is not None and latest.member(number) is not None

    def _is_gone(self, host: ReplicaHost, incarnation: int) -> bool:
        """Whether that life of the replica is no member any more."""
        latest = self._configuration()
        if latest is None:
            return False
        member = latest.member(host.number)
        return member is None or member.incarnation != incarnation

    def _asks(self, call: ChangeMembers, done: Callable[[], bool]) -> bool:
        """Make the call by way of some client, until it has come true."""
        if done():
            self._asked = 0
            return True
        clients = self._population.living()
        if self._asked <= self._world.now and clients:
            self._asked = self._world.now + PATIENCE + SECOND
            client = self._chance.choice(clients)
            if client.awake:
                client.call(call, self._answered, PATIENCE)
        return False

    def _answered(self, answer: Answer) -> None:
        """Whatever it is: the members are looked at next."""
        self._asked = self._world.now

    def _asks_to_remove(self, host: ReplicaHost) -> bool:
        """The master does not remove itself: it hands over first."""
        latest = self._configuration()
        if latest is not None:
            member = latest.member(host.number)
            if member is None:
                return True
            self._seen = member.incarnation
        if host.replica is not None and host.replica.serving and self._world.now >= host.paused_until:
            host.replica.hand_over(host.clock.now())
            host.pump()
            return False
        remove = ChangeMembers(MemberAction.REMOVE, host.number, incarnation=self._seen)
        return self._asks(remove, lambda: False)

    def _install(self, host: ReplicaHost) -> bool:
        """The machine with the empty disk is there, and runs."""
        if host.number not in [other.number for other in self._field.hosts]:
            self._field.hosts.append(host)
        if host.running:
            host.crash()
        host.wipe()
        host.retired = False
        host.start()
        return True

    def _votes(self, host: ReplicaHost) -> bool:
        """Whether the newcomer is a voter, as which it now runs."""
        latest = self._configuration()
        return latest is not None and latest.is_voter(host.number, host.incarnation)

    def _retire(self, host: ReplicaHost) -> bool:
        """Its machine is switched off, wherever it had got to."""
        host.retired = True
        host.crash()
        if host in self._field.hosts:
            self._field.hosts.remove(host)
        return True
