"""Nodes as immutable values: what a node holds, and the few ways in which one value follows another (DESIGN §4 Node).

A node never changes: every operation makes the next value, which shares whatever stayed the same. That is why a
snapshot is a dict copy, why a reader may keep what it was given, and why an operation that fails leaves no trace.

| number               | counts                                                | begins at                     |
|----------------------|-------------------------------------------------------|-------------------------------|
| `instance`           | nodes ever made in the cell, one counter for all      | above that of any other node  |
| `content_generation` | contents this instance has had                        | 1                             |
| `acl_generation`     | triples of ACL names this instance has had            | 1                             |
| `lock_generation`    | hold periods of this instance's lock (free → held)    | 0, it was never held          |
| `lock_token`         | nothing: the token of the current or last hold period | 0                             |
| `sequence`           | sequential children ever made below this instance     | 0                             |

`kind` forbids nothing, but it can be relied upon in one way: a node that got a child is a directory from then on, also
when its children have gone. So whoever has to show a node as one or the other, a mount for instance, needs nothing but
its metadata. It never changes back, and changes neither a generation nor `modified`: nothing the node holds is another.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping

import msgspec

from chubby.errors import BadArgument, TooLarge
from chubby.types.identity import Revision, Token
from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import AclNames, NodeKind, Stat
from chubby.types.transaction import Create

__all__ = [
    "NO_ATTRIBUTES",
    "Attributes",
    "Node",
    "as_directory",
    "attributes_size",
    "checksum_of",
    "digested",
    "intact",
    "merge_attributes",
    "new_node",
    "share_acl",
    "shared",
    "with_acl",
    "with_attributes",
    "with_contents",
    "with_lock",
    "with_sequence",
]

Attributes = dict[str, bytes]
NO_ATTRIBUTES: Attributes = {}
"""The empty map that all nodes without attributes share. Nobody changes a node's map in place."""


class Node(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One node at one moment. `stat` is what clients may cache of it, the last three fields never leave the machine."""

    stat: Stat
    contents: bytes
    sequence: int = 0
    lock_generation: int = 0
    lock_token: Token = 0

    @property
    def instance(self) -> int:
        """Which node this is, among all that ever bore its name."""
        return self.stat.instance

    @property
    def ephemeral(self) -> bool:
        """Whether it goes when nobody has it open and nothing is below it."""
        return self.stat.ephemeral

    @property
    def acl(self) -> AclNames:
        """The names of its three access-control lists."""
        return self.stat.acl

    @property
    def size(self) -> int:
        """Bytes that count against `Limits.total_bytes`: content plus attributes."""
        stat = self.stat
        return stat.length + attributes_size(stat.attributes) if stat.attributes else stat.length


def new_node(create: Create, acl: AclNames, *, instance: int, revision: Revision, time_ms: int) -> Node:
    """The first value of the node that `create` asks for. Raises as `merge_attributes` does."""
    assert instance > 0, "0 names no node"
    contents = create.contents
    stat = Stat(
        kind=create.kind,
        ephemeral=create.ephemeral,
        instance=instance,
        content_generation=1,
        acl_generation=1,
        checksum=checksum_of(contents),
        length=len(contents),
        created=revision,
        modified=revision,
        created_ms=time_ms,
        modified_ms=time_ms,
        acl=acl,
        attributes=merge_attributes(NO_ATTRIBUTES, create.attributes),
    )
    return Node(stat, contents)


def with_contents(node: Node, contents: bytes, revision: Revision, time_ms: int) -> Node:
    """The value after its content was replaced."""
    stat = msgspec.structs.replace(
        node.stat,
        content_generation=node.stat.content_generation + 1,
        checksum=checksum_of(contents),
        length=len(contents),
        modified=revision,
        modified_ms=time_ms,
    )
    return msgspec.structs.replace(node, stat=stat, contents=contents)


def with_acl(node: Node, acl: AclNames, revision: Revision, time_ms: int) -> Node:
    """The value after its ACL names were replaced."""
    stat = msgspec.structs.replace(
        node.stat, acl=acl, acl_generation=node.stat.acl_generation + 1, modified=revision, modified_ms=time_ms
    )
    return msgspec.structs.replace(node, stat=stat)


def with_attributes(node: Node, attributes: Attributes, revision: Revision, time_ms: int) -> Node:
    """The value after its attribute map became `attributes`."""
    stat = msgspec.structs.replace(node.stat, attributes=attributes, modified=revision, modified_ms=time_ms)
    return msgspec.structs.replace(node, stat=stat)


def as_directory(node: Node) -> Node:
    """The value after it got a child. Clients see it in listings and mounts; generations, revisions and times stay."""
    return msgspec.structs.replace(node, stat=msgspec.structs.replace(node.stat, kind=NodeKind.DIRECTORY))


def with_sequence(node: Node, sequence: int) -> Node:
    """The value after a sequential child was numbered; clients see no difference."""
    assert sequence > node.sequence, "a sequence counter only grows"
    return msgspec.structs.replace(node, sequence=sequence)


def with_lock(node: Node, generation: int, token: Token) -> Node:
    """The value after a hold period of its lock began; clients see no difference in what they may cache."""
    assert generation > node.lock_generation, "a lock generation only grows"
    assert token > node.lock_token, "a token only grows"
    return msgspec.structs.replace(node, lock_generation=generation, lock_token=token)


def digested(node: Node) -> object:
    """What of a node enters its mark: everything, its content by the checksum, so that no change of metadata costs
    the hash of a large content.
    """
    return (msgspec.structs.astuple(node.stat), node.sequence, node.lock_generation, node.lock_token)


def intact(node: Node) -> bool:
    """Whether the content is the one its length and checksum speak of."""
    return len(node.contents) == node.stat.length and checksum_of(node.contents) == node.stat.checksum


def shared(node: Node) -> Node:
    """An equal node that shares its ACL names and its empty attribute map with others."""
    stat = msgspec.structs.replace(
        node.stat, acl=share_acl(node.stat.acl), attributes=node.stat.attributes or NO_ATTRIBUTES
    )
    return msgspec.structs.replace(node, stat=stat)


def checksum_of(contents: bytes) -> int:
    """64 bits of BLAKE2b over the content, as a number (the paper's content checksum)."""
    return int.from_bytes(hashlib.blake2b(contents, digest_size=8).digest(), "big")


def attributes_size(attributes: Mapping[str, bytes]) -> int:
    """Bytes of names and values, which is what `ATTRIBUTES_LIMIT` and `Limits.total_bytes` count."""
    return sum(len(name.encode()) + len(value) for name, value in attributes.items())


def merge_attributes(before: Attributes, changes: Mapping[str, bytes]) -> Attributes:
    """`before` with `changes` made, in the order of names, so that equal maps are equal byte for byte.

    An empty value removes its name. Raises BadArgument for an empty name, TooLarge beyond `ATTRIBUTES_LIMIT`.
    """
    if not changes:
        return before
    if "" in changes:
        raise BadArgument("an attribute has no name")
    assert list(before) == sorted(before), "attributes are kept in the order of their names"
    merged = {**before, **changes}
    after = {name: merged[name] for name in sorted(merged) if merged[name]}
    size = attributes_size(after)
    if size > ATTRIBUTES_LIMIT:
        raise TooLarge(f"the attributes take {size} bytes, the limit is {ATTRIBUTES_LIMIT}")
    return after or NO_ATTRIBUTES


@functools.lru_cache(maxsize=1024)
def share_acl(acl: AclNames) -> AclNames:
    """An equal value that other nodes hold already: a cell has few different triples and many nodes."""
    return acl
