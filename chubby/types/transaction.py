"""The one mutating command's vocabulary: guards, operations, results (DESIGN §4; Paxos Made Live, MultiOp).

A transaction is `if all guards hold: then, else: otherwise`. Operations of the chosen branch run in order and all or
none take effect: if one fails (say, a create of an existing node), nothing changes and the failure is the result. Paths
are inside the cell.
"""

from __future__ import annotations

import msgspec

from chubby.errors import Failure
from chubby.types.identity import Revision, Token
from chubby.types.nodes import AclNames, NodeKind, Stat


class Exists(msgspec.Struct, frozen=True, tag="exists"):
    """Holds if the node is there; with `instance`, only if it is that instance."""

    path: str
    instance: int | None = None


class Absent(msgspec.Struct, frozen=True, tag="absent"):
    """Holds if no node of that name is there."""

    path: str


class GenerationIs(msgspec.Struct, frozen=True, tag="generation"):
    """Holds if the node is there with this content generation."""

    path: str
    generation: int


class AclGenerationIs(msgspec.Struct, frozen=True, tag="acl_generation"):
    """Holds if the node is there with this ACL generation."""

    path: str
    generation: int


class ContentIs(msgspec.Struct, frozen=True, tag="content"):
    """Holds if the node is there and its content is exactly this."""

    path: str
    contents: bytes


class TokenIs(msgspec.Struct, frozen=True, tag="token"):
    """Holds if the node's lock is held now, in the hold period of this token (a valid sequencer, or one's own lock)."""

    path: str
    token: Token


Guard = Exists | Absent | GenerationIs | AclGenerationIs | ContentIs | TokenIs


class Create(msgspec.Struct, frozen=True, tag="create"):
    """Make a node; its parent must exist, and is a directory from then on.

    `sequential` appends the parent's sequence counter, ten digits, to the name. `acl` None inherits the parent's names.
    An ephemeral node is deleted when no session has it open and it has no children. `may_exist` makes an existing
    node a success that changes nothing.
    """

    path: str
    contents: bytes = b""
    kind: NodeKind = NodeKind.FILE
    ephemeral: bool = False
    sequential: bool = False
    may_exist: bool = False
    acl: AclNames | None = None
    attributes: dict[str, bytes] = {}


class Write(msgspec.Struct, frozen=True, tag="write"):
    """Replace the whole content of an existing node."""

    path: str
    contents: bytes


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """Delete a node without children; whoever waits for its lock gets HANDLE_INVALID."""

    path: str


class WriteAcl(msgspec.Struct, frozen=True, tag="write_acl"):
    """Replace the three ACL names of a node."""

    path: str
    acl: AclNames


class WriteAttributes(msgspec.Struct, frozen=True, tag="write_attributes"):
    """Change single attributes of a node; an empty value removes the name."""

    path: str
    attributes: dict[str, bytes]


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Read content and metadata within the transaction."""

    path: str


Operation = Create | Write | Remove | WriteAcl | WriteAttributes | Read


class OperationResult(msgspec.Struct, frozen=True):
    """What one operation gave: the node's full name and its metadata afterwards (None: it is gone), content only
    for Read.

    `created` tells a Create that made the node from one that found it there.
    """

    path: str
    stat: Stat | None = None
    contents: bytes | None = None
    created: bool = False


class TransactionResult(msgspec.Struct, frozen=True):
    """What a transaction gave.

    `succeeded`: which branch ran. `revision`: of this transaction if it changed anything, else the cell's current one.
    `failure` and `failed_operation` (index in the branch) tell why nothing changed; `failed_guard` is the index
    of the first guard that did not hold.
    """

    succeeded: bool
    revision: Revision
    results: tuple[OperationResult, ...] = ()
    failed_guard: int | None = None
    failed_operation: int | None = None
    failure: Failure | None = None
