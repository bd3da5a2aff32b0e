"""Locks as the twin sees them: a list of holders, a list of waiters."""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import AcquireLock
from chubby.namespace.outcomes import Conflict, Delay, Grant, LockAnswer, LockStanding, Reply
from chubby.types.nodes import LockMode, LockOwner
from tests.namespace.twin.world import Owner, TwinNode, World


def standing(node: TwinNode, owner: Owner) -> LockAnswer:
    """Where the owner stands."""
    if owner in [holder for holder, _ in node.holders]:
        return LockAnswer(LockStanding.HELD, node.lock_token, node.lock_generation)
    if owner in [waiter for waiter, _, _ in node.waiters]:
        return LockAnswer(LockStanding.WAITING)
    return LockAnswer(LockStanding.NONE)


def acquire(world: World, path: str, node: TwinNode, owner: Owner, action: AcquireLock) -> Reply:
    """Everybody queues; whoever is at the head is granted."""
    if action.delay < 0 or action.delay > 60_000_000_000:
        return Failure(ErrorCode.BAD_ARGUMENT, "")
    conflict = Failure(ErrorCode.LOCK_CONFLICT, "")
    before = standing(node, owner)
    if before.standing == LockStanding.HELD:
        return before if action.mode == node.mode else conflict
    if before.standing == LockStanding.WAITING:
        mode = next(mode for waiter, mode, _ in node.waiters if waiter == owner)
        return before if action.wait and action.mode == mode else conflict
    shares = action.mode == node.mode == LockMode.SHARED
    free = not node.holders and not node.delayed
    if not action.wait and (node.waiters or not (free or shares)):
        return conflict
    node.waiters.append((owner, action.mode, action.delay))
    settle(world, path)
    after = standing(node, owner)
    if after.standing == LockStanding.WAITING and node.holders:
        world.conflicts.append(Conflict(path, tuple(LockOwner(*holder) for holder, _ in node.holders)))
    return after


def withdraw(node: TwinNode, owner: Owner, *, died: bool) -> None:
    """The owner is no holder and no waiter any more."""
    for holder, delay in node.holders:
        if holder == owner and died:
            node.owed = max(node.owed, delay)
    node.holders = [entry for entry in node.holders if entry[0] != owner]
    node.waiters = [entry for entry in node.waiters if entry[0] != owner]


def settle(world: World, path: str) -> None:
    """Free the lock if nobody holds it any more, then grant while the head of the queue may be granted."""
    node = world.nodes[path]
    if node.mode is not None and not node.holders:
        node.mode = None
        if node.owed > 0:
            node.delayed = True
            world.delays.append(Delay(path, node.instance, node.lock_generation, node.owed))
    granted = []
    while node.waiters and not node.delayed:
        owner, mode, delay = node.waiters[0]
        if node.mode is not None and (node.mode, mode) != (LockMode.SHARED, LockMode.SHARED):
            break
        if node.mode is None:
            node.mode = mode
            node.lock_generation += 1
            world.token += 1
            node.lock_token = world.token
        node.waiters.pop(0)
        node.holders.append((owner, delay))
        granted.append(LockOwner(*owner))
        world.grants.append(Grant(LockOwner(*owner), path, node.instance, mode, node.lock_generation, node.lock_token))
    if granted and node.waiters:
        world.conflicts.append(Conflict(path, tuple(granted)))
