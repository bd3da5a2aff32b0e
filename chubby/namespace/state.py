"""All state of the machine in one place, and how a draft becomes part of it.

::

    State ─┬─ register   single values and counters
           ├─ tree       tables node, open
           ├─ locks      tables lock, holder, waiter
           ├─ sessions   tables session, reply
           └─ history    table  history

The digest is the sum over all of it (see `table`).
"""

from __future__ import annotations

from chubby.namespace.draft import Add, Draft, Drop, Enter, Leave, Replace, Step
from chubby.namespace.facts import Facts
from chubby.namespace.history import History
from chubby.namespace.locks import Locks
from chubby.namespace.register import Register
from chubby.namespace.sessions import Sessions
from chubby.namespace.table import MODULUS, AnyTable, mark_of
from chubby.namespace.tree import Tree

__all__ = ["State"]


class State:
    """The parts, and the order of their tables in digest, scrub and snapshot."""

    __slots__ = ("history", "locks", "register", "sessions", "tables", "tree")

    def __init__(self, register: Register) -> None:
        """No rows at all, not even a root."""
        self.register = register
        self.tree = Tree()
        self.locks = Locks(register, self.tree)
        self.sessions = Sessions(register)
        self.history = History(register)
        book = self.locks.book
        self.tables: tuple[AnyTable, ...] = (
            self.tree.nodes,
            self.tree.opens,
            book.locks,
            book.holders,
            book.waiters,
            self.sessions.table,
            self.sessions.replies,
            self.history.table,
        )

    def digest(self) -> int:
        """The multiset hash of all rows and of the register."""
        return (sum(table.total for table in self.tables) + mark_of(self.register)) % MODULUS

    def commit(self, draft: Draft, facts: Facts) -> None:
        """Let the draft come true: the tree, the locks of nodes that go, revision and history."""
        assert draft.revision == self.register.revision + 1, "a draft is of the state it is committed to"
        assert draft.instance >= self.register.instance, "instances only grow"
        for step in draft.steps:
            self._carry_out(step, facts)
        self.register.instance = draft.instance
        if draft.changes:
            self.register.revision = draft.revision
            self.history.extend(draft.changes)
            facts.changes.extend(draft.changes)

    def _carry_out(self, step: Step, facts: Facts) -> None:
        match step:
            case Add():
                self.tree.add(step.path, step.node)
            case Replace():
                self.tree.replace(step.path, step.node)
            case Drop():
                self.locks.orphan(step.path, facts)
                self.tree.remove(step.path)
            case Enter():
                self.tree.enter(step.path, step.owner)
            case Leave():
                self.tree.leave(step.path, step.owner)

    def reindex(self) -> None:
        """Derive all indexes from the rows. Raises ValueError if the rows break an invariant."""
        self.tree.reindex()
        self.locks.reindex()
        self.sessions.reindex()
        self.history.reindex()
