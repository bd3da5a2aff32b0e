"""The shell around one `Replica`: it carries out what the pure core asks for, and feeds it what happens.

One turn: inputs arrive (messages, frames, completions, time) and each is handed to the core at once; when the loop has
run out of them the *pump* runs, takes steps until there are none, and carries them out. So everything that arrived in
one turn becomes one batch, with no timer in it.

The core's time is read from the clock when an input's bytes are there, never before (DESIGN §3: "read after a call's
bytes and before the state").
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from chubby.config.cell import CellConfig
from chubby.daemon import clock
from chubby.daemon.archive import Archive
from chubby.daemon.compass import Compass
from chubby.daemon.settings import settings_of
from chubby.daemon.vault import Vault
from chubby.daemon.worker import DiskWorker, Job
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Member
from chubby.paxos.ready import ReadChunk
from chubby.replica.door import StreamId
from chubby.replica.links import LinkMessage
from chubby.replica.replica import Replica
from chubby.replica.settings import Surroundings
from chubby.replica.step import Halt, Letter, Step
from chubby.storage.life import OpenedDirectory
from chubby.transport.codec import Codec
from chubby.transport.mesh import Mesh
from chubby.types.identity import ReplicaId
from chubby.types.status import Location
from chubby.types.stream import ClientFrame, ServerFrame
from chubby.types.time import MILLISECOND, Duration, Instant, to_seconds

logger = logging.getLogger(__name__)

STALL: Duration = 300 * MILLISECOND
"""A timer that fires this late says that the process did not run meanwhile."""
HAND_OVER_LIMIT = 1.0
"""Seconds that stopping waits for a hand-over."""
HAND_OVER_POLL = 0.005


class Ending(enum.Enum):
    """Why a node ended."""

    STOPPED = "stopped as asked"
    REBUILD = "must be rebuilt as a new incarnation"
    EXPELLED = "is no member of the cell any more"
    OUTDATED = "is of an older release than the cell"


ENDINGS: Final[dict[Halt, Ending]] = {
    Halt.DIGEST: Ending.REBUILD,
    Halt.ROT: Ending.REBUILD,
    Halt.OUTDATED: Ending.OUTDATED,
    Halt.EXPELLED: Ending.EXPELLED,
}
"""How a node ends whose replica must not go on."""


class Stream:
    """Where a client's frames go."""

    def __init__(self, deliver: Callable[[Sequence[ServerFrame]], None], end: Callable[[], None]) -> None:
        """See `Door.attach`."""
        self.deliver = deliver
        self.end = end


