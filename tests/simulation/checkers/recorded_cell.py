"""A cell whose every command is taken down, to make good stories of, and to spoil them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chubby.namespace.commands import Body, Command, encode
from chubby.namespace.outcomes import Outcome
from chubby.paxos.messages import Value, ValueKind
from chubby.types.identity import SessionId
from chubby.types.nodes import LockOwner
from chubby.types.time import Instant
from tests.namespace.cell import Cell
from tests.simulation.checkers.story import Told
from tests.simulation.invariants import Chosen


class RecordedCell(Cell):
    """As its parent; `now` is the true time at which commands are applied."""

    def __init__(self) -> None:
        """A new cell in its first epoch."""
        self.now: Instant = 0
        self.told: list[Told] = []
        super().__init__()

    def do(self, body: Body, *, epoch: int | None = None) -> Outcome:
        """As its parent's, and taken down."""
        named = self.machine.epoch if epoch is None else epoch
        outcome = super().do(body, epoch=epoch)
        command = Command(named, self._sequence, self.time_ms, body)
        self.told.append(Told(outcome.slot, self.now, command, outcome))
        return outcome

    def log(self) -> list[Chosen]:
        """The log that held these commands."""
        return [Chosen(Value(ValueKind.COMMANDS, (encode(each.command),)), each.at) for each in self.told]

    def without(self, index: int) -> list[Told]:
        """The story with one command less."""
        return self.told[:index] + self.told[index + 1 :]

    def spoilt(self, index: int, change: Callable[[Outcome], Outcome]) -> list[Told]:
        """The story, one outcome of which is another."""
        told = list(self.told)
        told[index] = told[index]._replace(outcome=change(told[index].outcome))
        return told


def granted_to(session: SessionId) -> Callable[[Outcome], Outcome]:
    """The same grants to somebody else."""
    return lambda outcome: with_grants(outcome, owner=LockOwner(session, 1))


def with_grants(outcome: Outcome, **fields: object) -> Outcome:
    """The outcome with other grants."""
    return other(outcome, grants=tuple(msgspec.structs.replace(each, **fields) for each in outcome.grants))


def other(outcome: Outcome, **fields: object) -> Outcome:
    """The outcome with other fields."""
    return msgspec.structs.replace(outcome, **fields)
