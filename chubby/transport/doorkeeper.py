"""Who is let in: this replica's identity, the replicas it expects, and the judgement of a Hello. Sans-IO.

| own cell | peer's cell | judgement                                                        |
|----------|-------------|------------------------------------------------------------------|
| c        | c           | admitted                                                         |
| c        | d           | WRONG_CELL                                                       |
| c        | blank       | admitted as *joining*: it learns c from the Hello it gets        |
| blank    | c           | admitted, and c is learned: from now on this is the own cell     |
| blank    | blank       | BOTH_BLANK, politely: one of them will learn the cell elsewhere  |

Only replicas of the address book are expected; being blank is no way around that.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chubby.paxos.configuration import Identity
from chubby.transport.greetings import OLDEST_VERSION, PROTOCOL_VERSION, UNKNOWN_CELL, Hello, Reason
from chubby.types.identity import CellId, ReplicaId


class Doorkeeper:
    """The one judgement of all links of a mesh; what one link teaches, the next one is judged by."""

    def __init__(self, identity: Identity, expected: Iterable[ReplicaId], nonce: int) -> None:
        """`nonce` is random for each run of the process."""
        self._identity = identity
        self._nonce = nonce
        self._expected = frozenset(expected)

    @property
    def identity(self) -> Identity:
        """Who this replica is, as far as it knows by now."""
        return self._identity

    def expect(self, expected: Iterable[ReplicaId]) -> None:
        """Let in these replicas from now on, and no others."""
        self._expected = frozenset(expected)

    def hello(self) -> Hello:
        """What this replica says of itself."""
        own = self._identity
        return Hello(PROTOCOL_VERSION, OLDEST_VERSION, own.cell, own.replica, own.incarnation, self._nonce)

    def judge(self, hello: Hello, dialled: ReplicaId | None) -> Reason | None:
        """Why the sender of `hello` is not let in, None if it is.

        `dialled` is the replica that the address book promises at the other end of a dialled link.
        """
        own = self._identity
        if hello.version < OLDEST_VERSION or hello.oldest > PROTOCOL_VERSION:
            return Reason.VERSION
        if hello.replica == own.replica:
            return Reason.SELF if hello.nonce == self._nonce else Reason.TWIN
        if hello.replica not in self._expected:
            return Reason.UNKNOWN_REPLICA
        if dialled is not None and hello.replica != dialled:
            return Reason.WRONG_REPLICA
        if hello.cell == own.cell:
            return Reason.BOTH_BLANK if own.cell == UNKNOWN_CELL else None
        return None if UNKNOWN_CELL in (hello.cell, own.cell) else Reason.WRONG_CELL

    def learn(self, hello: Hello) -> CellId | None:
        """The cell, if this replica was blank and learns it from an admitted `hello`."""
        if self._identity.cell != UNKNOWN_CELL:
            return None
        assert hello.cell != UNKNOWN_CELL, "two blank replicas do not admit each other"
        self._identity = msgspec.structs.replace(self._identity, cell=hello.cell)
        return hello.cell

    def is_joining(self, hello: Hello) -> bool:
        """Whether an admitted peer did not know its cell."""
        return hello.cell == UNKNOWN_CELL
