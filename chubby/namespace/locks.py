"""The rules of locks: who gets one, when, and what stays closed (DESIGN §4 Locks, Token, Lock-delay; paper §2.4).

A lock is in one of three states, and between commands nobody waits who could be granted (`settle` sees to that).

| state   | holders | who may get it                                                                               |
|---------|---------|----------------------------------------------------------------------------------------------|
| free    | none    | whoever asks next; nobody waits, and the lock has no row                                     |
| held    | some    | another shared one, if it is held shared and nobody waits; everybody else queues             |
| delayed | none    | nobody before its EndLockDelay; everybody queues                                             |

**First come, first served, no barging.** Whoever asks takes a place at the end of the queue, and the head of the queue
is granted: there is no other way to a lock. So whoever asks while somebody waits stands behind him, a shared one behind
a shared one too. When a lock becomes free its head is granted, and if that is shared, all behind it up to the first
exclusive one. When a waiter leaves, the one behind it may be able to join: the head is looked at again.

**Hold period**: from the first holder to the last. One token, one lock generation, however many shared holders join.

**Lock-delay** begins when a lock becomes free, if any of those who held it in this period died with one: the longest of
theirs. A shared holder that dies while others hold closes nothing yet; they go on, and others may still join. So a hold
period has at most one lock-delay, and its generation names it.

**One owner, one place.** An owner that asks again finds its hold or its place. Asking in the other mode is a conflict
and not an upgrade: two shared holders that both waited for an upgrade would wait for ever. TryAcquire never leaves a
waiter behind, nor takes one's place away.
"""

from __future__ import annotations

import msgspec

from chubby.errors import ErrorCode, Failure
from chubby.namespace.facts import Facts
from chubby.namespace.lockbook import Crowd, LockBook, LockRow, Waiter
from chubby.namespace.nodes import Node, with_lock
from chubby.namespace.outcomes import Conflict, Delay, Grant, LockAnswer, LockStanding, Reply
from chubby.namespace.register import Register
from chubby.namespace.tree import Tree
from chubby.namespace.wording import quoted
from chubby.types.identity import SessionId, Token
from chubby.types.nodes import LockInfo, LockMode, LockOwner
from chubby.types.time import Duration

__all__ = ["NO_STANDING", "Locks"]

NO_STANDING = LockAnswer(LockStanding.NONE)
_WAITING = LockAnswer(LockStanding.WAITING)


