"""A small world in virtual time: one fake cell, several session cores, a network and clocks that misbehave.

The cores are the production ones; the world executes their effects. True time is the world's; each client has a clock
of its own with a rate within the bound ε. A paused client does nothing at all, like a stopped process: what arrives
waits, timers are late. `truth` remembers what every node held and when, so that any read can be judged.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence

from chubby.client.effects import Complete, Connect, Deliver, Disconnect, Effect, Send, StateChanged
from chubby.client.session_core import SessionCore
from chubby.client.state import SessionState
from chubby.types.calls import Call, CreateMode, Mode, Open
from chubby.types.events import Event, EventMask
from chubby.types.identity import CallNumber, HandleNumber
from chubby.types.nodes import NodeKind
from chubby.types.results import Answer, Opened
from chubby.types.stream import ClientFrame, ServerFrame
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant
from tests.client.fake_cell import FakeCell, FakeStream
from tests.client.fake_tree import FakeNode

Contents = bytes | None
"""What a node holds; None: there is no such node."""


class World:
    """Time, the cell, the network. Everything random comes from `seed`."""

    def __init__(self, seed: int = 0, cell: FakeCell | None = None) -> None:
        self.now: Instant = 1_000 * SECOND
        self.random = random.Random(seed)
        self.cell = cell or FakeCell()
        self.latency: Callable[[], Duration] = lambda: MILLISECOND
        self.truth: dict[str, list[tuple[Instant, Contents, NodeKind | None]]] = {}
        self._queue: list[tuple[Instant, int, Callable[[], None]]] = []
        self._count = 0
        self.cell.tree.observe = self._note
        self.at(self.now, self._beat)

    def at(self, when: Instant, action: Callable[[], None]) -> None:
        """Do something at `when`; what is due together happens in the order it was asked for."""
        self._count += 1
        heapq.heappush(self._queue, (max(when, self.now), self._count, action))

    def _beat(self) -> None:
        """The cell's own timer."""
        self.cell.tick(self.now)
        self.at(self.now + 50 * MILLISECOND, self._beat)

    def step(self) -> None:
        """Let the next thing happen."""
        when, _, action = heapq.heappop(self._queue)
        self.now = max(self.now, when)
        action()

    def run(self, duration: Duration) -> None:
        """Let time pass."""
        until = self.now + duration
        while self._queue and self._queue[0][0] <= until:
            self.step()
        self.now = until

    def run_until(self, condition: Callable[[], bool], limit: Duration = 120 * SECOND) -> None:
        """Let time pass until `condition` holds; fails if it does not within `limit`."""
        until = self.now + limit
        while not condition():
            assert self._queue and self._queue[0][0] <= until, "the condition never came to hold"
            self.step()

    def _note(self, path: str, node: FakeNode | None) -> None:
        """Remember what a node is from now on."""
        held, kind = (None, None) if node is None else (node.contents, node.kind)
        self.truth.setdefault(path, [(0, None, None)]).append((self.now, held, kind))

    def held_between(self, path: str, begin: Instant, end: Instant) -> set[Contents]:
        """All that the node held at some instant from `begin` to `end`."""
        return {held for held, _ in self._between(path, begin, end)}

    def kinds_between(self, path: str, begin: Instant, end: Instant) -> set[NodeKind | None]:
        """All kinds that the node was of at some instant from `begin` to `end`; None: it was not there."""
        return {kind for _, kind in self._between(path, begin, end)}

    def _between(self, path: str, begin: Instant, end: Instant) -> list[tuple[Contents, NodeKind | None]]:
        known = self.truth.get(path, [(0, None, None)])
        ends = [*[since for since, _, _ in known[1:]], NEVER]
        return [
            (held, kind)
            for (since, held, kind), over in zip(known, ends, strict=True)
            if since <= end and over >= begin
        ]


