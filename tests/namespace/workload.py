"""Command sequences as chance has them, made to collide: few names, few sessions, few handles (DESIGN §4).

The workload looks at the state of the twin to aim: at instances that are there, at locks that are in lock-delay, at
tokens that are valid. One command in some is aimed badly on purpose, comes under another epoch, or is one that came
before, exactly as it was.

Chance is a `random.Random`: a seeded one for long runs, one of hypothesis where a failure is to be shrunk.
"""

from __future__ import annotations

import random
from typing import TypeVar

import msgspec

from chubby.namespace.commands import (
    AcquireLock,
    Action,
    BeginEpoch,
    Body,
    CancelAcquire,
    CheckDigest,
    CloseHandle,
    CloseSession,
    Command,
    EndLockDelay,
    ExpireSession,
    LeaseCaps,
    Limits,
    MachineOperation,
    OpenCreated,
    OpenExisting,
    OpenSession,
    RaiseCaps,
    ReleaseLock,
    Request,
    RotateKey,
    SetLimits,
    SetVersion,
    Transaction,
)
from chubby.types.limits import LOCK_DELAY_MAXIMUM
from chubby.types.nodes import AclNames, LockMode, NodeKind
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Read,
    Remove,
    TokenIs,
    Write,
    WriteAcl,
    WriteAttributes,
)
from tests.namespace.twin import Twin

T = TypeVar("T")

_PATHS = ("/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/p", "/acl/team", "/", "/acl")
_BAD_PATHS = ("", "a", "/a/", "/a//b", "/.chubby", "/a/.contents", "/a\n", "/" + "n" * 256, "/a/x/p/q/r")
_CONTENTS = (b"", b"1", b"22", b"x" * 40, b"y" * 90)
_ATTRIBUTES: tuple[dict[str, bytes], ...] = (
    {},
    {"k": b"v"},
    {"k": b""},
    {"b": b"1", "a": b"2"},
)
_BAD_ATTRIBUTES: tuple[dict[str, bytes], ...] = ({"": b"x"}, {"big": b"x" * 1030})
_DELAYS = (0, 0, 1, 5_000_000_000, LOCK_DELAY_MAXIMUM, LOCK_DELAY_MAXIMUM + 1, -1)
_LIMITS = (
    Limits(),
    Limits(history=7),
    Limits(history=0, nodes=8),
    Limits(content=50, children=4, history=50),
    Limits(total_bytes=250, sessions=4, history=20),
    Limits(nodes=-1),
)


