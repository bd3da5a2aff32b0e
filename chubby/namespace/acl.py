"""Access-control lists: who is admitted (DESIGN §4 ACLs; paper §2.2).

A list is the file `/acl/NAME`, one principal a line; spaces around it do not count, nor do empty lines and lines that
begin with `#`. `anyone` is built in and admits everybody. Administrators of the cell are admitted by every list, also
by one that has no file, which admits nobody else: so a typing error locks no cell for ever, and opens none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chubby import paths
from chubby.namespace.nodes import Node
from chubby.namespace.tree import Tree
from chubby.types.nodes import ANYONE, AclNames

__all__ = ["ADMINISTRATORS", "FIRST_ACL", "GUARDED_ACL", "AccessLists"]

ADMINISTRATORS: Final = "administrators"
"""A list without a file, unless somebody makes one: it admits the administrators of the cell."""
FIRST_ACL: Final = AclNames(ANYONE, ANYONE, ADMINISTRATORS)
"""Of the root of a new cell, hence of all below it."""
GUARDED_ACL: Final = AclNames(ANYONE, ADMINISTRATORS, ADMINISTRATORS)
"""Of `/acl`: who may write there could admit himself to anything."""

_REMEMBERED: Final = 1024


class AccessLists:
    """Answers from the files below `/acl`; remembers what it has parsed for as long as the file is the same value."""

    __slots__ = ("_parsed", "_tree")

    def __init__(self, tree: Tree) -> None:
        """Nothing parsed yet."""
        self._tree = tree
        self._parsed: dict[str, tuple[Node, frozenset[bytes]]] = {}

    def admits(self, acl: str, principal: str, administrators: Sequence[str]) -> bool:
        """Whether the list named `acl` admits the principal."""
        if acl == ANYONE or principal in administrators:
            return True
        node = self._tree.get(f"{paths.ACL_DIRECTORY}/{acl}")
        return node is not None and principal.encode() in self._members(acl, node)

    def _members(self, acl: str, node: Node) -> frozenset[bytes]:
        assert self._tree.get(f"{paths.ACL_DIRECTORY}/{acl}") is node, "parsed is what is there"
        remembered = self._parsed.get(acl)
        if remembered is None or remembered[0] is not node:
            if len(self._parsed) >= _REMEMBERED:
                self._parsed.clear()
            lines = (line.strip() for line in node.contents.split(b"\n"))
            members = frozenset(line for line in lines if line and not line.startswith(b"#"))
            remembered = self._parsed[acl] = (node, members)
        return remembered[1]