class SimClient:
    """One session core in the world. `rate` is the speed of its clock in parts per million against the true one."""

    def __init__(self, world: World, caching: bool = True, rate: int = 0) -> None:
        self.world = world
        self.core = SessionCore(world.random.getrandbits(63), world.random.random, caching=caching)
        self.answers: dict[CallNumber, Answer] = {}
        self.events: list[Event] = []
        self.states: list[tuple[Instant, SessionState]] = []
        self.sent: list[ClientFrame] = []
        self.begun_too_late: list[CallNumber] = []
        self.paused = False
        self._reachable = True
        self._stuck: list[Callable[[], None]] = []
        self._rate = rate
        self._backlog: list[Callable[[], None]] = []
        self._stream = 0
        self._far: FakeStream | None = None
        self._up: Instant = 0
        self._down: Instant = 0
        self._alarm: Instant = NEVER

    # ----------------------------------------------------------------------------------------------------- network

    @property
    def reachable(self) -> bool:
        """Whether the network carries anything. Like TCP it loses nothing within a stream: what is stuck comes late."""
        return self._reachable

    @reachable.setter
    def reachable(self, reachable: bool) -> None:
        self._reachable = reachable
        if reachable:
            stuck, self._stuck = self._stuck, []
            for arrival in stuck:
                arrival()

    def _carry(self, when: Instant, arrival: Callable[[], None]) -> None:
        """Let `arrival` happen at `when`, or once the network works again."""
        self.world.at(when, lambda: arrival() if self._reachable else self._stuck.append(arrival))

    # ------------------------------------------------------------------------------------------------------- clock

    @property
    def clock(self) -> Instant:
        """What its clock says."""
        return self.world.now + self.world.now * self._rate // 1_000_000

    def _true(self, local: Instant) -> Instant:
        """The true time at which its clock will say `local`."""
        return local * 1_000_000 // (1_000_000 + self._rate) + 1

    # ------------------------------------------------------------------------------------------------------ callers

    def start(self, open_until: Instant = NEVER) -> None:
        """Begin to open the session."""
        self.act(lambda: self.core.start(self.clock, open_until))

    def opened(self) -> SimClient:
        """Open the session, and wait for that."""
        self.start()
        self.world.run_until(lambda: self.core.state is SessionState.NORMAL)
        return self

    def call(self, call: Call, timeout: Duration | None = None) -> CallNumber:
        """Begin a call."""
        now = self.clock
        over = self.core.state.final
        number = self.core.begin(call, now, NEVER if timeout is None else now + timeout)
        if over:
            self.begun_too_late.append(number)
        self.drain()
        return number

    def wait(self, number: CallNumber, limit: Duration = 120 * SECOND) -> Answer:
        """Let time pass until call `number` is answered."""
        self.world.run_until(lambda: number in self.answers, limit)
        return self.answers[number]

    def do(self, call: Call) -> Answer:
        """Begin a call and wait for its answer."""
        return self.wait(self.call(call))

    def open(
        self,
        path: str,
        create: CreateMode = CreateMode.NEVER,
        events: EventMask = EventMask.NONE,
        mode: Mode = Mode.READ | Mode.WRITE,
        contents: bytes = b"",
        ephemeral: bool = False,
    ) -> HandleNumber:
        """Open a node, and wait for that."""
        handle = self.core.desk.handles.fresh_number()
        answer = self.do(Open(handle, path, mode, events, create, ephemeral=ephemeral, contents=contents))
        assert isinstance(answer, Opened), answer
        return handle

    def act(self, action: Callable[[], None]) -> None:
        """Give the core an input, then do what it asks; later, if the process stands still."""
        if self.paused:
            self._backlog.append(action)
            return
        action()
        self.drain()

    def pause(self) -> None:
        """Stop the process."""
        self.paused = True

    def wake(self) -> None:
        """Let the process go on: what waited happens now, frames before timers."""
        self.paused = False
        backlog, self._backlog = self._backlog, []
        for action in backlog:
            self.act(action)
        self.act(self._tick)

    # ------------------------------------------------------------------------------------------------------ effects

    def drain(self) -> None:
        """Do what the core asks for."""
        for effect in self.core.effects():
            self._execute(effect)
        wake = self.core.wake_at()
        if wake != NEVER and (wake < self._alarm or self._alarm <= self.clock):
            self._alarm = wake
            self.world.at(self._true(wake), lambda: self._ring(wake))

    def _ring(self, wake: Instant) -> None:
        if self._alarm == wake:
            self._alarm = NEVER
        self.act(self._tick)

    def _tick(self) -> None:
        self.core.tick(self.clock)
        assert self.core.wake_at() > self.clock, "a tick leaves nothing due, or the shell would spin"

    def _execute(self, effect: Effect) -> None:
        if isinstance(effect, Connect):
            self._connect(effect.stream)
        elif isinstance(effect, Send):
            self.sent.append(effect.frame)
            self._send(effect.stream, effect.frame)
        elif isinstance(effect, Disconnect):
            self._hang_up()
        elif isinstance(effect, Complete):
            assert effect.number not in self.answers, "a call is answered once"
            self.answers[effect.number] = effect.answer
        elif isinstance(effect, Deliver):
            self.events.append(effect.event)
        else:
            assert isinstance(effect, StateChanged)
            self.states.append((self.world.now, effect.state))

    def _connect(self, stream: int) -> None:
        self._hang_up()
        self._stream = stream

        def arrive() -> None:
            if not self.reachable:
                self.act(lambda: self.core.disconnected(stream, self.clock))
            elif self._stream == stream:
                self._far = self.world.cell.attach(lambda f: self._deliver(stream, f), lambda: self._ended(stream))
                self.act(lambda: self.core.connected(stream, self.clock))

        self._up = self._down = self.world.now
        self.world.at(self.world.now + self.world.latency(), arrive)

    def _hang_up(self) -> None:
        """Our side forgets the connection; the other side learns of it a little later, if at all."""
        far, self._far, self._stream = self._far, None, 0
        if far is not None:
            self._carry(self._up + self.world.latency(), lambda: self.world.cell.detach(far))

    def _send(self, stream: int, frame: ClientFrame) -> None:
        far = self._far
        if far is None or stream != self._stream:
            return
        self._up = max(self._up, self.world.now + self.world.latency())
        self._carry(self._up, lambda: self.world.cell.receive(far, (frame,), self.world.now))

    def _deliver(self, stream: int, frames: Sequence[ServerFrame]) -> None:
        self._down = max(self._down, self.world.now + self.world.latency())
        self._carry(self._down, lambda: self.act(lambda: self.core.received(stream, frames, self.clock)))

    def _ended(self, stream: int) -> None:
        when = max(self._down, self.world.now) + 1
        self._carry(when, lambda: self.act(lambda: self.core.disconnected(stream, self.clock)))
