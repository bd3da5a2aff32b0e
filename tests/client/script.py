"""A session core driven by hand, frame by frame, at instants the test chooses. Times are seconds."""

from __future__ import annotations

from typing import TypeVar

from chubby.client.effects import Complete, Connect, Deliver, Disconnect, Effect, Send, StateChanged
from chubby.client.session_core import SessionCore
from chubby.client.state import SessionState
from chubby.errors import Failure
from chubby.types.calls import Call, CreateMode, Mode, Open
from chubby.types.events import Event, EventMask
from chubby.types.nodes import ANYONE, AclNames, NodeKind, Stat
from chubby.types.results import Answer, Opened
from chubby.types.stream import (
    CallFrame,
    ClientFrame,
    Reply,
    Resumed,
    ServerFrame,
    SessionOpened,
)
from chubby.types.time import NEVER, SECOND, from_seconds

F = TypeVar("F", bound=ClientFrame)

LEASE, CACHE_LEASE, GRACE, DRIFT = 12 * SECOND, 4 * SECOND, 45 * SECOND, 10_000
OURS = LEASE * 990_000 // 1_010_000
"""The session lease as the client counts it."""
OURS_CACHE = CACHE_LEASE * 990_000 // 1_010_000
ACL = AclNames(ANYONE, ANYONE, ANYONE)


def stat(instance: int = 1, ephemeral: bool = False) -> Stat:
    """Metadata of a node."""
    return Stat(NodeKind.FILE, ephemeral, instance, 1, 1, 0, 0, 1, 1, 0, 0, ACL)


class Script:
    """See the module. `effects` collects everything the core asked for; `stream` is the newest one."""

    def __init__(self, caching: bool = True, opening_timeout: float | None = None) -> None:
        self.core = SessionCore(4711, lambda: 0.5, caching=caching)
        self.now = 1_000 * SECOND
        self.effects: list[Effect] = []
        self.stream = 0
        until = NEVER if opening_timeout is None else self.now + from_seconds(opening_timeout)
        self.core.start(self.now, until)
        self.drain()

    # ------------------------------------------------------------------------------------------------------ inputs

    def drain(self) -> list[Effect]:
        """Take what the core asks for."""
        fresh = self.core.effects()
        self.effects += fresh
        for effect in fresh:
            if isinstance(effect, Connect):
                self.stream = effect.stream
        return fresh

    def after(self, seconds: float) -> Script:
        """Let time pass, without telling the core."""
        self.now += from_seconds(seconds)
        return self

    def tick(self, seconds: float = 0.0) -> list[Effect]:
        """Let time pass, then ring the timer."""
        self.after(seconds)
        self.core.tick(self.now)
        return self.drain()

    def run(self, seconds: float) -> None:
        """Let time pass with every timer rung when it is due."""
        until = self.now + from_seconds(seconds)
        while (wake := self.core.wake_at()) <= until:
            self.now = max(self.now, wake)
            self.tick()
            assert self.core.wake_at() > self.now, "a tick leaves nothing due"
        self.now = until

    def receive(self, *frames: ServerFrame, stream: int | None = None) -> list[Effect]:
        """Frames arrive on the newest stream, or another one."""
        self.core.received(self.stream if stream is None else stream, frames, self.now)
        return self.drain()

    def connect(self) -> list[Effect]:
        """The connection asked for stands."""
        self.core.connected(self.stream, self.now)
        return self.drain()

    def disconnect(self, stream: int | None = None) -> list[Effect]:
        """It breaks."""
        self.core.disconnected(self.stream if stream is None else stream, self.now)
        return self.drain()

    def begin(self, call: Call, timeout: float | None = None) -> int:
        """A caller's call; its number."""
        deadline = NEVER if timeout is None else self.now + from_seconds(timeout)
        number = self.core.begin(call, self.now, deadline)
        self.drain()
        return number

    def ask(self, call: Call) -> Answer | None:
        """What the core answers a call by itself, if it does."""
        return self.answers_of(self.begin(call))

    def answers_of(self, number: int) -> Answer | None:
        """The answer to one call, if it came."""
        return self.answers.get(number)

    # --------------------------------------------------------------------------------------------------- shortcuts

    def established(self, revision: int = 100) -> Script:
        """Open the session: everything at the present instant."""
        self.connect()
        self.receive(SessionOpened(9, b"ticket", 77, 5, LEASE, CACHE_LEASE, GRACE, DRIFT, revision))
        assert self.core.state is SessionState.NORMAL
        self.effects.clear()
        return self

    def resume(self, epoch: int = 5, lost: tuple[tuple[int, Failure], ...] = ()) -> Script:
        """The stream breaks; after the back-off another one is opened, and resumes."""
        self.disconnect()
        self.tick(0.2)
        self.connect()
        self.receive(Resumed(epoch, LEASE, CACHE_LEASE, lost))
        return self

    def handle(
        self,
        path: str = "/a",
        mode: Mode = Mode.READ | Mode.WRITE,
        events: EventMask = EventMask.NONE,
        create: CreateMode = CreateMode.NEVER,
        ephemeral: bool = False,
        instance: int = 1,
    ) -> int:
        """Open a node; the number of the handle."""
        handle = self.core.desk.handles.fresh_number()
        number = self.begin(Open(handle, path, mode, events, create))
        self.receive(Reply(number, Opened(b"t%d" % handle, path, False, stat(instance, ephemeral))))
        self.effects.clear()
        return handle

    # ----------------------------------------------------------------------------------------------------- looking

    def sent(self, kind: type[F]) -> list[F]:
        """Frames of one kind sent so far."""
        frames = [effect.frame for effect in self.effects if isinstance(effect, Send)]
        return [frame for frame in frames if isinstance(frame, kind)]

    def calls(self) -> list[Call]:
        """Calls sent so far."""
        return [frame.call for frame in self.sent(CallFrame)]

    def forget(self) -> Script:
        """Look only at what comes from now on."""
        self.effects.clear()
        return self

    @property
    def answers(self) -> dict[int, Answer]:
        """Calls completed so far."""
        return {effect.number: effect.answer for effect in self.effects if isinstance(effect, Complete)}

    @property
    def told(self) -> list[Event]:
        """Events delivered so far."""
        return [effect.event for effect in self.effects if isinstance(effect, Deliver)]

    @property
    def states(self) -> list[SessionState]:
        """States entered so far."""
        return [effect.state for effect in self.effects if isinstance(effect, StateChanged)]

    @property
    def connects(self) -> list[Connect]:
        """Connections asked for so far."""
        return [effect for effect in self.effects if isinstance(effect, Connect)]

    @property
    def disconnects(self) -> list[int]:
        """Streams let go so far."""
        return [effect.stream for effect in self.effects if isinstance(effect, Disconnect)]

    def answer(self, number: int, answer: Answer, cacheable: bool = False, cache_lease: int = 0) -> Script:
        """The master answers call `number`."""
        self.receive(Reply(number, answer, cacheable, cache_lease))
        return self
