"""What the handlers of calls have before them, and what they may decide (DESIGN §5).

Every kind of call is a `Verb` (see `verbs`): three functions of the desk, the session and the call.

    footprint   what the call occupies                                  → Footprint
    plan        what to do as things stand now                          → Settled, Plan or Held
    settle      what the applied command's reply means for the caller   → Settled or Held

`plan` may be asked more than once; only a `Settled` that it returns may have had a side effect.
"""

from __future__ import annotations

import msgspec

from chubby.errors import ErrorCode, Failure
from chubby.master.counters import Counters
from chubby.master.effects import MasterEffect
from chubby.master.footprints import Departures
from chubby.master.handles import Handle
from chubby.master.pending import Token
from chubby.master.registry import Registry
from chubby.master.sequencer import guards_of
from chubby.master.session import Session
from chubby.master.settings import MasterSettings
from chubby.master.subscriptions import Subscriptions
from chubby.namespace.commands import Action
from chubby.namespace.machine import Machine
from chubby.namespace.nodes import Node
from chubby.types.calls import Mode, Open
from chubby.types.events import Event
from chubby.types.identity import Epoch, HandleNumber, SessionId
from chubby.types.nodes import LockOwner
from chubby.types.results import Answer
from chubby.types.stream import CacheKey


class Settled(msgspec.Struct, frozen=True):
    """The call is answered. `cache`: what the client fills from it, if it may.

    `behind`: a condition that does not hold was the reason; proposals in flight that touch these are awaited once, and
    the call is planned again, before it is answered so.
    """

    answer: Answer
    cache: tuple[CacheKey, ...] = ()
    behind: tuple[Token, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """The call needs a command; the fields mean what they mean in `pipeline.WorkPlan`."""

    action: Action
    keys: tuple[CacheKey, ...] = ()
    locks: tuple[str, ...] = ()
    frees: tuple[str, ...] = ()
    leaving: tuple[tuple[str, LockOwner], ...] = ()
    alone: tuple[Token, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """The call stays pending: for a lock, or (with a ticket) for the shell to change the membership."""

    ticket: int = 0


class Desk:
    """The machine and the master's memory, as handlers see them."""

    def __init__(
        self,
        machine: Machine,
        settings: MasterSettings,
        sessions: dict[SessionId, Session],
        told: dict[SessionId, None],
    ) -> None:
        """`told` collects sessions that have something new in their mailbox."""
        self.machine = machine
        self.settings = settings
        self.sessions = sessions
        self.told = told
        self.epoch: Epoch = 0
        self.registry = Registry()
        self.departures = Departures()
        self.subscriptions = Subscriptions()
        self.counters = Counters()
        self.requests: list[MasterEffect] = []
        self.tickets = 0

    def tell(self, session: SessionId, event: Event) -> None:
        """Put an event into a session's mailbox."""
        found = self.sessions.get(session)
        if found is not None:
            found.mailbox.events.add(event)
            self.counters.events += 1
            self.told[session] = None

    def handle_of(
        self, session: Session, number: HandleNumber, mode: Mode | None = None, *, sequenced: bool = True
    ) -> tuple[Handle, Node] | Failure:
        """The handle and its node, or why the handle may not be used so.

        `mode`: what it must have been opened for. `sequenced`: whether a sequencer bound to it must be valid still.
        """
        handle = session.handles.get(number)
        if handle is None:
            return Failure(ErrorCode.HANDLE_INVALID, f"handle {number} is not open")
        node = self.machine.node(handle.path)
        if node is None or node.instance != handle.instance:
            return Failure(ErrorCode.HANDLE_INVALID, f"{handle.path}: the node of this handle was deleted")
        if mode is not None and mode not in handle.mode:
            return Failure(ErrorCode.PERMISSION_DENIED, f"{handle.path}: the handle was not opened for {mode.name}")
        bound = handle.sequencer if sequenced else None
        if bound is not None and self.machine.failing_guard(guards_of(bound)) is not None:
            return Failure(ErrorCode.SEQUENCER_INVALID, f"{bound.path}: the hold period of the lock is over")
        return handle, node

    def path_of(self, session: Session, number: HandleNumber) -> str | None:
        """The path of a handle, open or about to be; None if that is not known."""
        handle = session.handles.get(number)
        if handle is not None:
            return handle.path
        maker = session.order.maker_of(number)
        return maker.path if isinstance(maker, Open) and not maker.sequential else None


def refuse(code: ErrorCode, message: str, *behind: Token) -> Settled:
    """A failure as an answer; `behind` as in `Settled`."""
    return Settled(Failure(code, message), behind=behind)
