"""A replica's machine: simulated disk, clock and process around the production `Replica` and the production storage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chubby.config.cell import CellConfig
from chubby.daemon.loading import Loader
from chubby.daemon.settings import settings_of
from chubby.daemon.vault import Vault
from chubby.errors import CorruptData, StorageFailed
from chubby.paxos.configuration import Identity, Member
from chubby.paxos.ready import Recovered
from chubby.replica.replica import Replica
from chubby.replica.settings import Surroundings
from chubby.replica.step import Halt, Letter, Step
from chubby.storage.directory import Condition, DataDirectory
from chubby.types.identity import CellId, Epoch, ReplicaId
from chubby.types.stream import ClientFrame
from chubby.types.time import MICROSECOND, MILLISECOND, SECOND, Duration, Instant
from tests.simulation.disk_work import SEGMENT, DiskWork, format_disk
from tests.simulation.mail import packed, unpacked
from tests.simulation.network import Connection, Network
from tests.simulation.world import Clock, Timer, World
from tests.storage.fake_files import FakeFiles
from tests.storage.interference import Crashed, Interference

SPINS = 100
"""So many ticks at one instant are a loop without end."""

SUPERVISED: Duration = SECOND
"""Whoever looks after the replicas starts one again so long after it stopped for its disk's sake."""


