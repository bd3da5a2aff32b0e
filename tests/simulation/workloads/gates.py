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
from chubby.types.time import NEVER, SECOND, Duration, Instant
from tests.simulation.clients import ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATIENCE: Duration = 20 * SECOND
PATH = "/g"
NOBODY = "nobody"
"""A list without a file: it admits none but administrators."""


class GateChecker:
    """Who may be refused: whoever asks while the gate may be closed. It is open at first."""

    def __init__(self) -> None:
        self._closings: list[tuple[Instant, Instant]] = []
        self._openings: list[tuple[Instant, Instant]] = []

    def turned(self, is_open: bool, begun: Instant, ended: Instant) -> None:
        """Somebody opened or closed it in that time; `ended` NEVER: perhaps, and nobody knows when."""
        (self._openings if is_open else self._closings).append((begun, ended))

    def refused(self, who: str, begun: Instant, ended: Instant) -> None:
        """Somebody who asked from `begun` to `ended` was not let in. Raises Violation if the gate was open throughout.

        A closing explains it unless it began later, or a whole opening lies between it and the asking.
        """
        for closing_begun, closing_ended in self._closings:
            if closing_begun < ended and not any(
                closing_ended < opened and known < begun for opened, known in self._openings
            ):
                return
        raise Violation(f"{who} was refused at {PATH}, which was open all the while")


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
        is_open, begun = self._client.chance.random() < 0.6, self._world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                self._gates.turned += 1
                self._gates.checker.turned(is_open, begun, self._world.now)
            else:
                self._gates.checker.turned(is_open, begun, NEVER)
                self._keeper = None
            self._turns.next()

        if not is_open:
            self._gates.checker.turned(False, begun, NEVER)
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
                if answer.stat.acl.read == NOBODY and self._world.bounded:
                    raise Violation(f"{self._client.place} was let in at {PATH} while it was closed")
                self._reader = handle
                if before is not None:
                    self._client.call(Close(before), lambda closed: None, PATIENCE)
            elif isinstance(answer, Failure) and answer.code is ErrorCode.PERMISSION_DENIED:
                self._gates.refused += 1
                if self._world.bounded:
                    self._gates.checker.refused(self._client.place, begun, self._world.now)
            self._turns.next()

        self._client.call(Open(handle, PATH), done, PATIENCE)
