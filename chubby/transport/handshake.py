"""Who may speak on a link: the handshake as a sans-IO automaton with a literal table.

::

    dialling side                         accepting side
    DIALLED      ── Hello ──────────▶     ACCEPTED
                 ◀────────── Hello ──     CONFIRMING     having judged the Hello
    SENDING      ── Welcome ────────▶     RECEIVING      having judged the Hello
                 ── messages ───────▶
                 ◀──────── Goodbye ──                    at any time, then both are CLOSED

The third step is what makes it symmetric: an accepting side counts a link as made only when the dialling side has
judged *its* Hello too, so a replica that is at the wrong address, or in the wrong cell, never looks connected. It costs
no round trip: messages follow Welcome in the same write.

Either side answers whatever the table does not expect with Goodbye(reason), closes, and counts the reason. Once
RECEIVING, payloads are messages and no longer pass through here.

Nothing of safety rests on the handshake: Paxos names ballots and incarnations in its messages. It keeps
misconfiguration and other cells' traffic out, and names them to the operator.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

import msgspec

from chubby.transport.doorkeeper import Doorkeeper
from chubby.transport.greetings import Control, Goodbye, Hello, Reason, Welcome, decode_control, encode_control
from chubby.types.identity import CellId, ReplicaId


class State(enum.Enum):
    """How far one side of a link is."""

    DIALLED = "dialled"
    ACCEPTED = "accepted"
    CONFIRMING = "confirming"
    SENDING = "sending"
    RECEIVING = "receiving"
    CLOSED = "closed"


class Input(enum.Enum):
    """What can happen to one side of a link."""

    HELLO = "hello"
    """A Hello that the doorkeeper admits."""
    STRANGER = "stranger"
    """A Hello that it does not."""
    WELCOME = "welcome"
    GOODBYE = "goodbye"
    FAULT = "fault"
    """This side has a reason of its own to end the link: a bad frame, a timeout, a shutdown."""
    LOST = "lost"
    """The connection is gone."""


class Action(enum.Enum):
    """What one side does on an input."""

    ENTER = "enter"
    """Say Welcome: the link is made, for sending."""
    ANSWER = "answer"
    """Say Hello in turn."""
    ADMIT = "admit"
    """The link is made, for receiving."""
    DISMISS = "dismiss"
    """Say Goodbye and close."""
    LEAVE = "leave"
    """Close without a word."""
    NOTHING = "nothing"


TRANSITIONS: Final[dict[State, dict[Input, tuple[State, Action]]]] = {
    State.DIALLED: {
        Input.HELLO: (State.SENDING, Action.ENTER),
        Input.STRANGER: (State.CLOSED, Action.DISMISS),
        Input.WELCOME: (State.CLOSED, Action.DISMISS),
        Input.GOODBYE: (State.CLOSED, Action.LEAVE),
        Input.FAULT: (State.CLOSED, Action.DISMISS),
        Input.LOST: (State.CLOSED, Action.LEAVE),
    },
    State.ACCEPTED: {
        Input.HELLO: (State.CONFIRMING, Action.ANSWER),
        Input.STRANGER: (State.CLOSED, Action.DISMISS),
        Input.WELCOME: (State.CLOSED, Action.DISMISS),
        Input.GOODBYE: (State.CLOSED, Action.LEAVE),
        Input.FAULT: (State.CLOSED, Action.DISMISS),
        Input.LOST: (State.CLOSED, Action.LEAVE),
    },
    State.CONFIRMING: {
        Input.HELLO: (State.CLOSED, Action.DISMISS),
        Input.STRANGER: (State.CLOSED, Action.DISMISS),
        Input.WELCOME: (State.RECEIVING, Action.ADMIT),
        Input.GOODBYE: (State.CLOSED, Action.LEAVE),
        Input.FAULT: (State.CLOSED, Action.DISMISS),
        Input.LOST: (State.CLOSED, Action.LEAVE),
    },
    State.SENDING: {
        Input.HELLO: (State.CLOSED, Action.DISMISS),
        Input.STRANGER: (State.CLOSED, Action.DISMISS),
        Input.WELCOME: (State.CLOSED, Action.DISMISS),
        Input.GOODBYE: (State.CLOSED, Action.LEAVE),
        Input.FAULT: (State.CLOSED, Action.LEAVE),
        Input.LOST: (State.CLOSED, Action.LEAVE),
    },
    State.RECEIVING: {
        Input.FAULT: (State.CLOSED, Action.DISMISS),
        Input.LOST: (State.CLOSED, Action.LEAVE),
    },
    State.CLOSED: dict.fromkeys(Input, (State.CLOSED, Action.NOTHING)),
}
"""A FAULT while SENDING closes without Goodbye: in that direction frames are messages. RECEIVING has no control frames
to read; both omissions are asserted."""


class Send(msgspec.Struct, frozen=True):
    """Effect: write this control frame's payload."""

    payload: bytes


