"""What the commands need of a session: the seam between the command line and the client.

`chubby.cli.session` fulfils it with the real client, the tests with a cell in memory. Paths are inside the cell.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from chubby.cli.supervisor import Turn
from chubby.types.calls import MemberAction
from chubby.types.events import Event
from chubby.types.identity import Incarnation, ReplicaId, Revision, Token
from chubby.types.nodes import DirEntry, LockInfo, LockMode
from chubby.types.results import SequencerResult, SessionInfo
from chubby.types.time import Duration
from chubby.types.transaction import Guard, Operation, TransactionResult


class CellSession(Protocol):
    """One open session. Every method raises ChubbyError."""

    async def transact(
        self, guards: Sequence[Guard], then: Sequence[Operation], otherwise: Sequence[Operation] = ()
    ) -> TransactionResult:
        """`if all guards: then, else otherwise`, atomically. Raises why nothing changed, if an operation failed."""

    async def children(self, path: str) -> list[DirEntry]:
        """All children in name order."""

    async def locks(self) -> list[LockInfo]:
        """All locks that are held, delayed or waited for, in path order."""

    async def sessions(self) -> list[SessionInfo]:
        """All sessions in order of their ids."""

    async def check_sequencer(self, sequencer: bytes) -> SequencerResult:
        """What the sequencer means, if its hold period lasts; SequencerInvalid otherwise."""

    async def step_down(self, successor: ReplicaId) -> None:
        """Ask the master to hand over, to `successor` (0: whoever is fit)."""

    async def change_members(
        self, action: MemberAction, replica: ReplicaId, peer: str, client: str, incarnation: Incarnation | None
    ) -> None:
        """Add, remove or replace one replica, in this incarnation (None: in any); answered once the new configuration
        governs.
        """

    def watch(self, path: str, since: Revision | None) -> AsyncGenerator[Event, None]:
        """Changes in the subtree of `path`, for ever."""

    async def keep(self, path: str, contents: bytes, must_create: bool) -> EphemeralNode:
        """Open the ephemeral node `path`, made if it is not there, and replace its content."""

    async def acquire(self, path: str, mode: LockMode, lock_delay: Duration, wait: float | None) -> HeldLock:
        """Open the node, made as a file if it is not there, and take its lock.

        `wait` is in seconds; None is for ever, 0 asks once. Raises DeadlineExceeded or LockConflict if the lock could
        not be had in time.
        """


class EphemeralNode(Protocol):
    """An ephemeral node that lives as long as we hold it open."""

    async def lost(self) -> str:
        """Until it is ours no more; why."""

    async def close(self) -> None:
        """Let it go."""


class HeldLock(Protocol):
    """A lock that we hold; a `supervisor.Tenure`."""

    token: Token
    sequencer: bytes

    async def set_contents(self, contents: bytes) -> None:
        """Write the node's content."""

    def lease_left(self) -> Duration:
        """What is left of the session lease by our own clock, now."""

    async def next_turn(self) -> Turn:
        """The next change of what we know of the lock."""

    async def release(self) -> None:
        """Give it back."""
