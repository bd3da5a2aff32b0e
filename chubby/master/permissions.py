"""Who may do what: ACLs are checked at Open, and per path in a transaction (DESIGN §4 ACLs, §5 Handles).

| needed for                                   | the principal must be in                 |
|----------------------------------------------|------------------------------------------|
| opening for READ, WRITE, CHANGE_ACL          | the node's read, write, change list      |
| creating a node                              | the parent's write list, and the above   |
| writing, removing, locking; changing ACLs    | the node's write list; its change list   |
| comparing content or generations, reading    | the node's read list                     |

There are no path-dependent permissions (paper §2.2): only the node itself counts, and the parent of a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chubby.errors import ErrorCode, Failure
from chubby.namespace.machine import Machine
from chubby.paths import ROOT, parent
from chubby.types.calls import Mode
from chubby.types.nodes import AclNames
from chubby.types.transaction import (
    AclGenerationIs,
    ContentIs,
    Create,
    GenerationIs,
    Guard,
    Operation,
    Read,
    Remove,
    Write,
    WriteAcl,
    WriteAttributes,
)

_NEEDED: Final[dict[type[Operation], Mode]] = {
    Read: Mode.READ,
    Write: Mode.WRITE,
    WriteAttributes: Mode.WRITE,
    Remove: Mode.WRITE,
    WriteAcl: Mode.CHANGE_ACL,
}


def denied(machine: Machine, acl: AclNames, principal: str, mode: Mode, path: str) -> Failure | None:
    """Why the principal may not use a node with these lists in that mode; None if it may."""
    lists = ((Mode.READ, acl.read), (Mode.WRITE, acl.write), (Mode.CHANGE_ACL, acl.change))
    for wanted, name in lists:
        if wanted in mode and not machine.admits(name, principal):
            return Failure(ErrorCode.PERMISSION_DENIED, f"{path}: the list {name!r} does not admit {principal!r}")
    return None


def denied_transaction(
    machine: Machine, principal: str, guards: Sequence[Guard], branches: Sequence[Sequence[Operation]]
) -> Failure | None:
    """Why the principal may not ask for that transaction; None if it may. What is not there needs no permission."""
    for guard in guards:
        if isinstance(guard, GenerationIs | AclGenerationIs | ContentIs):
            node = machine.node(guard.path)
            refusal = None if node is None else denied(machine, node.acl, principal, Mode.READ, guard.path)
            if refusal is not None:
                return refusal
    for operations in branches:
        refusal = _denied_branch(machine, principal, operations)
        if refusal is not None:
            return refusal
    return None


def _denied_branch(machine: Machine, principal: str, operations: Sequence[Operation]) -> Failure | None:
    """Nodes that earlier operations of the branch make count with the lists they are given."""
    made: dict[str, AclNames] = {}
    for operation in operations:
        path, mode = operation.path, Mode.WRITE
        if isinstance(operation, Create):
            if path == ROOT:
                continue
            path = parent(path)
        else:
            mode = _NEEDED[type(operation)]
        acl = _lists_of(machine, path, made)
        if acl is None:
            continue
        refusal = denied(machine, acl, principal, mode, path)
        if refusal is not None:
            return refusal
        if isinstance(operation, Create) and not operation.sequential and machine.node(operation.path) is None:
            made[operation.path] = operation.acl or acl
    return None


def _lists_of(machine: Machine, path: str, made: dict[str, AclNames]) -> AclNames | None:
    node = machine.node(path)
    return made.get(path) if node is None else node.acl