class Workload:
    """An endless sequence of commands."""

    def __init__(self, chance: random.Random) -> None:
        """Nothing sent yet."""
        self._chance = chance
        self._sequence = 0
        self._numbers: dict[int, int] = {}
        self._sent: list[Command] = []
        self._crowding = False
        self._recent = "/"

    def next(self, twin: Twin) -> Command:
        """The next command, for a cell in that state."""
        if self._sent and self._one_in(8):
            return self._pick(self._sent[-40:])
        if self._one_in(50):
            self._crowding = not self._crowding  # for a while all want the same few locks, and sessions live longer
        self._sequence += 1
        epoch = twin.epoch - self._chance.randrange(3) if self._one_in(25) else twin.epoch
        command = Command(epoch, self._sequence, 1_000 + self._sequence, self._body(twin))
        self._sent.append(command)
        return command

    def _pick(self, among: list[T] | tuple[T, ...]) -> T:
        return among[self._chance.randrange(len(among))]

    def _one_in(self, number: int) -> bool:
        return self._chance.randrange(number) == number - 1  # so that a shrunk example does the common thing

    def _body(self, twin: Twin) -> Body:
        if len(twin.sessions) < (4 if self._crowding else 1) or self._one_in(12):
            return OpenSession(self._chance.randrange(5), self._pick(("ann", "bob")), self._one_in(2))
        if self._one_in(30 if self._crowding else 14):
            session = self._session(twin)
            return ExpireSession(session) if self._one_in(2) else CloseSession(session)
        delayed = [path for path, node in twin.nodes.items() if node.delayed]
        if (delayed and self._one_in(4)) or self._one_in(60):
            return self._end_lock_delay(twin, delayed)
        if self._one_in(20):
            return self._administration(twin)
        return self._request(twin)

    def _end_lock_delay(self, twin: Twin, delayed: list[str]) -> EndLockDelay:
        path = self._pick(delayed) if delayed and not self._one_in(5) else self._path(twin)
        node = twin.nodes.get(path)
        if node is None or self._one_in(6):
            return EndLockDelay(path, self._chance.randrange(9), self._chance.randrange(3))
        return EndLockDelay(path, node.instance, node.lock_generation)

    def _administration(self, twin: Twin) -> Body:
        match self._chance.randrange(9):
            case 0:
                return SetLimits(self._pick(_LIMITS))
            case 1 | 7 | 8:
                return SetLimits(_LIMITS[0])
            case 2:
                return BeginEpoch(1 + self._chance.randrange(3))
            case 3:
                return RotateKey(self._pick((b"", b"k" * 32, b"other", b"k" * 65)))
            case 4:
                # Never really another one: a machine of a newer release cannot be restored by this one.
                return SetVersion(twin.version + self._pick((-1, 0, 2)))
            case 5:
                return RaiseCaps(LeaseCaps(self._pick((0, 1, 60_000_000_000)), self._pick((0, -1, 5))))
            case _:
                return CheckDigest()

    def _session(self, twin: Twin) -> int:
        if self._one_in(15):
            return self._pick((0, -1, twin.last_session + 1, max(twin.last_session - 5, 1)))
        return self._pick(list(twin.sessions))

    def _request(self, twin: Twin) -> Request:
        session = self._session(twin)
        last = self._numbers.get(session, 0)
        number = self._chance.randrange(last + 3) if self._one_in(6) else last + 1
        self._numbers[session] = max(last, number)
        acknowledged = self._chance.randrange(number + 1) if self._one_in(3) else 0
        return Request(session, number, acknowledged, self._action(twin, session))

    def _action(self, twin: Twin, session: int) -> Action:
        if not self._one_in(2) and not (self._crowding and self._one_in(2)):
            return self._transaction(twin)
        path, instance = ("/", twin.nodes["/"].instance) if self._crowding else self._target(twin)
        handle = self._handle()
        match self._chance.randrange(8):
            case 0 | 1 | 2 | 3:
                mode = LockMode.EXCLUSIVE if self._one_in(3) else LockMode.SHARED
                return AcquireLock(handle, path, instance, mode, not self._one_in(4), self._pick(_DELAYS))
            case 4:
                path, instance, handle = self._place(twin, session, waiting=True) or (path, instance, handle)
                return CancelAcquire(handle, path, instance)
            case 5 | 6:
                path, instance, handle = self._place(twin, session, waiting=False) or (path, instance, handle)
                return ReleaseLock(handle, path, instance)
            case _:
                return CloseHandle(handle, path, instance)

    def _place(self, twin: Twin, session: int, *, waiting: bool) -> tuple[str, int, int] | None:
        """Where the session waits or holds, mostly."""
        places = [
            (path, node.instance, owner[1])
            for path, node in twin.nodes.items()
            for owner in [entry[0] for entry in (node.waiters if waiting else node.holders)]
            if owner[0] == session
        ]
        return self._pick(places) if places and not self._one_in(4) else None

    def _handle(self) -> int:
        return self._pick((0, -3, 1 << 63)) if self._one_in(30) else 1 + self._chance.randrange(3)

    def _path(self, twin: Twin) -> str:
        if self._one_in(20):
            return self._pick(_BAD_PATHS)
        return self._pick(_PATHS if self._one_in(2) else list(twin.nodes))

    def _target(self, twin: Twin) -> tuple[str, int]:
        """A path and, mostly, the instance that is there."""
        path = self._path(twin)
        node = twin.nodes.get(path)
        wrong = node is None or self._one_in(15)
        return path, self._chance.randrange(20) if wrong or node is None else node.instance

    def _transaction(self, twin: Twin) -> Transaction:
        if self._one_in(150):
            return Transaction((), tuple(Read("/") for _ in range(129)))
        guards = tuple(self._guard(twin) for _ in range(self._chance.randrange(3)))
        then = tuple(self._operation(twin) for _ in range(self._pick((1, 1, 1, 2, 3, 5, 0))))
        otherwise = tuple(self._operation(twin) for _ in range(self._chance.randrange(2)))
        return Transaction(guards, then, otherwise)

    def _guard(self, twin: Twin) -> Guard:
        path = self._path(twin)
        node = twin.nodes.get(path)
        right = node is not None and not self._one_in(4)
        match self._chance.randrange(7):
            case 0:
                return Absent(path)
            case 1:
                return Exists(path)
            case 2:
                return Exists(path, node.instance if right and node else 3)
            case 3:
                return GenerationIs(path, node.content_generation if right and node else 2)
            case 4:
                return AclGenerationIs(path, node.acl_generation if right and node else 2)
            case 5:
                return ContentIs(path, node.contents if right and node else b"1")
            case _:
                return TokenIs(path, node.lock_token if right and node else 1)

    def _operation(self, twin: Twin) -> MachineOperation:
        """One operation; some are about the node that the one before was about."""
        operation = self._new_operation(twin)
        if isinstance(operation, Remove | Write | Create) and self._one_in(3):
            operation = msgspec.structs.replace(operation, path=self._recent)
        if not isinstance(operation, OpenCreated):
            self._recent = operation.path
        return operation

    def _new_operation(self, twin: Twin) -> MachineOperation:
        path, instance = self._target(twin)
        if path not in twin.nodes and not self._one_in(8):
            path = self._pick(list(twin.nodes))
        match self._chance.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                return self._create(path)
            case 5 | 6:
                return Write(path, self._pick(_CONTENTS))
            case 7 | 8:
                leaves = [name for name in twin.nodes if not twin.children(name)]
                return Remove(path if self._one_in(3) else self._pick(leaves))
            case 9:
                if self._one_in(2):
                    return WriteAttributes(path, self._attributes())
                return WriteAcl(path, self._acl())
            case 10:
                return OpenExisting(path, instance, self._handle())
            case _:
                return OpenCreated(self._handle()) if self._one_in(2) else Read(path)

    def _create(self, path: str) -> Create:
        """Mostly below a node that is there."""
        if not self._one_in(6):
            path = path.rstrip("/") + "/" + self._pick(("a", "b", "x", "y", "n-", "n-0000000001", ""))
        return Create(
            path,
            self._pick(_CONTENTS),
            kind=self._pick((NodeKind.FILE, NodeKind.DIRECTORY)),
            ephemeral=self._one_in(2),
            sequential=path.endswith(("-", "/")) and not self._one_in(5),
            may_exist=self._one_in(4),
            acl=self._acl() if self._one_in(8) else None,
            attributes=self._attributes() if self._one_in(6) else {},
        )

    def _attributes(self) -> dict[str, bytes]:
        return self._pick(_BAD_ATTRIBUTES if self._one_in(8) else _ATTRIBUTES)

    def _acl(self) -> AclNames:
        return AclNames("anyone", "a/b", "team") if self._one_in(8) else AclNames("anyone", "team", "team")
