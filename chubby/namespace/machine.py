"""The deterministic machine: commands in, outcomes out (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chubby.namespace.commands import Command, LeaseCaps, Limits
from chubby.namespace.nodes import Node
from chubby.namespace.outcomes import Change, Delay, LockAnswer, Outcome, Reply
from chubby.namespace.views import Genesis, SessionView
from chubby.types.identity import CallNumber, CellId, Epoch, Revision, SessionId, Slot
from chubby.types.nodes import DirEntry, LockInfo, LockOwner
from chubby.types.transaction import Guard

__all__ = ["Genesis", "Machine", "MachineSnapshot", "Node", "SessionView"]


class MachineSnapshot:
    """The state at one slot, immutable."""

    slot: Slot
    digest: int

    def slices(self, limit: int) -> Iterator[bytes]:
        """The state as bytes, each slice about `limit` bytes and at most some milliseconds of work."""
        raise NotImplementedError


class Machine:
    """The replicated state of a cell."""

    @classmethod
    def genesis(cls, genesis: Genesis) -> Machine:
        """A new cell: the root, `/acl`, nothing else."""
        raise NotImplementedError

    @classmethod
    def restore(cls, slices: Iterable[bytes]) -> Machine:
        """The machine whose snapshot gave `slices`. Raises CorruptData."""
        raise NotImplementedError

    @classmethod
    def reborn(
        cls, slices: Iterable[bytes], *, cell: CellId, key: bytes, counter_floor: int, name: str | None = None
    ) -> Machine:
        """A new cell with the nodes of a backup: no sessions, locks, ephemerals; all counters at or above the floor."""
        raise NotImplementedError

    def snapshot(self) -> MachineSnapshot:
        """The state as of now; takes the time of some dict copies."""
        raise NotImplementedError

    def apply(self, slot: Slot, command: Command) -> Outcome:
        """Apply one command of the log; never raises for a command that could be decoded."""
        raise NotImplementedError

    def apply_noop(self, slot: Slot) -> None:
        """Note that a slot held nothing for the machine."""
        raise NotImplementedError

    @property
    def cell(self) -> CellId:
        """The cell's number."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The cell's name."""
        raise NotImplementedError

    @property
    def epoch(self) -> Epoch:
        """The epoch under which commands are valid now; 0 before the first BeginEpoch."""
        raise NotImplementedError

    @property
    def revision(self) -> Revision:
        """The number of the last mutating transaction."""
        raise NotImplementedError

    @property
    def applied(self) -> Slot:
        """The last slot applied."""
        raise NotImplementedError

    @property
    def version(self) -> int:
        """The machine's version, as set through the log."""
        raise NotImplementedError

    @property
    def caps(self) -> LeaseCaps:
        """The longest leases any master may have granted."""
        raise NotImplementedError

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        raise NotImplementedError

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Keys of check digits: the current one first, then the previous one, if any."""
        raise NotImplementedError

    @property
    def admins(self) -> tuple[str, ...]:
        """Principals whom every access-control list admits."""
        raise NotImplementedError

    @property
    def node_count(self) -> int:
        """Nodes in the cell, the root included."""
        raise NotImplementedError

    @property
    def session_count(self) -> int:
        """Live sessions."""
        raise NotImplementedError

    @property
    def lock_count(self) -> int:
        """Locks held, waited for or in lock-delay."""
        raise NotImplementedError

    def digest(self) -> int:
        """128 bits that differ when two machines differ."""
        raise NotImplementedError

    def scrub(self, budget: int) -> bool:
        """Recompute the marks of the next `budget` rows; False if one differs: memory rot."""
        raise NotImplementedError

    def node(self, path: str) -> Node | None:
        """The node of that name."""
        raise NotImplementedError

    def children(self, path: str, after: str, limit: int) -> tuple[tuple[DirEntry, ...], bool]:
        """One page of children in name order, and whether more follow."""
        raise NotImplementedError

    def lock(self, path: str) -> LockInfo | None:
        """The state of a node's lock; None if there is no such node."""
        raise NotImplementedError

    def locks(self, after: str, limit: int) -> tuple[tuple[LockInfo, ...], bool]:
        """One page of the locks that are held, waited for or delayed, in path order."""
        raise NotImplementedError

    def session(self, session: SessionId) -> SessionView | None:
        """One live session."""
        raise NotImplementedError

    def sessions(self, after: SessionId, limit: int) -> tuple[tuple[SessionView, ...], bool]:
        """One page of live sessions in the order of their ids."""
        raise NotImplementedError

    def session_ids(self) -> Iterable[SessionId]:
        """The ids of all live sessions, ascending."""
        raise NotImplementedError

    def reply(self, session: SessionId, number: CallNumber) -> Reply | None:
        """The stored reply to a call; for an Acquire that had to wait, where its owner stands now."""
        raise NotImplementedError

    def acknowledged(self, session: SessionId) -> CallNumber:
        """Replies up to this number have arrived; 0 for an unknown session."""
        raise NotImplementedError

    def failing_guard(self, guards: Sequence[Guard]) -> int | None:
        """The index of the first guard that does not hold now."""
        raise NotImplementedError

    def history_since(self, revision: Revision) -> tuple[Change, ...] | None:
        """All changes above `revision`; None if some of them are forgotten."""
        raise NotImplementedError

    def admits(self, acl: str, principal: str) -> bool:
        """Whether the access-control list of that name admits the principal."""
        raise NotImplementedError

    def standing(self, owner: LockOwner, path: str, instance: int) -> LockAnswer:
        """Where an owner stands with a lock now."""
        raise NotImplementedError

    def delays(self) -> tuple[Delay, ...]:
        """The locks in lock-delay, in path order."""
        raise NotImplementedError
