"""A new cell with the nodes of an old one: what restoring a backup means (DESIGN §4 Token).

The backup is older than the end of the cell it was taken of, and nobody knows how much that cell has given out since:
tokens, instances, revisions, generations. Clients, and servers that check sequencers, may remember any of it. So the
new cell is another one, with its own id and key, and every counter starts at `max(own, floor)`, with a floor (seconds
since 1970, shifted by 20 bits) that no counter reaches by counting: that were a million a second since 1970.

| what                                              | becomes                                                     |
|---------------------------------------------------|-------------------------------------------------------------|
| revision, instances, tokens, sessions             | `max(own, floor)`                                           |
| each node's generations and sequence counter      | `max(own, floor)`                                           |
| permanent nodes, and their instances              | stay                                                        |
| ephemerals                                        | go, unless something permanent is below them                |
| sessions, replies, locks, open-sets, history      | gone                                                        |
| slot, epoch, master                               | 0: the log of the new cell is empty                         |
| limits, lease caps, administrators, version       | stay                                                        |
"""

from __future__ import annotations

import msgspec

from chubby import paths
from chubby.namespace.nodes import Node
from chubby.namespace.register import Register
from chubby.namespace.state import State
from chubby.types.identity import CellId

__all__ = ["reborn"]


def reborn(old: State, *, cell: CellId, key: bytes, counter_floor: int, name: str | None = None) -> State:
    """The state of a new cell with the permanent nodes of `old`. `counter_floor` is unix seconds << 20."""
    assert counter_floor >= 0, "seconds since 1970, shifted"
    before = old.register
    revision = max(before.revision, counter_floor)
    state = State(
        Register(
            cell=cell,
            name=before.name if name is None else name,
            admins=before.admins,
            limits=before.limits,
            caps=before.caps,
            keys=(key,),
            version=before.version,
            revision=revision,
            instance=max(before.instance, counter_floor),
            token=max(before.token, counter_floor),
            session=max(before.session, counter_floor),
            forgotten=revision,
        )
    )
    kept = _kept_by_permanent_nodes(old)
    for path, node in old.tree.nodes.rows.items():
        if not node.ephemeral or path in kept:
            state.tree.add(path, _raised(node, counter_floor))
    return state


def _kept_by_permanent_nodes(old: State) -> set[str]:
    """Every path above a permanent node (asked only whether it contains one, so its order is of no importance)."""
    kept: set[str] = set()
    for path, node in old.tree.nodes.rows.items():
        if not node.ephemeral:
            kept.update(paths.ancestors(path))
    return kept


def _raised(node: Node, floor: int) -> Node:
    """The node with every counter of its own at or above the floor."""
    stat = node.stat
    return msgspec.structs.replace(
        node,
        stat=msgspec.structs.replace(
            stat,
            content_generation=max(stat.content_generation, floor),
            acl_generation=max(stat.acl_generation, floor),
        ),
        sequence=max(node.sequence, floor),
        lock_generation=max(node.lock_generation, floor),
    )
