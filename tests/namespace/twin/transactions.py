"""Transactions as the twin sees them: on a copy of everything."""

from __future__ import annotations

import copy

from chubby import paths
from chubby.errors import BadPath, ErrorCode, Failure
from chubby.namespace.commands import MachineOperation, OpenCreated, OpenExisting, Transaction
from chubby.namespace.outcomes import Change, Reply, Transacted
from chubby.types.events import EventKind
from chubby.types.nodes import AclNames, NodeKind
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    OperationResult,
    Read,
    Remove,
    TransactionResult,
    Write,
    WriteAcl,
    WriteAttributes,
)
from tests.namespace.twin.world import Refused, TwinNode, World


def transact(world: World, session: int, transaction: Transaction) -> Reply:
    """Copy everything, try, and take the copy back if it fails."""
    size = len(transaction.guards) + len(transaction.then) + len(transaction.otherwise)
    if size > 128:
        return Failure(ErrorCode.TOO_LARGE, "")
    failed = None
    for index, guard in enumerate(transaction.guards):
        if failed is None and not holds(world, guard):
            failed = index
    branch = transaction.then if failed is None else transaction.otherwise
    before = copy_of(world.nodes), world.instance, list(world.told), list(world.orphaned)
    world.fresh, world.last_made = [], None
    results = []
    for index, operation in enumerate(branch):
        try:
            results.append(perform(world, session, operation))
        except Refused as refused:
            world.nodes, world.instance, world.told, world.orphaned = before
            world.fresh = []
            return Transacted(TransactionResult(failed is None, world.revision, (), failed, index, refused.failure))
    for node in world.nodes.values():
        if node.instance in world.fresh and node.ephemeral and not node.opens:
            node.opens.append((session, 0))
    world.fresh = []
    revision = world.revision + 1 if world.told else world.revision
    return Transacted(TransactionResult(failed is None, revision, tuple(results), failed))


def copy_of(nodes: dict[str, TwinNode]) -> dict[str, TwinNode]:
    """All nodes, and every list and dict in them, once more."""
    copied = {path: copy.copy(node) for path, node in nodes.items()}
    for node in copied.values():
        node.attributes = dict(node.attributes)
        node.opens = list(node.opens)
        node.holders = list(node.holders)
        node.waiters = list(node.waiters)
    return copied


def holds(world: World, guard: Guard) -> bool:
    """Whether a guard holds."""
    node = world.nodes.get(guard.path)
    if isinstance(guard, Absent):
        return node is None
    if node is None:
        return False
    if isinstance(guard, Exists):
        return guard.instance in (None, node.instance)
    if isinstance(guard, GenerationIs):
        return guard.generation == node.content_generation
    if isinstance(guard, AclGenerationIs):
        return guard.generation == node.acl_generation
    if isinstance(guard, ContentIs):
        return guard.contents == node.contents
    return bool(node.holders) and guard.token == node.lock_token


def perform(world: World, session: int, operation: MachineOperation) -> OperationResult:
    """One operation."""
    if isinstance(operation, Create):
        return create_node(world, operation)
    if isinstance(operation, OpenCreated | OpenExisting):
        return open_node(world, session, operation)
    node = world.nodes.get(operation.path)
    if node is None:
        raise Refused(ErrorCode.NO_NODE)
    if isinstance(operation, Read):
        return OperationResult(operation.path, node.stat(), node.contents)
    if isinstance(operation, Remove):
        if operation.path in ("/", "/acl"):
            raise Refused(ErrorCode.BAD_ARGUMENT)
        if world.children(operation.path):
            raise Refused(ErrorCode.NOT_EMPTY)
        world.delete(operation.path)
        world.reap()
        return OperationResult(operation.path)
    change_node(world, operation.path, node, operation)
    return OperationResult(operation.path, node.stat())


def change_node(world: World, path: str, node: TwinNode, operation: Write | WriteAcl | WriteAttributes) -> None:
    """The operations that change a node that is there."""
    size = node.size()
    if isinstance(operation, Write):
        check_contents(world, operation.contents)
        node.contents = operation.contents
        node.content_generation += 1
        kind, generation = EventKind.CONTENTS_MODIFIED, node.content_generation
    elif isinstance(operation, WriteAcl):
        check_acl(operation.acl)
        node.acl = operation.acl
        node.acl_generation += 1
        kind, generation = EventKind.ACL_MODIFIED, node.acl_generation
    else:
        attributes = merged(node.attributes, operation.attributes)
        if attributes == node.attributes:
            return
        node.attributes = attributes
        kind, generation = EventKind.ATTRIBUTES_MODIFIED, node.content_generation
    if world.limits.total_bytes and node.size() > size and world.bytes_used() > world.limits.total_bytes:
        raise Refused(ErrorCode.QUOTA_EXCEEDED)
    node.modified, node.modified_ms = world.revision + 1, world.time_ms
    world.told.append(Change(world.revision + 1, kind, path, node.instance, generation))


