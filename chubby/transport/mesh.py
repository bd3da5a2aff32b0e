"""All links of one replica: messages out to any peer, messages in from all of them."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic

from chubby.paxos.configuration import Identity
from chubby.transport.codec import Codec, FrameCache, M
from chubby.transport.dialler import Dialler
from chubby.transport.doorkeeper import Doorkeeper
from chubby.transport.framing import FrameError
from chubby.transport.greetings import Hello, Reason
from chubby.transport.listener import Listener
from chubby.transport.settings import Limits, Timing, Tls
from chubby.transport.sockets import listen
from chubby.transport.statistics import MeshStatistics, Tidings
from chubby.transport.surroundings import Authenticate, Surroundings
from chubby.types.identity import CellId, ReplicaId
from chubby.types.time import Instant

logger: Final = logging.getLogger(__name__)


def boot_time() -> Instant:
    """Now, on the clock that counts through suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def believe(transport: asyncio.Transport, hello: Hello) -> bool:
    """The `authenticate` of a mesh without certificates: whoever knows the cell's id is taken at its word."""
    return True


def ignore_cell(cell: CellId) -> None:
    """The `on_cell_learned` of a replica that knows its cell."""


class Mesh(Generic[M]):
    """A replica's links to its peers. Made and used in one running loop; started once, stopped once.

    `addresses` maps replicas to "host:port"; an entry for this replica itself is ignored. `receive(replica, message)`
    is called for each message that arrives, in the order in which that peer sent it; it must not block, and what it
    raises ends the link and goes to the loop's exception handler. `on_cell_learned` is called once, if `identity` has
    no cell. `authenticate` is asked of every Hello on every connection. `jitter` returns numbers in [0, 1).

    Delivery is what Paxos expects of a network and no more: a message arrives once or not at all, and never before one
    that was sent earlier over the same link.
    """

    def __init__(
        self,
        identity: Identity,
        address: str,
        addresses: Mapping[ReplicaId, str],
        codec: Codec[M],
        receive: Callable[[ReplicaId, M], None],
        *,
        on_cell_learned: Callable[[CellId], None] = ignore_cell,
        authenticate: Authenticate = believe,
        tls: Tls | None = None,
        limits: Limits | None = None,
        timing: Timing | None = None,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], Instant] = boot_time,
        nonce: int | None = None,
    ) -> None:
        """Nothing is opened before `start`. `address` is where to listen; `nonce` is drawn at random if not given."""
        limits = limits or Limits()
        self._address = address
        self._jitter = jitter
        self._replica = identity.replica
        self._surroundings = Surroundings(
            loop=asyncio.get_running_loop(),
            doorkeeper=Doorkeeper(identity, (), secrets.randbits(63) if nonce is None else nonce),
            limits=limits,
            timing=timing or Timing(),
            tls=tls,
            authenticate=authenticate,
            on_cell_learned=on_cell_learned,
            clock=clock,
        )
        self._frames = FrameCache(codec, limits.frame)
        self._listener = Listener(self._surroundings, codec, receive, self._heard)
        self._diallers: dict[ReplicaId, Dialler] = {}
        self._unflushed: dict[ReplicaId, Dialler] = {}
        """Peers to whom something was sent in this turn of the loop."""
        self._running = False
        self._stopped = False
        self.update_addresses(addresses)

    # -------------------------------------------------------------------------------------------------- life cycle

    async def start(self) -> None:
        """Listen, and dial every peer. Raises `ConfigError` if the address cannot be listened on."""
        assert not self._running and not self._stopped, "a mesh starts once"
        listening = await listen(self._address)
        self._listener.start(listening)
        self._running = True
        for dialler in self._diallers.values():
            dialler.start()

    async def stop(self) -> None:
        """Close every link. What was sent before leaves if its peer takes it within `Timing.linger`.

        Afterwards no task, timer or socket of the mesh is left. Stopping twice, or before the start, does nothing.
        """
        if not self._running:
            return
        self._running, self._stopped = False, True
        self._listener.close()
        for dialler in self._diallers.values():
            dialler.close()
        self._diallers.clear()
        for task in self._surroundings.tasks:
            task.cancel()
        while self._surroundings.tasks:
            await asyncio.wait(self._surroundings.tasks)
        while self._surroundings.links:
            await asyncio.wait([link.closed for link in self._surroundings.links])

    def update_addresses(self, addresses: Mapping[ReplicaId, str]) -> None:
        """Follow a change of the configuration: dial whoever is new, or moved; part from whoever is gone."""
        wanted = {replica: addresses[replica] for replica in sorted(addresses) if replica != self._replica}
        self._surroundings.doorkeeper.expect(wanted)
        for replica in [each for each in self._diallers if each not in wanted]:
            self._diallers.pop(replica).close()
            self._unflushed.pop(replica, None)
            self._listener.dismiss(replica, Reason.UNKNOWN_REPLICA)
            del self._surroundings.peers[replica]
        for replica, address in wanted.items():
            known = self._diallers.get(replica)
            if known is not None:
                known.readdress(address)
            elif not self._stopped:
                self._diallers[replica] = Dialler(self._surroundings, replica, address, self._jitter)
                if self._running:
                    self._diallers[replica].start()

    # ---------------------------------------------------------------------------------------------------- messages

    def send(self, replica: ReplicaId, message: M) -> None:
        """Send `message` to `replica`. Never blocks; what cannot be sent is dropped and counted.

        All that is sent to a peer in one turn of the loop leaves in one write, at the turn's end.
        """
        dialler = self._diallers.get(replica)
        if dialler is None:
            self._surroundings.ledger.unaddressed += 1
            return
        try:
            frame = self._frames.frame(message)
        except FrameError as error:
            self._surroundings.ledger.oversized += 1
            logger.error("a %s to replica %d is dropped: %s", type(message).__name__, replica, error)
            return
        if not self._unflushed:
            self._surroundings.loop.call_soon(self._flush)
        self._unflushed[replica] = dialler
        dialler.push(frame)

    def broadcast(self, message: M, replicas: Iterable[ReplicaId] | None = None) -> None:
        """Send `message` to `replicas` (default: every peer). It is encoded once, as by as many `send`s."""
        for replica in list(self._diallers) if replicas is None else replicas:
            self.send(replica, message)

    # ---------------------------------------------------------------------------------------------- what is to see

    @property
    def identity(self) -> Identity:
        """Who this replica is; its cell may have been learned since the start."""
        return self._surroundings.doorkeeper.identity

    def is_connected(self, replica: ReplicaId) -> bool:
        """Whether what is sent to `replica` leaves at once."""
        dialler = self._diallers.get(replica)
        return dialler is not None and dialler.connected

    def statistics(self) -> MeshStatistics:
        """A picture of this moment; peers in the order of their numbers."""
        ledger = self._surroundings.ledger
        return MeshStatistics(
            address=self._address,
            cell=self.identity.cell,
            peers=tuple(self._diallers[replica].statistics() for replica in sorted(self._diallers)),
            refused=dict(ledger.refused),
            dismissed=dict(ledger.dismissed),
            half_open=self._listener.half_open,
            accepted=ledger.accepted,
            accept_pauses=ledger.accept_pauses,
            encoded=self._frames.encoded,
            oversized=ledger.oversized,
            unaddressed=ledger.unaddressed,
        )

    def tidings(self) -> tuple[Tidings, ...]:
        """Links that ended since the last call and are in no line of the log: whoever asks writes them there."""
        return self._surroundings.ledger.tidings()

    # ------------------------------------------------------------------------------------------------------ inside

    def _flush(self) -> None:
        unflushed, self._unflushed = self._unflushed, {}
        self._frames.clear()
        for dialler in unflushed.values():
            dialler.flush()

    def _heard(self, replica: ReplicaId) -> None:
        dialler = self._diallers.get(replica)
        if dialler is not None:
            dialler.hurry()