class ReplicaHost:
    """One replica's machine. `peers` is filled in by the scenario."""

    def __init__(self, world: World, network: Network, config: CellConfig, cell: CellId, number: ReplicaId) -> None:
        self.world = world
        self.network = network
        self.config = config
        self.number = number
        self.place = f"r{number}"
        self.disk = FakeFiles()
        self.chance = world.stream(self.place)
        self.clock = Clock(world, config.timing.clock_drift, self.chance)
        self.peers: dict[ReplicaId, ReplicaHost] = {}
        self.replica: Replica | None = None
        self.halted: Halt | None = None
        """Why it last stopped by itself."""
        self.usual_fsync: Duration = 150 * MICROSECOND
        self.fsync = self.usual_fsync
        self.trouble: Interference | None = None
        """Befalls whatever process uses this disk."""
        self.coming: list[Interference] = []
        """What befalls its next lives instead, the first one first."""
        self.refusals: list[str] = []
        """Why its processes stopped that the disk refused something, in their words."""
        self.unwritten = 0
        """How many snapshots could not be written."""
        self.at_sync: Callable[[], None] | None = None
        """Befalls this host when its next fsync begins: what is sent at once has left, nothing is on its disk yet."""
        self.paused_until: Instant = 0
        self.followers: list[tuple[str, Callable[[Epoch, str], None]]] = []
        """Clients that watch this replica for news of the master (`Follow`): where they are, and whom to tell."""
        self.on_drop: list[Callable[[], None]] = []
        """Told, once, when the process is gone."""
        self.observe: Callable[[ReplicaHost], None] = lambda host: None
        self.overhear: Callable[[ReplicaHost, tuple[Letter, ...]], None] = lambda host, letters: None
        self.examine: Callable[[ReplicaHost, Recovered], None] = lambda host, recovered: None
        """Told what it found on its disk when it started."""
        self._cell = cell
        self.incarnation = 0
        self.retired = False
        """Whether this machine is switched off for good, whoever may want to start it."""
        self.life = 0
        """Counts the lives of the process; 0 before the first."""
        self._directory: DataDirectory | None = None
        self._work: DiskWork | None = None
        self.connections: dict[int, Connection] = {}
        """By the number of the stream."""
        self._next_stream = 0
        self._timer: Timer | None = None
        self._timer_due: Instant = 0
        self._ticked_at: Instant = 0
        self._spins = 0
        self._pumping = False
        self._backlog: list[Callable[[], None]] = []

    # --- process -------------------------------------------------------------------------------------------------

    def format(self) -> None:
        """Make the disk that of a member of a new cell."""
        format_disk(self.disk, self.config, self._cell, self.number)

    @property
    def running(self) -> bool:
        """Whether the process is there (it may be paused)."""
        return self.replica is not None

    @property
    def syncing(self) -> bool:
        """Whether something is on its way to the log, and not there yet."""
        return self._work is not None and self._work.appending

    def start(self) -> None:
        """Start the process from whatever is on disk, as `chubbyd` does. The disk may not let it."""
        assert self.replica is None, "it runs already"
        if self.retired:
            return
        self.life += 1
        if self.coming:
            self.trouble = self.coming.pop(0)
        self.disk.interference = self.trouble
        self.at_disk(self._start)

    def _start(self) -> None:
        self._directory = directory = DataDirectory(self.disk, self.number)
        if directory.inspect().condition is not Condition.FORMATTED:
            self._begin_anew(directory)
        try:
            opened = directory.open(loader := Loader(), segment_size=SEGMENT)
        except CorruptData as error:
            self.world.trace(f"{self.place} is rotten: {error}")
            self._begin_anew(directory)
            opened = directory.open(loader := Loader(), segment_size=SEGMENT)
        for warning in opened.warnings:
            self.world.trace(f"{self.place} warns: {warning}")
        self.incarnation = opened.identity.incarnation
        self.examine(self, opened.recovered)
        vault = Vault(opened, self._cell, self.clock.now, chunk=4096, slice_size=4096)
        address = self.config.replica(self.number)
        assert address is not None, "hosts are those of configured replicas"
        me = Member(self.number, opened.identity.incarnation, address.peer, address.client)
        self.replica = Replica(
            me,
            self._cell,
            opened.recovered,
            loader.machine,
            settings=settings_of(self.config, self.number),
            surroundings=Surroundings(
                lambda: self.world.now // MILLISECOND, self.chance.random, lambda: self.chance.randbytes(32)
            ),
            now=self.clock.now(),
        )
        self._work = DiskWork(self, self.replica, vault)
        self.world.trace(f"{self.place} starts, incarnation {self.incarnation:x}")
        self.pump()

    def at_disk(self, work: Callable[[], None]) -> None:
        """Let `work` use the disk. That may be the end of the process, which then is started again after a while."""
        try:
            work()
        except Crashed as crashed:
            self.world.trace(f"{self.place} dies before it could {crashed.operation.kind} {crashed.operation.name}")
            self.trouble = None
            self._drop()
            self.power_loss()
        except StorageFailed as error:
            self.world.trace(f"{self.place} stops: {error}")
            self.refusals.append(str(error))
            self._drop()
            self.disk.process_crash()
        else:
            return
        self.world.after(SUPERVISED, partial(self._supervise, self.life))

    def _supervise(self, life: int) -> None:
        if life == self.life and self.replica is None:
            self.start()

    def crash(self) -> None:
        """kill -9 and power failure in one: the process is gone, what was not synced may be lost or torn, what was
        being written as well.
        """
        if self._die("crashes"):
            self.power_loss()

    def kill(self) -> None:
        """kill -9: the process is gone, and the machine goes on. What was written is still seen, synced or not."""
        if self._die("is killed"):
            self.disk.process_crash()

    def power_loss(self) -> None:
        """The machine goes down, and what was not synced may be lost or torn."""
        assert self.replica is None, "the process is gone before"
        self.disk.power_loss(lambda: self.chance.random() < 0.5)

    def _die(self, how: str) -> bool:
        """In the middle of an append, half the time; whether there was a process."""
        if self.replica is None or self._work is None:
            return False
        self.world.trace(f"{self.place} {how}")
        if self.chance.random() < 0.5:
            self._work.cut_short()
        self._drop()
        return True

    def wipe(self) -> None:
        """The disk is replaced by an empty one."""
        assert self.replica is None, "only while the process is down"
        self.world.trace(f"{self.place} gets an empty disk")
        self.disk = FakeFiles()

    def pause(self, duration: Duration) -> None:
        """SIGSTOP, then SIGCONT after `duration`: nothing runs meanwhile, inputs pile up."""
        if self.replica is None:
            return
        self.world.trace(f"{self.place} pauses for {duration / SECOND:.2f} s")
        self.paused_until = self.world.now + duration
        self.world.at(self.paused_until, partial(self._resume, self.life, duration))

    def _resume(self, life: int, duration: Duration) -> None:
        if life != self.life or self.replica is None or self.world.now < self.paused_until:
            return
        self.replica.stalled(duration, self.clock.now())
        backlog, self._backlog = self._backlog, []
        for each in backlog:
            each()
        self._tick(life)

    def _drop(self) -> None:
        self.replica = None
        self.life += 1
        self._backlog.clear()
        self.paused_until = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.followers.clear()
        told, self.on_drop = self.on_drop, []
        for each in told:
            each()
        connections, self.connections = self.connections, {}
        for connection in connections.values():
            connection.end()
        if self._directory is not None:
            self._directory.close()
        self._directory = None
        if self._work is not None:
            self._work.end()
        self._work = None

    def _begin_anew(self, directory: DataDirectory) -> None:
        directory.become_new_incarnation(
            Identity(self._cell, self.number, self.chance.getrandbits(62) + 1), segment_size=SEGMENT
        )

    # --- inputs --------------------------------------------------------------------------------------------------

    def when_awake(self, action: Callable[[], None]) -> None:
        """Run `action` now, or when the pause is over."""
        if self.replica is None:
            return
        if self.world.now < self.paused_until:
            self._backlog.append(action)
        else:
            action()

    def _on_datagram(self, sender: ReplicaId, data: bytes) -> None:
        def handle() -> None:
            if self.replica is not None:
                self.replica.receive(sender, unpacked(data), self.clock.now())
                self.pump()

        self.when_awake(handle)

    def attach(self, connection: Connection) -> int | None:
        """A client's connection is accepted; None if nobody is there."""
        if self.replica is None:
            return None
        self._next_stream += 1
        stream = self._next_stream
        self.connections[stream] = connection
        self.when_awake(partial(self._attach, stream))
        return stream

    def _attach(self, stream: int) -> None:
        if self.replica is not None and stream in self.connections:
            self.replica.attach(stream, "anyone", self.clock.now())
            self.pump()

    def frames(self, stream: int, frames: tuple[ClientFrame, ...]) -> None:
        """A client's frames are here."""

        def handle() -> None:
            if self.replica is not None and stream in self.connections:
                for frame in self.connections[stream].arriving(frames):
                    self.replica.receive_frame(stream, frame, self.clock.now())
                self.pump()

        self.when_awake(handle)

    def detach(self, stream: int) -> None:
        """A client's connection is gone."""

        def handle() -> None:
            if self.connections.pop(stream, None) is not None and self.replica is not None:
                self.replica.detach(stream, self.clock.now())
                self.pump()

        self.when_awake(handle)

    def _tick(self, life: int) -> None:
        if life != self.life or self.replica is None or self.world.now < self.paused_until:
            return
        self._timer = None
        self._spins = self._spins + 1 if self._ticked_at == self.world.now else 0
        self._ticked_at = self.world.now
        assert self._spins < SPINS, f"{self.place} spins: it is due again and again without time passing"
        self.replica.tick(self.clock.now())
        self.pump()

    # --- the pump ------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Carry out what follows; one step is all of it, unless it put another replica into this one's place."""
        if self._pumping:
            return
        self._pumping = True
        before: Replica | None = None
        while (replica := self.replica) is not None and replica is not before:
            before, step = replica, replica.step(self.clock.now())
            if step is not None:
                self._carry_out(step)
        self._pumping = False
        if self.replica is not None:
            self.observe(self)
            self._set_timer()

    def _set_timer(self) -> None:
        assert self.replica is not None
        due = self.replica.wake_at
        if self._timer is not None and not self._timer.cancelled:
            if self._timer_due == due:
                return
            self._timer.cancel()
        self._timer_due = due
        wait = max(due - self.clock.now(), 0)
        self._timer = self.world.after(self.clock.true_delay(wait), partial(self._tick, self.life))

    def _carry_out(self, step: Step) -> None:
        assert self._work is not None, "a replica that runs has its disk"
        self.send(step.messages)
        for delivery in step.deliveries:
            connection = self.connections.get(delivery.stream)
            if connection is not None:
                connection.deliver(delivery.frames)
        for stream in step.ends:
            connection = self.connections.pop(stream, None)
            if connection is not None:
                connection.end()
        if step.number:
            if self.at_sync is not None:
                self.world.after(0, self.at_sync)
                self.at_sync = None
            self._work.persist(step, self._sync_time())
        for request in step.snapshot_requests:
            self._work.carry_out(request)
        if step.snapshot is not None:
            self._work.write(step.snapshot)
        if step.moved:
            self._tell_followers()
        if step.halt is not None:
            self._halt(step.halt)

    def _tell_followers(self) -> None:
        assert self.replica is not None
        member, epoch = self.replica.location()
        if member is not None:
            for place, tell in self.followers:
                self.network.in_order(self.place, place, partial(tell, epoch, member.client_address))

    @property
    def believes(self) -> bool:
        """Whether it counts on its master lease at this instant, by its own clock."""
        return self.replica is not None and self.replica.lease_until > self.clock.now()

    def _sync_time(self) -> Duration:
        return self.fsync + round(self.chance.random() * self.fsync)

    def send(self, letters: tuple[Letter, ...]) -> None:
        """Send messages to other replicas."""
        self.overhear(self, letters)
        for to, data in packed(letters):
            if (peer := self.peers.get(to)) is not None:
                self.network.datagram(self.place, peer.place, partial(peer._on_datagram, self.number, data))

    def _halt(self, halt: Halt) -> None:
        self.world.trace(f"{self.place} halts: {halt.value}")
        self.halted = halt
        self._drop()
        if halt in (Halt.DIGEST, Halt.ROT):
            self.at_disk(self._rebuild)

    def _rebuild(self) -> None:
        with DataDirectory(self.disk, self.number) as directory:
            self._begin_anew(directory)
        self.start()