class Node:
    """One running replica: core, links, disk. The front ends come on top, through `NodeDoor`."""

    def __init__(self, config: CellConfig, opened: OpenedDirectory, machine: Machine | None) -> None:
        """`machine` is the state of the newest snapshot; None for a blank replica. To be made on a running loop."""
        identity = opened.identity
        self.config = config
        self.identity = identity
        self._loop = asyncio.get_running_loop()
        here = config.replica(identity.replica)
        recovered = opened.recovered
        former = recovered.configuration.member(identity.replica) if recovered.configuration else None
        assert here is not None or former is not None, "somebody knows this replica's addresses"
        self.member = Member(
            identity.replica,
            identity.incarnation,
            here.peer if here is not None else former.peer_address if former is not None else "",
            here.client if here is not None else former.client_address if former is not None else "",
        )
        self.replica = Replica(
            self.member,
            identity.cell,
            recovered,
            machine,
            settings=settings_of(config, identity.replica),
            surroundings=Surroundings(clock.wall_ms, random.random, lambda: secrets.token_bytes(32)),
            now=clock.now(),
        )
        self._ended: asyncio.Future[Ending] = self._loop.create_future()
        self._vault = Vault(opened, identity.cell, clock.now)
        self._worker = DiskWorker(self._loop, self._fail)
        book = {replica.id: replica.peer for replica in config.replicas}
        self.mesh: Mesh[LinkMessage] = Mesh(
            identity,
            self.member.peer_address,
            book,
            Codec(msgspec.msgpack.Decoder(LinkMessage)),
            self._on_message,
        )
        self._archive = Archive(self.replica, self._vault, self._worker, self._feed, self.mesh.send, self._fail)
        self._opening_warnings = opened.warnings
        self.compass = Compass(Location(config.name, identity.cell, 0, "", 0, config.client_addresses))
        self.streams: dict[StreamId, Stream] = {}
        self._next_stream: StreamId = 0
        self._pumping = False
        self._closing = False
        self._tending = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: Instant = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd about the disk, at the start and since."""
        return (*self._opening_warnings, *self._archive.warnings)

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the links and begin. Raises ConfigError if the address cannot be had."""
        await self.mesh.start()
        self._tend()
        self._archive.start()
        self._stir()

    async def run(self) -> Ending:
        """Until the node ends; raises what broke it (StorageFailed, a bug)."""
        return await asyncio.shield(self._ended)

    async def hand_over(self) -> None:
        """Give mastership away, if this is the master, and wait until that is done."""
        deadline = self._loop.time() + HAND_OVER_LIMIT
        while self.replica.lease_until and not self._closing and self._loop.time() < deadline:
            self.replica.hand_over(clock.now())
            self._stir()
            await asyncio.sleep(HAND_OVER_POLL)

    async def stop(self) -> None:
        """Close links and disk. What was acknowledged is on disk here or on a majority of the others."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        await self.mesh.stop()
        await self._archive.stop()
        await self._loop.run_in_executor(None, self._worker.stop)
        self._vault.close()
        self.shut()

    def shut(self) -> None:
        """End `run` in good order."""
        if not self._ended.done():
            self._ended.set_result(Ending.STOPPED)

    def _fail(self, error: BaseException) -> None:
        """Something that must not happen happened: stop rather than guess. The first such error is what `run` raises;
        those after it follow from it.
        """
        self._closing = True
        if not self._ended.done():
            self._ended.set_exception(error)
            self._ended.exception()  # looked at: whoever stops before `run` was called has a better reason to tell

    def _feed(self, action: Callable[[], None]) -> None:
        """Hand an input to the core, unless the node is closing; the pump follows.

        Here and below, what the core raises is a bug, and its state is not to be trusted any more: stop rather than
        guess.
        """
        if not self._closing:
            try:
                action()
            except Exception as error:
                self._fail(error)
            self._stir()

    # --- inputs --------------------------------------------------------------------------------------------------

    def attach(self, principal: str, stream: Stream) -> StreamId:
        """A client's stream begins."""
        self._next_stream += 1
        number = self._next_stream
        self.streams[number] = stream
        self._feed(lambda: self.replica.attach(number, principal, clock.now()))
        return number

    def receive_frames(self, stream: StreamId, frames: Sequence[ClientFrame]) -> None:
        """A client's frames are here."""
        now = clock.now()

        def receive() -> None:
            for frame in frames:
                self.replica.receive_frame(stream, frame, now)

        if stream in self.streams:
            self._feed(receive)

    def detach(self, stream: StreamId) -> None:
        """A client's connection is gone."""
        if self.streams.pop(stream, None) is not None:
            self._feed(lambda: self.replica.detach(stream, clock.now()))

    def _on_message(self, sender: ReplicaId, message: LinkMessage) -> None:
        if not self._closing:
            try:
                self.replica.receive(sender, message, clock.now())
            except Exception as error:
                self._fail(error)
            self._stir()

    def _on_persisted(self, number: int, gated: tuple[Letter, ...], untended: bool) -> None:
        def persisted() -> None:
            self.replica.persisted(number, clock.now())
            self._send(gated)
            if untended:
                self._tend()

        self._feed(persisted)

    def _on_timer(self, due: Instant) -> None:
        """Time is up. Late by much means a stall: inputs that piled up meanwhile are drained before any timer fires."""
        self._timer = None
        late = clock.now() - due
        if late > STALL:
            logger.warning("the process did not run for %.2f s", to_seconds(late))
            self._feed(lambda: self.replica.stalled(late, clock.now()))
            self._loop.call_soon(self._loop.call_soon, self._loop.call_soon, self._tick)
        else:
            self._tick()

    def _tick(self) -> None:
        self._feed(lambda: self.replica.tick(clock.now()))

    # --- the pump ------------------------------------------------------------------------------------------------

    def _stir(self) -> None:
        if not self._pumping and not self._closing:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self._closing:
            return
        try:
            while not self._closing and (step := self.replica.step(clock.now())) is not None:
                self._carry_out(step)
            self._set_timer()
        except Exception as error:
            self._fail(error)

    def _set_timer(self) -> None:
        due = self.replica.wake_at
        if self._timer is not None:
            if self._timer_due == due:
                return
            self._timer.cancel()
        self._timer_due = due
        wait = max(due - clock.now(), 0)
        self._timer = self._loop.call_later(to_seconds(min(wait, 3600 * 10**9)), self._on_timer, clock.now() + wait)

    def _carry_out(self, step: Step) -> None:
        self._send(step.messages)
        for delivery in step.deliveries:
            stream = self.streams.get(delivery.stream)
            if stream is not None:
                stream.deliver(delivery.frames)
        for ended in step.ends:
            stream = self.streams.pop(ended, None)
            if stream is not None:
                stream.end()
        if step.number:
            self._persist(step)
        for request in step.snapshot_requests:
            if isinstance(request, ReadChunk):
                self._archive.read(request)
            else:
                self._archive.store(request)
        if step.snapshot is not None:
            self._archive.write(step.snapshot)
        if step.configuration is not None:
            self._readdress()
        if step.moved or step.configuration is not None:
            self._turn_compass()
        if step.halt is not None:
            self._halt(step.halt)

    def _send(self, letters: tuple[Letter, ...]) -> None:
        for letter in letters:
            self.mesh.send(letter.to, letter.message)

    def _persist(self, step: Step) -> None:
        records, number, gated = step.records, step.number, step.gated
        self._worker.submit(partial(self._vault.append, records), partial(self._on_persisted, number, gated))

    def _tend(self) -> None:
        """Have the log's next segment prepared, unless that is under way."""
        if not self._tending:
            self._tending = True
            self._worker.start(self._tending_job())

    def _tending_job(self) -> Job:
        yield from self._vault.tend()
        # On the disk's thread, and without the loop: an append that comes just now finds it under way, the next not.
        self._tending = False

    def _readdress(self) -> None:
        """Follow a change of the members: links first, then what clients are told."""
        book = {replica: member.peer_address for replica, member in self.replica.acquaintances.items()}
        self.mesh.update_addresses(book)

    def _turn_compass(self) -> None:
        member, epoch = self.replica.location()
        configuration = self.replica.configuration
        addresses = tuple(each.client_address for each in configuration.members) if configuration else ()
        before = self.compass.location
        self.compass.turn(
            Location(
                cell=self.config.name,
                cell_id=self.identity.cell,
                master=member.replica if member is not None else 0,
                address=member.client_address if member is not None else "",
                epoch=epoch,
                replicas=addresses or before.replicas,
            )
        )
        after = self.compass.location
        if (before.master, before.epoch) != (after.master, after.epoch):
            logger.info("master is %s, epoch %d", f"replica {after.master}" if after.master else "unknown", after.epoch)

    def _halt(self, halt: Halt) -> None:
        logger.error("replica %d halts: %s", self.identity.replica, halt.value)
        self._closing = True
        if not self._ended.done():
            self._ended.set_result(ENDINGS[halt])
