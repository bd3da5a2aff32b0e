"""The network between the machines: a process that takes frames from cables and puts them onto others, or does not.

What becomes of a frame is a matter of the *way* it goes, from one machine to one other, so each direction of each pair
can be cut, lossy or slow by itself. Frames are delayed, lost, duplicated and thereby reordered; what is lost is lost in
silence, as on a real network. TCP and ARP of the kernel see nothing but that.

`Ways` decides and is pure but for the chance it is given; `Switch` is the process around it (`python -m
tests.torture.switch CABLES`), and `Network` how a run speaks to it: one line of JSON for all ways that are not clear.
"""

from __future__ import annotations

import heapq
import os
import random
import selectors
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tests.integration.cells import ROOT, bound_to_us
from tests.torture.machines import Machine

EVERYBODY = 0xFF
"""The last byte of a frame that is for all: a question for an address."""
_GROUP = 0x01
_READS = 32
"""So many frames are taken from one cable before the others have their turn."""

Way = tuple[int, int]
"""From one machine to another, by number."""


class Weather(msgspec.Struct, frozen=True, array_like=True):
    """How it is on one way. `loss` and `twice` are shares of frames; `delay` and `jitter` seconds."""

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    twice: float = 0.0


CLEAR = Weather()
CUT = Weather(loss=1.0)


class Orders(msgspec.Struct, frozen=True):
    """The weather on every way that is not clear."""

    ways: tuple[tuple[int, int, Weather], ...] = ()


class Ways:
    """What becomes of each frame."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._weather: dict[Way, Weather] = {}
        self.counts: Counter[str] = Counter()

    def obey(self, orders: Orders) -> None:
        """From now on."""
        self._weather = {(source, target): weather for source, target, weather in orders.ways}

    def delays(self, source: int, target: int) -> Sequence[float]:
        """After how long the frame arrives, for each time it does."""
        weather = self._weather.get((source, target), CLEAR)
        if weather is CLEAR:
            self.counts["passed"] += 1
            return (0.0,)
        chance = self._chance
        if chance.random() < weather.loss:
            self.counts["lost"] += 1
            return ()
        times = 2 if chance.random() < weather.twice else 1
        self.counts["passed" if weather.delay == 0 else "delayed"] += 1
        self.counts["doubled"] += times - 1
        return [weather.delay + weather.jitter * chance.random() for _ in range(times)]


class Switch:
    """Reads, waits, writes, until its orders end."""

    def __init__(self, cables: Mapping[int, int], ways: Ways) -> None:
        self._cables = cables
        self._ways = ways
        self._late: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._selector = selectors.EpollSelector()
        self._rest = b""
        for number, cable in cables.items():
            self._selector.register(cable, selectors.EVENT_READ, number)
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ, None)

    def run(self) -> None:
        """Until whoever gives the orders is gone."""
        while True:
            pause = max(0.0, self._late[0][0] - time.monotonic()) if self._late else None
            for key, _ in self._selector.select(pause):
                if key.data is None:
                    if not self._read_orders():
                        return
                else:
                    self._read_frames(key.data)
            self._deliver()

    def _read_orders(self) -> bool:
        heard = os.read(0, 1 << 20)
        *lines, self._rest = (self._rest + heard).split(b"\n")
        for line in lines:
            self._ways.obey(msgspec.json.decode(line, type=Orders))
            os.write(1, msgspec.json.encode(self._ways.counts) + b"\n")
        return bool(heard)

    def _read_frames(self, source: int) -> None:
        cable = self._cables[source]
        for _ in range(_READS):
            try:
                frame = os.read(cable, 2048)
            except (BlockingIOError, OSError):  # nothing more, or the card is down
                return
            for target in self._targets(source, frame):
                for delay in self._ways.delays(source, target):
                    if delay == 0.0:
                        self._write(target, frame)
                    else:
                        self._count += 1
                        heapq.heappush(self._late, (time.monotonic() + delay, self._count, target, frame))

    def _targets(self, source: int, frame: bytes) -> Iterable[int]:
        if frame[0] & _GROUP:
            return [number for number in self._cables if number != source] if frame[5] == EVERYBODY else ()
        return (frame[5],) if frame[5] in self._cables and frame[5] != source else ()

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, _, target, frame = heapq.heappop(self._late)
            self._write(target, frame)

    def _write(self, target: int, frame: bytes) -> None:
        try:
            os.write(self._cables[target], frame)
        except OSError:  # its card is down, or its queue is full: lost
            self._ways.counts["lost"] += 1


class Network:
    """The switch between these machines, as its owner has it."""

    def __init__(self, machines: Sequence[Machine], seed: int) -> None:
        """Started and at work; the weather is clear."""
        cables = {machine.number: machine.cable for machine in machines}
        self.numbers = list(cables)
        self._ways: dict[str, dict[Way, Weather]] = {}
        self._lock = threading.Lock()
        self.counts: dict[str, int] = {}
        self._process = subprocess.Popen(
            bound_to_us("-m", "tests.torture.switch", str(seed), *(f"{key}={value}" for key, value in cables.items())),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=tuple(cables.values()),
        )
        self._send(Orders())  # answered once it is there

    def impose(self, name: str, ways: Mapping[Way, Weather]) -> None:
        """Have this weather on these ways until the same name imposes another one, or `{}`.

        Where two names disagree about a way it is as bad as either says.
        """
        with self._lock:
            self._ways[name] = dict(ways)
            worst: dict[Way, Weather] = {}
            for imposed in self._ways.values():
                for way, weather in imposed.items():
                    worst[way] = _worse(worst.get(way, CLEAR), weather)
            self._send(Orders(tuple((*way, weather) for way, weather in sorted(worst.items()))))

    def _send(self, orders: Orders) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(orders) + b"\n")
        self._process.stdin.flush()
        self.counts = msgspec.json.decode(self._process.stdout.readline(), type=dict[str, int])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _worse(one: Weather, other: Weather) -> Weather:
    pairs = zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
    return Weather(*(max(pair) for pair in pairs))


def main(arguments: Sequence[str]) -> None:
    """Be the switch between cables that are given as NUMBER=DESCRIPTOR."""
    seed, *cables = arguments
    pairs = (each.split("=") for each in cables)
    Switch({int(number): int(cable) for number, cable in pairs}, Ways(random.Random(int(seed)))).run()


if __name__ == "__main__":
    main(sys.argv[1:])
