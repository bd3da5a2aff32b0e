"""Access-control lists and attributes: metadata that is cached like contents. One gate is opened and closed; whoever
asks to pass is let in or not by the state of some moment while it asks (DESIGN §4 ACLs, §5 Invalidate first).

What is read of the metadata is judged with the history of the node; that somebody was refused says something too.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Close, CreateMode, GetStat, Mode, Open, SetAcl, SetAttributes
from chubby.types.identity import HandleNumber
from chubby.types.nodes import ANYONE, AclNames
from chubby.types.results import Answer, Opened, StatResult
from chubby.types.time import NEVER, Instant
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATH = "/g"
NOBODY = "nobody"
"""A list without a file: it admits none but administrators."""


class Turn:
    """One time that somebody opened or closed the gate; until that is known to be over it may still come true."""

    def __init__(self, begun: Instant, ended: Instant = NEVER) -> None:
        self.begun = begun
        self.ended = ended


class GateChecker:
    """Who may be refused, and who let in: whoever asks while the gate may be closed, or open. It is open at first."""

    def __init__(self) -> None:
        self._closings: list[Turn] = []
        self._openings = [Turn(-1, -1)]

    def turn(self, is_open: bool, begun: Instant, ended: Instant = NEVER) -> Turn:
        """Somebody begins to open or close it; `Turn.ended` is to be set when that was acknowledged."""
        turn = Turn(begun, ended)
        (self._openings if is_open else self._closings).append(turn)
        return turn

    def refused(self, who: str, begun: Instant, ended: Instant) -> None:
        """Somebody who asked in that time was not let in. Raises Violation if the gate was open throughout."""
        if not _explained(begun, ended, self._closings, self._openings):
            raise Violation(f"{who} was refused at {PATH}, which was open all the while")

    def let_in(self, who: str, begun: Instant, ended: Instant) -> None:
        """Somebody who asked then was let in. Raises Violation if the gate was closed throughout.

        What the answer says of the gate is no evidence: it may be the second one to a call that is asked twice.
        """
        if not _explained(begun, ended, self._openings, self._closings):
            raise Violation(f"{who} was let in at {PATH}, which was closed all the while")


def _explained(begun: Instant, ended: Instant, by: list[Turn], against: list[Turn]) -> bool:
    """Whether one of these turns explains what somebody was told who asked then: unless it began later, or a whole turn
    against it lies between it and the asking.
    """
    return any(
        turn.begun < ended and not any(turn.ended < other.begun and other.ended < begun for other in against)
        for turn in by
    )


class Gates:
    """The gate, and how often it was passed, found closed, and turned."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checker = GateChecker()
        self.passed = 0
        self.refused = 0
        self.turned = 0

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Guest(self, client, tempo)


class Guest:
    """Asks to pass, looks at the gate, turns it, and leaves marks on it."""

    def __init__(self, gates: Gates, client: ClientHost, tempo: Tempo) -> None:
        self._gates = gates
        self._world = gates.world
        self._client = client
        self._keeper: HandleNumber | None = None
        self._reader: HandleNumber | None = None
        self._serial = 0
        self._turns = Turns(gates.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        draw = self._client.chance.random()
        if self._keeper is None:
            self._open_as_keeper()
        elif draw < 0.15:
            self._turn(self._keeper)
        elif draw < 0.3:
            self._mark(self._keeper)
        elif draw < 0.6 and self._reader is not None:
            self._look(self._reader)
        else:
            self._pass()

    def _open_as_keeper(self) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._keeper = handle
            self._turns.next()

        acl = AclNames(ANYONE, ANYONE, ANYONE)
        mode = Mode.WRITE | Mode.CHANGE_ACL
        self._client.call(Open(handle, PATH, mode, create=CreateMode.MAY, acl=acl), done, PATIENCE)

    def _turn(self, keeper: HandleNumber) -> None:
        is_open = self._client.chance.random() < 0.6

        def done(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                self._gates.turned += 1
                turn.ended = self._world.now
            else:
                self._keeper = None
            self._turns.next()

        turn = self._gates.checker.turn(is_open, self._world.now)
        acl = AclNames(ANYONE if is_open else NOBODY, ANYONE, ANYONE)
        self._client.call(SetAcl(keeper, acl), done, PATIENCE)

    def _mark(self, keeper: HandleNumber) -> None:
        self._serial += 1
        mark = f"{self._client.place}.{self._serial}".encode()

        def done(answer: Answer) -> None:
            if isinstance(answer, Failure):
                self._keeper = None
            self._turns.next()

        self._client.call(SetAttributes(keeper, {"mark": mark}), done, PATIENCE)

    def _look(self, reader: HandleNumber) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, Failure):
                self._reader = None
            self._turns.next()

        self._client.call(GetStat(reader), done, PATIENCE)

    def _pass(self) -> None:
        handle, before, begun = self._client.new_handle(), self._reader, self._world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._gates.passed += 1
                if self._world.bounded:
                    self._gates.checker.let_in(self._client.place, begun, self._world.now)
                self._reader = handle
                if before is not None:
                    self._client.call(Close(before), lambda closed: None, PATIENCE)
            elif isinstance(answer, Failure) and answer.code is ErrorCode.PERMISSION_DENIED:
                self._gates.refused += 1
                if self._world.bounded:
                    self._gates.checker.refused(self._client.place, begun, self._world.now)
            self._turns.next()

        self._client.call(Open(handle, PATH), done, PATIENCE)
