"""A client's machine: clock, process and connections around the production session core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from chubby.client.effects import Complete, Connect, Deliver, Disconnect, Send, StateChanged
from chubby.client.session_core import SessionCore
from chubby.client.state import SessionState
from chubby.types.calls import Call
from chubby.types.events import Event
from chubby.types.identity import CallNumber, Epoch, HandleNumber
from chubby.types.results import Answer
from chubby.types.stream import CallFrame, ClientFrame, ServerFrame
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Connection, Network
from tests.simulation.world import Clock, Timer, World

RESET_AFTER: Duration = 20 * SECOND
"""A connection whose packets are lost is given up by the system after so long."""
PATIENCE: Duration = 20 * SECOND
"""How long whoever makes a call waits for its answer, as a rule."""
LOCATE: Duration = 2 * MILLISECOND


class ClientHost:
    """One client process with one session."""

    def __init__(
        self, world: World, network: Network, hosts: dict[str, ReplicaHost], number: int, drift_ppm: int, caching: bool
    ) -> None:
        """`hosts` are the replicas by client address."""
        self.world = world
        self.place = f"c{number}"
        self.chance = world.stream(self.place)
        self.clock = Clock(world, drift_ppm, self.chance)
        self.events: list[Event] = []
        self.told: list[Instant] = []
        """When each of the events came."""
        self.states: list[SessionState] = []
        self.followed: list[tuple[Epoch, Instant]] = []
        """The epochs of the masters that its session had, each with when it knew."""
        self.alive = True
        self.paused_until: Instant = 0
        self.on_state: list[Callable[[SessionState], None]] = []
        """Told of each state that the session enters."""
        self.on_crash: list[Callable[[], None]] = []
        self.on_call: Callable[[Call, Callable[[Answer], None]], Callable[[Answer], None]] = lambda call, done: done
        """Told of each call before it is made; gets the answer in place of its caller, and passes it on."""
        self.on_answer: list[Callable[[CallNumber, Call, Answer], None]] = []
        """Told of each answer before its caller is; the number is 0 if it came from the cache."""
        self._network = network
        self.hosts = hosts
        self.tally: Counter[str] = Counter()
        """How many calls were answered, by kind of answer; those from the cache also as `cached`."""
        self._waiting: dict[CallNumber, tuple[Call, Callable[[Answer], None]]] = {}
        self.last_number: CallNumber = 0
        """Of the last call that was begun and not answered at once, or sent: a session makes calls of its own, too."""
        self._host: ReplicaHost | None = None
        self._stream_there: int | None = None
        self._stream_here = 0
        self._timer: Timer | None = None
        self._next_handle = 0
        self._backlog: list[Callable[[], None]] = []
        self.core = SessionCore(self.chance.getrandbits(62) + 1, self.chance.random, caching=caching)

    @property
    def network(self) -> Network:
        """What connects this machine with the replicas."""
        return self._network

    def start(self) -> None:
        """Open the session."""
        self.core.start(self.clock.now())
        self._drain()

    def new_handle(self) -> HandleNumber:
        """A fresh handle number of this session."""
        self._next_handle += 1
        return self._next_handle

    def call(self, call: Call, done: Callable[[Answer], None], patience: Duration | None = None) -> CallNumber | None:
        """Make a call; `done` gets its answer, at once if the cache has it (then there is no number)."""
        now = self.clock.now()
        done = self.on_call(call, done)
        answer = self.core.cached(call, now)
        if answer is not None:
            self.tally["cached"] += 1
            self._answer(0, call, answer, done)
            return None
        number = self.core.begin(call, now, now + patience if patience is not None else NEVER)
        self._waiting[number] = call, done
        self.last_number = number
        self._drain()
        return number

    def _answer(self, number: CallNumber, call: Call, answer: Answer, done: Callable[[Answer], None]) -> None:
        self.tally[type(answer).__name__] += 1
        for each in self.on_answer:
            each(number, call, answer)
        done(answer)

    def close(self) -> None:
        """End the session in good order."""
        self.core.close(self.clock.now())
        self._drain()

    @property
    def awake(self) -> bool:
        """Whether the process runs, and is not stopped."""
        return self.alive and self.world.now >= self.paused_until

    def waiting(self) -> list[Call]:
        """The calls that are not answered yet."""
        return [call for call, _ in self._waiting.values()]

    def crash(self) -> None:
        """kill -9: the process is gone, its connections are reset."""
        self.world.trace(f"{self.place} crashes")
        self.alive = False
        for each in self.on_crash:
            each()
        self._leave()
        if self._timer is not None:
            self._timer.cancel()

    def pause(self, duration: Duration) -> None:
        """SIGSTOP, then SIGCONT: nothing runs, inputs pile up."""
        self.world.trace(f"{self.place} pauses for {duration / SECOND:.2f} s")
        self.paused_until = self.world.now + duration
        self.world.at(self.paused_until, self._resume)

    def _resume(self) -> None:
        backlog, self._backlog = self._backlog, []
        for each in backlog:
            each()
        self._tick()

    def _when_awake(self, action: Callable[[], None]) -> None:
        if not self.alive:
            return
        if self.world.now < self.paused_until:
            self._backlog.append(action)
        else:
            action()

    # --- effects -------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        epoch = self.core.identity.epoch
        if epoch and (not self.followed or self.followed[-1][0] != epoch):
            self.followed.append((epoch, self.world.now))
        while effects := self.core.effects():
            for effect in effects:
                match effect:
                    case Connect(stream, address):
                        self._connect(stream, address)
                    case Send(stream, frame):
                        if isinstance(frame, CallFrame):
                            self.last_number = max(self.last_number, frame.number)
                        self._send(stream, frame)
                    case Disconnect(stream):
                        if stream == self._stream_here:
                            self._leave()
                    case Complete(number, answer):
                        call, done = self._waiting.pop(number)
                        self._answer(number, call, answer, done)
                    case Deliver(event):
                        self.events.append(event)
                        self.told.append(self.world.now)
                    case StateChanged(state, _):
                        self.world.trace(f"{self.place} is {state.value}")
                        self.states.append(state)
                        for each in self.on_state:
                            each(state)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.core.wake_at()
        self._timer = None
        if due != NEVER and self.alive:
            wait = max(due - self.clock.now(), 0)
            self._timer = self.world.after(self.clock.true_delay(wait), self._tick)

    def _tick(self) -> None:
        if self.alive and self.world.now >= self.paused_until:
            self.core.tick(self.clock.now())
            self._drain()

    # --- connections ---------------------------------------------------------------------------------------------

    def _connect(self, stream: int, address: str) -> None:
        self._leave()
        self._stream_here = stream
        self.world.after(LOCATE, partial(self._when_awake, partial(self._reach, stream, address)))

    def _reach(self, stream: int, address: str) -> None:
        if stream != self._stream_here:
            return
        host = self.hosts.get(address) or self._locate()
        connection = Connection(partial(self._deliver, stream), partial(self._ended, stream))
        reachable = (
            host is not None
            and self._network.connected(self.place, host.place)
            and self._network.connected(host.place, self.place)
        )
        there = host.attach(connection) if host is not None and reachable else None
        if there is None:
            self.core.disconnected(stream, self.clock.now())
        else:
            self._host, self._stream_there = host, there
            self._follow_another(host)
            self.core.connected(stream, self.clock.now())
        self._drain()

    def _follow_another(self, master: ReplicaHost | None) -> None:
        """Keep an idle watch on one other replica, which tells of a new epoch at once (DESIGN §6)."""
        others = [host for host in self.hosts.values() if host is not master and host.running]
        for host in self.hosts.values():
            host.followers = [each for each in host.followers if each[1] != self._heard]
        if others:
            self.chance.choice(others).followers.append((self.place, self._heard))

    def _heard(self, epoch: Epoch, address: str) -> None:
        def hear() -> None:
            self.core.located(epoch, address, self.clock.now())
            self._drain()

        self._when_awake(hear)

    def _locate(self) -> ReplicaHost | None:
        """Ask all replicas in parallel; the highest epoch wins."""
        best: tuple[int, str] | None = None
        for host in self.hosts.values():
            if host.replica is None or self.world.now < host.paused_until:
                continue
            if not self._network.connected(self.place, host.place):
                continue
            member, epoch = host.replica.location()
            if member is not None and (best is None or epoch > best[0]):
                best = (epoch, member.client_address)
        return self.hosts.get(best[1]) if best is not None else None

    def _leave(self) -> None:
        if self._host is not None and self._stream_there is not None:
            host, there = self._host, self._stream_there
            self._network.in_order(self.place, host.place, partial(host.detach, there))
        self._host = self._stream_there = None
        self._stream_here = 0

    def _send(self, stream: int, frame: ClientFrame) -> None:
        host, there = self._host, self._stream_there
        if stream != self._stream_here or host is None or there is None:
            return
        if not self._network.in_order(self.place, host.place, partial(host.frames, there, (frame,))):
            self._break_later(stream)

    def _deliver(self, stream: int, frames: tuple[ServerFrame, ...]) -> None:
        """The replica's side of this connection sends."""
        host = self._host
        if host is None or stream != self._stream_here:
            return

        def arrive() -> None:
            """Perhaps of a connection that was left meanwhile: the session drops that by itself (DESIGN §6)."""
            self.core.received(stream, frames, self.clock.now())
            self._drain()

        if not self._network.in_order(host.place, self.place, partial(self._when_awake, arrive)):
            self._break_later(stream)

    def _ended(self, stream: int) -> None:
        """The replica's side of this connection ended or was reset."""
        host = self._host

        def arrive() -> None:
            if stream == self._stream_here:
                self._host = self._stream_there = None
                self.core.disconnected(stream, self.clock.now())
                self._drain()

        if host is not None:
            self._network.in_order(host.place, self.place, partial(self._when_awake, arrive))

    def _break_later(self, stream: int) -> None:
        """A packet of the connection was lost: the rest waits behind it, until the system gives up."""

        def broken() -> None:
            if stream == self._stream_here:
                self._leave()
                self.core.disconnected(stream, self.clock.now())
                self._drain()

        self._hang(stream)
        self.world.after(RESET_AFTER, partial(self._when_awake, broken))

    def _hang(self, stream: int) -> None:
        """Nothing more of this connection gets through, in either direction."""
        if stream == self._stream_here and self._host is not None and self._stream_there is not None:
            host, there = self._host, self._stream_there
            self._host = self._stream_there = None
            self.world.after(RESET_AFTER, partial(host.detach, there))
