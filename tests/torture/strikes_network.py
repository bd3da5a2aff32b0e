"""Cuts and spoils ways between machines."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from chubby.types.identity import ReplicaId
from tests.torture.cell import TornCell, unplug
from tests.torture.machines import DESK, Machine
from tests.torture.plan import Kind, Strike, Track, chosen
from tests.torture.strikes import NO_MASTER, Acts, Board, Striker
from tests.torture.switch import CUT, Network, Way, Weather


class NetworkStriker(Striker):
    """Cuts and spoils ways between machines."""

    def __init__(
        self, board: Board, seed: int, cell: TornCell, network: Network, machines: Mapping[int, Machine]
    ) -> None:
        """Nothing is done to the desk."""
        self._cell = cell
        self._network = network
        self._machines = {number: machine for number, machine in machines.items() if number != DESK}
        self._replicas = list(cell.members)
        self._clients = [number for number in machines if number not in cell.members]
        super().__init__(board, Track.NETWORK, seed)

    def acts(self) -> Acts:
        """See `Striker`."""
        return {
            Kind.CUT: lambda strike: self._cut(strike, self._victim(strike)),
            Kind.CUT_MASTER: lambda strike: self._cut(strike, self._master(strike)),
            Kind.DEAF: lambda strike: self._hold(strike, self._ways(self._others(strike), [self._victim(strike)])),
            Kind.MUTE: lambda strike: self._hold(strike, self._ways([self._victim(strike)], self._others(strike))),
            Kind.SPLIT: self._split,
            Kind.ONE_WAY: self._one_way,
            Kind.UNPLUG: self._unplug,
            Kind.LOSSY: self._lossy,
            Kind.SLOW: self._slow,
            Kind.SLOW_ALL: self._slow_all,
            Kind.CUT_CLIENTS: self._cut_clients,
        }

    def _victim(self, strike: Strike) -> ReplicaId:
        return self._replicas[chosen(strike, len(self._replicas))[0]]

    def _master(self, strike: Strike) -> ReplicaId:
        status = self._cell.master_status()
        if status is None:
            self.board.notes[NO_MASTER] += 1
            return self._victim(strike)
        return status.master

    def _others(self, strike: Strike) -> list[int]:
        victim = self._victim(strike)
        return [number for number in self._machines if number != victim]

    def _ways(self, sources: list[int], targets: list[int], weather: Weather = CUT) -> dict[Way, Weather]:
        return {(source, target): weather for source, target in product(sources, targets) if source != target}

    def _hold(self, strike: Strike, ways: Mapping[Way, Weather]) -> None:
        """The weather on these ways, while the strike lasts."""
        self._network.impose("strike", ways)
        try:
            self.board.wait(strike.lasts)
        finally:
            self._network.impose("strike", {})

    def _cut(self, strike: Strike, victim: ReplicaId) -> None:
        others = [number for number in self._machines if number != victim]
        self._hold(strike, {**self._ways([victim], others), **self._ways(others, [victim])})

    def _split(self, strike: Strike) -> None:
        """Two against three, clients on either side or on both."""
        order = [self._replicas[index] for index in chosen(strike, len(self._replicas))]
        few, many = order[:2], order[2:]
        for client, die in zip(self._clients, strike.dice, strict=False):
            if die < 0.33:
                few.append(client)
            elif die < 0.66:
                many.append(client)
        self._hold(strike, {**self._ways(few, many), **self._ways(many, few)})

    def _one_way(self, strike: Strike) -> None:
        one, other = chosen(strike, len(self._replicas))[:2]
        self._hold(strike, self._ways([self._replicas[one]], [self._replicas[other]]))

    def _unplug(self, strike: Strike) -> None:
        machine = self._machines[self._victim(strike)]
        times = 1 + int(strike.dice[0] * 4)
        for _ in range(times):
            unplug(machine, down=True)
            try:
                self.board.wait(strike.lasts / times / 2)
            finally:
                unplug(machine, down=False)
            self.board.wait(strike.lasts / times / 2)

    def _lossy(self, strike: Strike) -> None:
        everyone = list(self._machines)
        weather = Weather(loss=0.02 + 0.15 * strike.dice[0], jitter=0.01 * strike.dice[1], twice=0.1 * strike.dice[2])
        self._hold(strike, self._ways(everyone, everyone, weather))

    def _slow(self, strike: Strike) -> None:
        victim, others = [self._victim(strike)], self._others(strike)
        weather = Weather(delay=0.02 + 0.4 * strike.dice[0], jitter=0.2 * strike.dice[1])
        self._hold(strike, {**self._ways(victim, others, weather), **self._ways(others, victim, weather)})

    def _slow_all(self, strike: Strike) -> None:
        everyone = list(self._machines)
        weather = Weather(delay=0.01 + 0.05 * strike.dice[0], jitter=0.03 * strike.dice[1])
        self._hold(strike, self._ways(everyone, everyone, weather))

    def _cut_clients(self, strike: Strike) -> None:
        client = [self._clients[chosen(strike, len(self._clients))[0]]]
        self._hold(strike, {**self._ways(client, self._replicas), **self._ways(self._replicas, client)})