def create_node(world: World, create: Create) -> OperationResult:
    """Make a node, or find it."""
    path = create.path + "0000000000" if create.sequential else create.path
    try:
        paths.validate(path)
    except BadPath:
        raise Refused(ErrorCode.BAD_PATH) from None
    directory = "/" if path == "/" else path[: path.rindex("/")] or "/"
    parent = world.nodes.get(directory)
    if parent is None:
        raise Refused(ErrorCode.NO_NODE)
    if create.sequential:
        tried = 0
        while create.path + str(parent.sequence).zfill(10) in world.nodes:
            parent.sequence += min(2**tried, 2**20)
            tried += 1
            if tried == 64:
                raise Refused(ErrorCode.NODE_EXISTS)
        path = create.path + str(parent.sequence).zfill(10)
        parent.sequence += 1
    world.last_made = path
    if path in world.nodes:
        if not create.may_exist:
            raise Refused(ErrorCode.NODE_EXISTS)
        return OperationResult(path, world.nodes[path].stat())
    check_contents(world, create.contents)
    if create.acl is not None:
        check_acl(create.acl)
    attributes = merged({}, create.attributes)
    now, time_ms = world.revision + 1, world.time_ms
    acl = parent.acl if create.acl is None else create.acl
    node = TwinNode(
        create.kind,
        create.ephemeral,
        world.instance + 1,
        create.contents,
        now,
        now,
        time_ms,
        time_ms,
        acl,
        attributes,
    )
    siblings, limits = world.children(directory), world.limits
    if limits.nodes and len(world.nodes) + 1 > limits.nodes:
        raise Refused(ErrorCode.QUOTA_EXCEEDED)
    if limits.children and len(siblings) + 1 > limits.children:
        raise Refused(ErrorCode.QUOTA_EXCEEDED)
    if limits.total_bytes and node.size() > 0 and world.bytes_used() + node.size() > limits.total_bytes:
        raise Refused(ErrorCode.QUOTA_EXCEEDED)
    world.instance += 1
    world.nodes[path] = node
    parent.kind = NodeKind.DIRECTORY
    world.fresh.append(node.instance)
    world.told.append(Change(now, EventKind.CREATED, path, node.instance, 1))
    return OperationResult(path, node.stat(), created=True)


def open_node(world: World, session: int, operation: OpenCreated | OpenExisting) -> OperationResult:
    """Enter an open-set."""
    path = world.last_made if isinstance(operation, OpenCreated) else operation.path
    if path is None or operation.handle < 1:
        raise Refused(ErrorCode.BAD_ARGUMENT)
    node = world.nodes.get(path)
    if node is None:
        raise Refused(ErrorCode.NO_NODE)
    if isinstance(operation, OpenExisting) and operation.instance != node.instance:
        raise Refused(ErrorCode.HANDLE_INVALID)
    if node.ephemeral and (session, operation.handle) not in node.opens:
        node.opens.append((session, operation.handle))
    return OperationResult(path, node.stat())


def merged(before: dict[str, bytes], changes: dict[str, bytes]) -> dict[str, bytes]:
    """The attributes after a change of some."""
    after = dict(before)
    for name, value in changes.items():
        if name == "":
            raise Refused(ErrorCode.BAD_ARGUMENT)
        after[name] = value
    after = {name: after[name] for name in after if after[name] != b""}
    if sum(len(name.encode()) + len(value) for name, value in after.items()) > 1024:
        raise Refused(ErrorCode.TOO_LARGE)
    return after


def check_contents(world: World, contents: bytes) -> None:
    """Not too large?"""
    if world.limits.content and len(contents) > world.limits.content:
        raise Refused(ErrorCode.TOO_LARGE)


def check_acl(acl: AclNames) -> None:
    """All three names legal?"""
    for name in (acl.read, acl.write, acl.change):
        try:
            paths.validate_acl_name(name)
        except BadPath:
            raise Refused(ErrorCode.BAD_ARGUMENT) from None
