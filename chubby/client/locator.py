"""Who is master (DESIGN §6): ask all replicas in parallel, the highest epoch is right; and be told of a new one.

`find` asks everyone at once and waits only a moment longer than for the first useful answer: a replica that is down
must not delay the others' word, and a deposed master's word must not come first. `follow` keeps an idle watch on one
replica other than the master, which tells of a new epoch as soon as it knows, long before silence would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from chubby.client.network import Network
from chubby.errors import ChubbyError
from chubby.types.identity import Epoch
from chubby.types.status import Location

LISTEN: Final = 0.05
"""Seconds to listen for better answers after the first that names a master."""
ASK: Final = 2.0
"""Seconds that a round of questions takes at most."""
_REST: Final = 0.5
"""Seconds, at most, between two attempts to follow a replica."""
_MOST_REPLICAS: Final = 32
"""How many addresses are remembered, whatever replicas say."""


class Locator:
    """Knows the replicas' addresses: those it was given, and those that replicas tell of.

    `told(epoch, address)` is called for each location that names a master.
    """

    def __init__(
        self,
        network: Network,
        addresses: Sequence[str],
        told: Callable[[Epoch, str], None],
        jitter: Callable[[], float],
    ) -> None:
        self.cell = ""
        self.address = ""
        self.epoch: Epoch = 0
        self._network = network
        self._addresses: dict[str, str] = dict.fromkeys(addresses, "not asked yet")
        self._told = told
        self._jitter = jitter
        self._following: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """All replicas known of, those from the configuration first."""
        return tuple(self._addresses)

    def describe(self) -> str:
        """What each replica said when it was last asked, in one line, for an error message."""
        return "; ".join(f"{address}: {said}" for address, said in self._addresses.items())

    def failed(self, address: str, error: ChubbyError) -> None:
        """Note that no stream could be opened to `address`, though somebody says that the master is there."""
        if address in self._addresses:
            self._addresses[address] = _one_line(error)

    async def find(self) -> str:
        """The address of the master; empty if nobody knows one."""
        asking = {address: asyncio.ensure_future(self._ask(address)) for address in self._addresses}
        best: Location | None = None
        deadline = asyncio.get_running_loop().time() + ASK
        waiting: set[asyncio.Future[Location | None]] = set(asking.values())
        try:
            while waiting:
                left = deadline - asyncio.get_running_loop().time()
                done, waiting = await asyncio.wait(waiting, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    if best is None:
                        self._unanswered(asking)
                    break
                for answer in done:
                    location = answer.result()
                    if location is not None and location.address and (best is None or location.epoch > best.epoch):
                        if best is None:
                            deadline = min(deadline, asyncio.get_running_loop().time() + LISTEN)
                        best = location
        finally:
            for question in asking.values():
                question.cancel()
        if best is None:
            return ""
        return best.address

    def _unanswered(self, asking: Mapping[str, asyncio.Future[Location | None]]) -> None:
        for address, question in asking.items():
            if not question.done():
                self._addresses[address] = "no answer"

    async def _ask(self, address: str) -> Location | None:
        try:
            location = await self._network.locate(address)
        except ChubbyError as error:
            self._addresses[address] = _one_line(error)
            return None
        self._note(address, location)
        return location

    def _note(self, address: str, location: Location) -> None:
        """Remember what a replica said: of the master, and of other replicas."""
        self.cell = location.cell or self.cell
        named = f"names {location.address} (epoch {location.epoch})" if location.address else "knows no master"
        self._addresses[address] = named
        for other in location.replicas:
            if len(self._addresses) < _MOST_REPLICAS:
                self._addresses.setdefault(other, "not asked yet")
        if location.address and location.epoch >= self.epoch:
            self.address, self.epoch = location.address, location.epoch

    # ------------------------------------------------------------------------------------------------------ follow

    def follow(self) -> None:
        """Begin the idle watch. Idempotent."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        turn = 0
        while True:
            others = [address for address in self._addresses if address != self.address] or [*self._addresses]
            turn += 1
            replica = others[(turn + int(self._jitter() * len(others))) % len(others)]
            with suppress(ChubbyError):
                await self._follow_one(replica)
            await asyncio.sleep(_REST * (0.2 + 0.8 * self._jitter()))

    async def _follow_one(self, replica: str) -> None:
        async for location in self._network.follow(replica):
            self._note(replica, location)
            if location.address:
                self._told(location.epoch, location.address)
            if replica == self.address and len(self._addresses) > 1:
                return  # it became master itself: watch another one

    async def close(self) -> None:
        """End the watch."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait((self._following,))
            self._following = None


def _one_line(error: ChubbyError) -> str:
    return " ".join(str(error).split())
