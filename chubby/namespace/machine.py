"""The deterministic machine: commands in, outcomes out (DESIGN §4).

This is the door of the package: what a replica does to the machine, and what the master reads of it. The rules are in
the modules behind it; see the chapter in the package's docstring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chubby import paths
from chubby.namespace import rebirth, snapshot
from chubby.namespace.acl import FIRST_ACL, GUARDED_ACL, AccessLists
from chubby.namespace.commands import Command, LeaseCaps, Limits
from chubby.namespace.facts import Facts
from chubby.namespace.handlers import handle
from chubby.namespace.locks import NO_STANDING
from chubby.namespace.nodes import Node, new_node
from chubby.namespace.outcomes import Change, Delay, LockAnswer, Outcome, Reply
from chubby.namespace.register import KNOWN_VERSIONS, Register
from chubby.namespace.requests import stored_reply
from chubby.namespace.snapshot import MachineSnapshot
from chubby.namespace.state import State
from chubby.namespace.transactions import failing_guard
from chubby.namespace.views import Genesis, SessionView
from chubby.types.identity import CallNumber, CellId, Epoch, HandleNumber, Revision, SessionId, Slot
from chubby.types.limits import READ_DIR_LIMIT
from chubby.types.nodes import DirEntry, LockInfo, LockOwner, NodeKind
from chubby.types.transaction import Create, Guard

__all__ = ["Genesis", "Machine", "MachineSnapshot", "Node", "SessionView"]


class Machine:
    """The replicated state of a cell. Everything but `apply`, `apply_noop` and `scrub` only reads."""

    __slots__ = ("_access", "_state", "_sweep")

    def __init__(self, state: State) -> None:
        """Made by `genesis`, `restore` and `reborn`."""
        self._state = state
        self._access = AccessLists(state.tree)
        self._sweep = self._sweep_forever()

    @classmethod
    def genesis(cls, genesis: Genesis) -> Machine:
        """A new cell: the root, `/acl`, nothing else."""
        floor = genesis.counter_floor
        state = State(
            Register(
                cell=genesis.cell,
                name=genesis.name,
                admins=genesis.admins,
                limits=genesis.limits,
                caps=genesis.caps,
                keys=(genesis.key,),
                revision=floor,
                instance=floor,
                token=floor,
                session=floor,
                forgotten=floor,
            )
        )
        for path, acl in ((paths.ROOT, FIRST_ACL), (paths.ACL_DIRECTORY, GUARDED_ACL)):
            state.register.instance += 1
            birth = Create(path, kind=NodeKind.DIRECTORY)
            state.tree.add(
                path,
                new_node(birth, acl, instance=state.register.instance, revision=floor, time_ms=genesis.time_ms),
            )
        return cls(state)

    @classmethod
    def restore(cls, slices: Iterable[bytes]) -> Machine:
        """The machine whose snapshot gave `slices`. Raises CorruptData, UnknownVersion."""
        return cls(snapshot.load(slices))

    @classmethod
    def reborn(
        cls, slices: Iterable[bytes], *, cell: CellId, key: bytes, counter_floor: int, name: str | None = None
    ) -> Machine:
        """A new cell with the nodes of a backup: no sessions, locks, ephemerals; all counters at or above the floor."""
        old = snapshot.load(slices)
        return cls(rebirth.reborn(old, cell=cell, key=key, counter_floor=counter_floor, name=name))

    def snapshot(self) -> MachineSnapshot:
        """The state as of now; takes the time of some dict copies."""
        return snapshot.take(self._state)

    def apply(self, slot: Slot, command: Command) -> Outcome:
        """Apply one command of the log; never raises for a command that could be decoded."""
        self._advance(slot)
        facts = Facts()
        reply = handle(self._state, command, facts)
        return facts.outcome(slot, command, reply)

    def apply_noop(self, slot: Slot) -> None:
        """Note that a slot held nothing for the machine."""
        self._advance(slot)

    @property
    def cell(self) -> CellId:
        """The cell's number."""
        return self._state.register.cell

    @property
    def name(self) -> str:
        """The cell's name."""
        return self._state.register.name

    @property
    def epoch(self) -> Epoch:
        """The epoch under which commands are valid now; 0 before the first BeginEpoch."""
        return self._state.register.epoch

    @property
    def revision(self) -> Revision:
        """The number of the last mutating transaction."""
        return self._state.register.revision

    @property
    def applied(self) -> Slot:
        """The last slot applied."""
        return self._state.register.applied

    @property
    def version(self) -> int:
        """The machine's version, as set through the log."""
        return self._state.register.version

    @property
    def understood(self) -> bool:
        """Whether this release knows the rules in force; if not, nothing more may be applied (DESIGN §3, version)."""
        return self._state.register.version in KNOWN_VERSIONS

    @property
    def caps(self) -> LeaseCaps:
        """The longest leases any master may have granted."""
        return self._state.register.caps

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._state.register.limits

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Keys of check digits: the current one first, then the previous one, if any."""
        return self._state.register.keys

    @property
    def admins(self) -> tuple[str, ...]:
        """Principals whom every access-control list admits."""
        return self._state.register.admins

    @property
    def node_count(self) -> int:
        """Nodes in the cell, the root included."""
        return len(self._state.tree.nodes)

    @property
    def content_bytes(self) -> int:
        """Bytes of contents and attributes of all nodes: what `Limits.total_bytes` bounds."""
        return self._state.tree.total_bytes

    @property
    def session_count(self) -> int:
        """Live sessions."""
        return len(self._state.sessions.table)

    @property
    def lock_count(self) -> int:
        """Locks held, waited for or in lock-delay."""
        return len(self._state.locks.book.locks)

    def digest(self) -> int:
        """128 bits that differ when two machines differ."""
        return self._state.digest()

    @property
    def rows(self) -> int:
        """How many rows all tables hold together."""
        return sum(map(len, self._state.tables))

    def scrub(self, budget: int) -> bool:
        """Recompute the marks of the next `budget` rows, none of them twice; False if one differs: memory rot."""
        for _ in range(budget):
            sound = next(self._sweep)
            if sound is None:
                return True
            if not sound:
                return False
        return True

    def node(self, path: str) -> Node | None:
        """The node of that name."""
        return self._state.tree.get(path)

    def children(self, path: str, after: str, limit: int) -> tuple[tuple[DirEntry, ...], bool]:
        """One page of children in name order, and whether more follow."""
        return self._state.tree.children(path, after, _page(limit))

    def lock(self, path: str) -> LockInfo | None:
        """The state of a node's lock; None if there is no such node."""
        return None if self._state.tree.get(path) is None else self._state.locks.info(path)

    def locks(self, after: str, limit: int) -> tuple[tuple[LockInfo, ...], bool]:
        """One page of the locks that are held, waited for or delayed, in path order."""
        return self._state.locks.page(after, _page(limit))

    def session(self, session: SessionId) -> SessionView | None:
        """One live session."""
        state, row = self._state, self._state.sessions.get(session)
        if row is None:
            return None
        return SessionView(
            id=session,
            principal=row.principal,
            caching=row.caching,
            nonce=row.nonce,
            locks=state.locks.book.count_of(session),
            ephemerals=state.tree.opened_count(session),
            acknowledged=row.acknowledged,
        )

    def sessions(self, after: SessionId, limit: int) -> tuple[tuple[SessionView, ...], bool]:
        """One page of live sessions in the order of their ids."""
        ids, limit = self._state.sessions.ids, _page(limit)
        start = ids.bisect_right(after)
        views = (self.session(session) for session in ids.islice(start, start + limit))
        return tuple(view for view in views if view is not None), start + limit < len(ids)

    def locks_of(self, session: SessionId) -> tuple[tuple[str, HandleNumber], ...]:
        """Where a session holds or waits for a lock: path and handle, in that order."""
        return tuple(self._state.locks.book.places_of(session))

    def waits_of(self, session: SessionId) -> tuple[tuple[str, int], ...]:
        """Where a session waits for a lock: path and place; of two that wait for one lock the later has the higher."""
        return tuple(self._state.locks.book.waits_of(session))

    def ephemerals_of(self, session: SessionId) -> tuple[tuple[str, HandleNumber], ...]:
        """What a session keeps open: path and handle of each membership, in that order; handle 0 is the session."""
        return tuple((path, owner.handle) for path, owner in self._state.tree.opened_by(session))

    def open_count(self, path: str) -> int:
        """How many members the open-set of an ephemeral has; 0 for anything else."""
        return self._state.tree.open_count(path)

    def has_open(self, path: str, owner: LockOwner) -> bool:
        """Whether this owner is in the open-set of the node."""
        return self._state.tree.has_open(path, owner)

    def session_ids(self) -> tuple[SessionId, ...]:
        """The ids of all live sessions, ascending."""
        return tuple(self._state.sessions.ids)

    def reply(self, session: SessionId, number: CallNumber) -> Reply | None:
        """The stored reply to a call; for an Acquire that had to wait, where its owner stands now."""
        return stored_reply(self._state, session, number)

    def acknowledged(self, session: SessionId) -> CallNumber:
        """Replies up to this number have arrived; 0 for an unknown session."""
        row = self._state.sessions.get(session)
        return 0 if row is None else row.acknowledged

    def failing_guard(self, guards: Sequence[Guard]) -> int | None:
        """The index of the first guard that does not hold now."""
        return failing_guard(self._state, guards)

    def history_since(self, revision: Revision) -> tuple[Change, ...] | None:
        """All changes above `revision`; None if some of them are forgotten."""
        return self._state.history.since(revision)

    @property
    def forgotten(self) -> Revision:
        """The lowest revision for which `history_since` is not None."""
        return self._state.register.forgotten

    def admits(self, acl: str, principal: str) -> bool:
        """Whether the access-control list of that name admits the principal."""
        return self._access.admits(acl, principal, self._state.register.admins)

    def standing(self, owner: LockOwner, path: str, instance: int) -> LockAnswer:
        """Where an owner stands with a lock now."""
        node = self._state.tree.get(path)
        if node is None or node.instance != instance:
            return NO_STANDING
        return self._state.locks.standing(owner, path)

    def delays(self) -> tuple[Delay, ...]:
        """The locks in lock-delay, in path order."""
        return self._state.locks.delays()

    def _advance(self, slot: Slot) -> None:
        register = self._state.register
        assert slot >= register.applied, "slots are applied in order"
        register.applied = slot

    def _sweep_forever(self) -> Iterator[bool | None]:
        """Table by table, row by row, round and round; None where a round ends."""
        while True:
            for table in self._state.tables:
                yield from table.sweep()
            yield None


def _page(limit: int) -> int:
    """The size of a page: at most `READ_DIR_LIMIT`, which 0 stands for."""
    return min(limit, READ_DIR_LIMIT) if limit > 0 else READ_DIR_LIMIT
