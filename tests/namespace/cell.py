"""A machine with somebody to type the commands: slots, epochs, sequence and call numbers look after themselves."""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import (
    AcquireLock,
    Action,
    BeginEpoch,
    Body,
    CancelAcquire,
    CloseHandle,
    Command,
    LeaseCaps,
    Limits,
    MachineOperation,
    OpenSession,
    ReleaseLock,
    Request,
    SetLimits,
    Transaction,
)
from chubby.namespace.machine import Genesis, Machine, Node
from chubby.namespace.outcomes import LockAnswer, LockStanding, Outcome, SessionMade, Transacted
from chubby.types.identity import CallNumber, SessionId
from chubby.types.nodes import LockMode
from chubby.types.time import Duration
from chubby.types.transaction import Create, Guard, Remove, TransactionResult, Write

EXCLUSIVE, SHARED = LockMode.EXCLUSIVE, LockMode.SHARED
HELD, WAITING, NONE = LockStanding.HELD, LockStanding.WAITING, LockStanding.NONE

GENESIS = Genesis(
    cell=0xCE11,
    name="test",
    admins=("root",),
    limits=Limits(),
    caps=LeaseCaps(),
    key=b"first key",
    time_ms=1_000,
)


class Cell:
    """A machine of its own, under its first master."""

    def __init__(self, genesis: Genesis = GENESIS, machine: Machine | None = None) -> None:
        """A new cell in its first epoch; or `machine`, as it is."""
        self.machine = Machine.genesis(genesis) if machine is None else machine
        self.time_ms = 2_000
        self._sequence = 0
        self._numbers: dict[SessionId, CallNumber] = {}
        if machine is None:
            self.do(BeginEpoch(1))

    def do(self, body: Body, *, epoch: int | None = None) -> Outcome:
        """Apply one command in the next slot, under the current epoch unless told otherwise."""
        self._sequence += 1
        command = Command(self.machine.epoch if epoch is None else epoch, self._sequence, self.time_ms, body)
        return self.machine.apply(self.machine.applied + 1, command)

    def session(self, principal: str = "somebody", nonce: int | None = None) -> SessionId:
        """Open a session, a new one unless the nonce is an old one."""
        made = self.do(OpenSession(self._sequence if nonce is None else nonce, principal, caching=True)).reply
        assert isinstance(made, SessionMade)
        return made.session

    def request(
        self, session: SessionId, action: Action, *, number: CallNumber | None = None, acknowledged: CallNumber = 0
    ) -> Outcome:
        """A request of the session under its next call number (above those used before), or under `number`."""
        if number is None:
            number = self._numbers.get(session, 0) + 1
        self._numbers[session] = max(number, self._numbers.get(session, 0))
        return self.do(Request(session, number, acknowledged, action))

    def transact(self, session: SessionId, *then: MachineOperation, guards: tuple[Guard, ...] = ()) -> Outcome:
        """A transaction with one branch."""
        return self.request(session, Transaction(guards, then))

    def result(self, session: SessionId, *then: MachineOperation, guards: tuple[Guard, ...] = ()) -> TransactionResult:
        """What a transaction with one branch gave."""
        return result_of(self.transact(session, *then, guards=guards))

    def create(
        self,
        session: SessionId,
        path: str,
        contents: bytes = b"",
        *,
        ephemeral: bool = False,
        sequential: bool = False,
    ) -> str:
        """Make a node, which must succeed; return its name."""
        result = self.result(session, Create(path, contents, ephemeral=ephemeral, sequential=sequential))
        assert result.failure is None, result.failure
        return result.results[0].path

    def write(self, session: SessionId, path: str, contents: bytes) -> Outcome:
        """Write a node, which must succeed."""
        outcome = self.transact(session, Write(path, contents))
        assert result_of(outcome).failure is None
        return outcome

    def remove(self, session: SessionId, path: str) -> Outcome:
        """Delete a node, which must succeed."""
        outcome = self.transact(session, Remove(path))
        assert result_of(outcome).failure is None
        return outcome

    def acquire(
        self,
        session: SessionId,
        path: str,
        mode: LockMode = EXCLUSIVE,
        *,
        handle: int = 1,
        wait: bool = True,
        delay: Duration = 0,
    ) -> Outcome:
        """Ask for the lock of the node that is there now."""
        return self.request(session, AcquireLock(handle, path, self.instance(path), mode, wait, delay))

    def release(self, session: SessionId, path: str, *, handle: int = 1) -> Outcome:
        """Give back the lock of the node that is there now."""
        return self.request(session, ReleaseLock(handle, path, self.instance(path)))

    def cancel(self, session: SessionId, path: str, *, handle: int = 1) -> Outcome:
        """Leave the queue of the lock of the node that is there now."""
        return self.request(session, CancelAcquire(handle, path, self.instance(path)))

    def close(self, session: SessionId, path: str, *, handle: int = 1) -> Outcome:
        """Close a handle on the node that is there now."""
        return self.request(session, CloseHandle(handle, path, self.instance(path)))

    def set_limits(self, limits: Limits) -> Outcome:
        """Change the limits."""
        return self.do(SetLimits(limits))

    def node(self, path: str) -> Node:
        """The node, which must be there."""
        node = self.machine.node(path)
        assert node is not None, f"{path} is not there"
        return node

    def instance(self, path: str) -> int:
        """The instance of the node, which must be there."""
        return self.node(path).instance

    def has(self, path: str) -> bool:
        """Whether the node is there."""
        return self.machine.node(path) is not None

    def names(self, path: str) -> list[str]:
        """The names of the node's children."""
        return [entry.name for entry in self.machine.children(path, "", 0)[0]]


def result_of(outcome: Outcome) -> TransactionResult:
    """The result in the outcome of a transaction."""
    assert isinstance(outcome.reply, Transacted), outcome.reply
    return outcome.reply.result


def code_of(outcome: Outcome) -> ErrorCode | None:
    """Why a command failed, as a whole or within its transaction; None if it did not."""
    if isinstance(outcome.reply, Failure):
        return outcome.reply.code
    if isinstance(outcome.reply, Transacted) and outcome.reply.result.failure is not None:
        return outcome.reply.result.failure.code
    return None


def message_of(outcome: Outcome) -> str:
    """What a failed command tells a human."""
    if isinstance(outcome.reply, Transacted):
        assert outcome.reply.result.failure is not None
        return outcome.reply.result.failure.message
    assert isinstance(outcome.reply, Failure)
    return outcome.reply.message


def standing_of(outcome: Outcome) -> LockStanding:
    """The standing in the outcome of a lock command."""
    assert isinstance(outcome.reply, LockAnswer), outcome.reply
    return outcome.reply.standing


def token_of(outcome: Outcome) -> int:
    """The token in the outcome of a lock command that was granted."""
    assert isinstance(outcome.reply, LockAnswer), outcome.reply
    assert outcome.reply.standing is HELD
    return outcome.reply.token