class Established(msgspec.Struct, frozen=True):
    """Effect: the link is made with this peer; `joining` if the peer was blank."""

    peer: Hello
    joining: bool


class CellLearned(msgspec.Struct, frozen=True):
    """Effect: this replica was blank and now knows its cell."""

    cell: CellId


class Parted(msgspec.Struct, frozen=True):
    """Effect: close the connection. `by_peer` tells whose reason it is."""

    reason: Reason
    by_peer: bool


Effect = Send | Established | CellLearned | Parted


class Handshake:
    """One side of one link. Every method returns the effects to carry out, in order.

    `dialled` is the replica that the address book promises at the other end, None on the accepting side. `proven` is
    asked of a Hello that is otherwise admitted: does the connection itself prove who speaks?
    """

    def __init__(self, doorkeeper: Doorkeeper, dialled: ReplicaId | None, proven: Callable[[Hello], bool]) -> None:
        """A link that has just been connected."""
        self._doorkeeper = doorkeeper
        self._dialled = dialled
        self._proven = proven
        self._peer: Hello | None = None
        self.state = State.ACCEPTED if dialled is None else State.DIALLED

    @property
    def peer(self) -> Hello | None:
        """The peer's Hello, once admitted."""
        return self._peer

    @property
    def established(self) -> bool:
        """Whether messages may flow."""
        return self.state in (State.SENDING, State.RECEIVING)

    def start(self) -> tuple[Effect, ...]:
        """The connection is made: the dialling side speaks first."""
        return () if self._dialled is None else (self._say(self._doorkeeper.hello()),)

    def receive(self, payload: bytes) -> tuple[Effect, ...]:
        """A frame arrived that should be a control frame."""
        assert self.state is not State.RECEIVING, "what arrives on a made link are messages"
        control = decode_control(payload)
        match control:
            case None:
                return self.fail(Reason.GARBAGE)
            case Hello():
                reason = self._judge(control)
                if reason is not None:
                    return self._step(Input.STRANGER, reason)
                return self._step(Input.HELLO, Reason.PROTOCOL, control)
            case Welcome():
                # The address book may have changed since the Hello.
                reason = self._doorkeeper.judge(self._peer, self._dialled) if self._peer is not None else None
                if reason is not None:
                    return self._step(Input.STRANGER, reason)
                return self._step(Input.WELCOME, Reason.PROTOCOL)
            case Goodbye(reason=reason):
                return self._step(Input.GOODBYE, reason)

    def fail(self, reason: Reason) -> tuple[Effect, ...]:
        """This side ends the link."""
        return self._step(Input.FAULT, reason)

    def lost(self) -> tuple[Effect, ...]:
        """The connection is gone."""
        return self._step(Input.LOST, Reason.LOST)

    def _judge(self, hello: Hello) -> Reason | None:
        if self.state not in (State.DIALLED, State.ACCEPTED):
            return None  # out of turn, whoever it is: the table says so
        reason = self._doorkeeper.judge(hello, self._dialled)
        if reason is None and not self._proven(hello):
            return Reason.UNPROVEN
        return reason

    def _step(self, given: Input, reason: Reason, hello: Hello | None = None) -> tuple[Effect, ...]:
        assert given in TRANSITIONS[self.state], f"{given} cannot happen in {self.state}"
        self.state, action = TRANSITIONS[self.state][given]
        match action:
            case Action.ENTER:
                assert hello is not None, "a link is entered by a Hello"
                return (*self._meet(hello), self._say(Welcome()), self._established())
            case Action.ANSWER:
                assert hello is not None, "only a Hello is answered"
                return (*self._meet(hello), self._say(self._doorkeeper.hello()))
            case Action.ADMIT:
                return (self._established(),)
            case Action.DISMISS:
                return (self._say(Goodbye(reason)), Parted(reason, by_peer=False))
            case Action.LEAVE:
                return (Parted(reason, by_peer=given is Input.GOODBYE),)
            case Action.NOTHING:
                return ()

    def _meet(self, hello: Hello) -> tuple[CellLearned, ...]:
        self._peer = hello
        cell = self._doorkeeper.learn(hello)
        return () if cell is None else (CellLearned(cell),)

    def _established(self) -> Established:
        assert self._peer is not None, "the peer introduced itself before"
        return Established(self._peer, joining=self._doorkeeper.is_joining(self._peer))

    def _say(self, control: Control) -> Send:
        return Send(encode_control(control))