class Locks:
    """All locks of the cell. Paths given to the methods name nodes that are there, unless a method says otherwise."""

    __slots__ = ("_register", "_tree", "book")

    def __init__(self, register: Register, tree: Tree) -> None:
        """No lock is in use."""
        self.book = LockBook()
        self._register = register
        self._tree = tree

    def acquire(self, owner: LockOwner, path: str, mode: LockMode, wait: bool, delay: Duration, facts: Facts) -> Reply:
        """Take the lock or queue for it; LOCK_CONFLICT if that is not possible."""
        crowd = self.book.crowd(path)
        if crowd is None:
            crowd = self.book.begin(path, self._node(path).instance)
        else:
            answer = self._second_request(owner, path, crowd, mode, wait)
            if answer is None and not wait and not self._may_join(path, crowd, mode):
                answer = _conflict(path, "held, in lock-delay, or waited for")
            if answer is not None:
                return answer
        self.book.enqueue(path, Waiter(owner.session, owner.handle, mode, delay))
        self.settle(path, facts)
        if owner in crowd.holders:
            return self._held(path)
        if crowd.holders:
            facts.conflicts.append(Conflict(path, tuple(crowd.holders)))
        return _WAITING

    def withdraw(self, owner: LockOwner, path: str, *, died: bool) -> None:
        """Take the owner out of the holders or the queue, if it is there. The caller settles the lock afterwards."""
        crowd = self.book.crowd(path)
        if crowd is None:
            return
        if owner in crowd.waiters:
            self.book.leave_queue(path, owner)
        elif owner in crowd.holders:
            holder, row = self.book.part(path, owner), self._row(path)
            if died and holder.delay > row.delay:
                self.book.locks.put(path, msgspec.structs.replace(row, delay=holder.delay))

    def withdraw_session(self, session: SessionId, *, died: bool) -> list[str]:
        """Take all owners of a session out of all locks; return the locks the caller has to settle, in path order."""
        places = self.book.places_of(session)
        for path, handle in places:
            self.withdraw(LockOwner(session, handle), path, died=died)
        return list(dict.fromkeys(path for path, _ in places))

    def settle(self, path: str, facts: Facts) -> None:
        """Make of the lock what it must be after somebody came or went. The node may be gone, the lock out of use."""
        crowd = self.book.crowd(path)
        if crowd is None:
            return
        row = self._row(path)
        if row.mode is not None and not crowd.holders:
            row = LockRow(row.instance, None, row.delay, delayed=row.delay > 0)
            self.book.locks.put(path, row)
            if row.delayed:
                facts.delays.append(self._delay(path, row))
        assert not (row.delayed and crowd.holders), "a lock in lock-delay is held by nobody"
        if not row.delayed:
            self._grant(path, crowd, facts)
            if not crowd.holders and not crowd.waiters:
                self.book.end(path)

    def end_delay(self, path: str, instance: int, generation: int, facts: Facts) -> bool:
        """Open the lock, if this lock-delay is running; else, or if there is no such node, do nothing, return False."""
        row = self.book.row(path)
        if row is None or not row.delayed or row.instance != instance:
            return False
        if self._node(path).lock_generation != generation:
            return False
        self.book.locks.put(path, LockRow(instance))
        self.settle(path, facts)
        return True

    def orphan(self, path: str, facts: Facts) -> None:
        """The node is being deleted: its holders, then its waiters lose their places."""
        crowd = self.book.crowd(path)
        if crowd is None:
            return
        for owner in tuple(crowd.holders):
            self.book.part(path, owner)
            facts.orphaned.append(owner)
        for owner in tuple(crowd.waiters):
            self.book.leave_queue(path, owner)
            facts.orphaned.append(owner)
        self.book.end(path)

    def standing(self, owner: LockOwner, path: str) -> LockAnswer:
        """Where the owner stands with the lock."""
        crowd = self.book.crowd(path)
        if crowd is None:
            return NO_STANDING
        if owner in crowd.holders:
            return self._held(path)
        return _WAITING if owner in crowd.waiters else NO_STANDING

    def is_held_under(self, path: str, token: Token) -> bool:
        """Whether the lock is held now, in the hold period of this token. There may be no such node."""
        row = self.book.row(path)
        return row is not None and row.mode is not None and self._node(path).lock_token == token

    def info(self, path: str) -> LockInfo:
        """The whole state of the lock."""
        node, row, crowd = self._node(path), self.book.row(path), self.book.crowd(path)
        if row is None or crowd is None:
            return LockInfo(path, None, node.lock_generation, node.lock_token, (), (), False, 0)
        return LockInfo(
            path=path,
            mode=row.mode,
            generation=node.lock_generation,
            token=node.lock_token,
            holders=tuple(crowd.holders),
            waiters=tuple((owner, waiter.mode) for owner, (_, waiter) in crowd.waiters.items()),
            delayed=row.delayed,
            delay=max([row.delay, *(holder.delay for holder in crowd.holders.values())]),
        )

    def page(self, after: str, limit: int) -> tuple[tuple[LockInfo, ...], bool]:
        """The `limit` locks in use that follow the path `after`, in path order, and whether there are more."""
        names = self.book.paths
        assert limit > 0, "an empty page would never end"
        start = names.bisect_right(after)
        return tuple(self.info(path) for path in names.islice(start, start + limit)), start + limit < len(names)

    def delays(self) -> tuple[Delay, ...]:
        """All locks in lock-delay, in path order."""
        rows = self.book.locks.rows
        return tuple(self._delay(path, rows[path]) for path in self.book.paths if rows[path].delayed)

    def reindex(self) -> None:
        """Derive the indexes from the rows. Raises ValueError if the rows break an invariant."""
        for path, row in self.book.locks.rows.items():
            node = self._tree.get(path)
            if node is None or node.instance != row.instance:
                raise ValueError(f"the lock of {path} belongs to no node")
        self.book.reindex()

    def _second_request(
        self, owner: LockOwner, path: str, crowd: Crowd, mode: LockMode, wait: bool
    ) -> LockAnswer | Failure | None:
        """The answer to an owner that has a place with this lock already; None if it has none."""
        if owner in crowd.holders:
            return self._held(path) if mode is self._row(path).mode else _conflict(path, "held in another mode")
        if owner in crowd.waiters:
            same = wait and mode is crowd.waiters[owner][1].mode
            return _WAITING if same else _conflict(path, "waited for by the same handle")
        return None

    def _may_join(self, path: str, crowd: Crowd, mode: LockMode) -> bool:
        """Whether somebody who asks now would hold the lock, which is in use, at once."""
        return mode is self._row(path).mode is LockMode.SHARED and not crowd.waiters

    def _grant(self, path: str, crowd: Crowd, facts: Facts) -> None:
        """Grant the head of the queue, and all behind it who may hold with it."""
        granted: list[LockOwner] = []
        while crowd.waiters:
            owner = next(iter(crowd.waiters))
            mode, row = crowd.waiters[owner][1].mode, self._row(path)
            if row.mode is None:
                self._begin_period(path, mode)
            elif not (mode is row.mode is LockMode.SHARED):
                break
            self.book.join(path, owner, self.book.leave_queue(path, owner).delay)
            assert len(crowd.holders) == 1 or mode is LockMode.SHARED, "exclusive is alone"
            node = self._node(path)
            facts.grants.append(Grant(owner, path, node.instance, mode, node.lock_generation, node.lock_token))
            granted.append(owner)
        if granted and crowd.waiters:
            facts.conflicts.append(Conflict(path, tuple(granted)))

    def _begin_period(self, path: str, mode: LockMode) -> None:
        """From free to held: a new generation of this lock, a new token of the cell."""
        node = self._node(path)
        assert node.lock_token <= self._register.token, "tokens come from one counter"
        self._register.token += 1
        self._tree.replace(path, with_lock(node, node.lock_generation + 1, self._register.token))
        self.book.locks.put(path, LockRow(node.instance, mode))

    def _node(self, path: str) -> Node:
        return self._tree.nodes.rows[path]

    def _row(self, path: str) -> LockRow:
        return self.book.locks.rows[path]

    def _held(self, path: str) -> LockAnswer:
        node = self._node(path)
        return LockAnswer(LockStanding.HELD, node.lock_token, node.lock_generation)

    def _delay(self, path: str, row: LockRow) -> Delay:
        return Delay(path, row.instance, self._node(path).lock_generation, row.delay)


def _conflict(path: str, how: str) -> Failure:
    return Failure(ErrorCode.LOCK_CONFLICT, f"the lock of {quoted(path)} is {how}")
