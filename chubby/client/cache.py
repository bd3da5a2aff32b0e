"""The consistent cache of one session (DESIGN §5 Three leases, Invalidate first; paper §2.7).

What is cached of a node: its metadata and content or its *absence* (`CacheKind.NODE`), and the names of its children
(`CacheKind.CHILDREN`). The state of its lock never is.

**One writer, many readers, no lock.** The session's loop alone changes the cache; any thread may look things up. That
is linearizable because of the order of a reader's three steps, which `node` and `listing` rely on:

1. the caller reads the clock (`now`) after it was called,
2. the reader compares `now` with `live_until`,
3. then it looks the entry up.

An entry found in step 3 was either there at `now`, under leases live at `now`, so it was current at `now`; or it came
later, so it was current at some instant between `now` and the return. For this the writer must drop *before* it raises
`live_until`: invalidations precede the renewal on the stream, and are applied in that order.

A lapse of the cache lease empties nothing: what the master would have invalidated meanwhile it delivers before the
next renewal, so that entries untouched by it become good again. Only jeopardy and Resume empty the cache.

A listing is several entries; `_drops` counts every removal, so that a reader who saw one happen takes a miss.

**Own changes.** The writer drops its copies before it sends, under the number of its call. An older call still in
flight must not bring them back, although its answer may well be marked cacheable: `permits` says so, per path.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Final

import msgspec

from chubby.client.lease import Lease
from chubby.types.identity import CallNumber
from chubby.types.limits import READ_DIR_LIMIT
from chubby.types.nodes import DirEntry, NodeKind, Stat
from chubby.types.results import Listing
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.time import Duration, Instant

CACHE_BYTES: Final = 64 * 1024 * 1024
"""Default bound of what a session caches; the oldest half goes when it is passed."""
_ENTRY_BYTES: Final = 500
"""What an entry costs besides its content, roughly."""


class NodeEntry(msgspec.Struct, frozen=True):
    """What is known of one name: `stat` None means that no such node is there; `contents` None, not known."""

    stat: Stat | None
    contents: bytes | None = None


class ChildrenEntry(msgspec.Struct, frozen=True):
    """The names of an instance's children in order; not `complete`: a prefix, until the next page comes."""

    instance: int
    names: tuple[str, ...]
    complete: bool


_ABSENT: Final = NodeEntry(None)


class Cache:
    """See the module. `enabled` false (the session promised never to cache, or is in jeopardy): nothing hits or fills.

    Invariant: `live_until` is never above either lease, and 0 while the cache is not enabled.
    """

    def __init__(self, enabled: bool = True, limit: int = CACHE_BYTES) -> None:
        self.enabled = enabled
        self.live_until: Instant = 0
        self.used = False
        self.lease = Lease()
        self._limit = limit
        self._size = 0
        self._drops = 0
        self._nodes: dict[str, NodeEntry] = {}
        self._children: dict[str, ChildrenEntry] = {}
        self._own_changes: dict[str, CallNumber] = {}
        self._own_order: deque[tuple[CallNumber, str]] = deque()
        self._own_wide: CallNumber = 0

    def __len__(self) -> int:
        return len(self._nodes) + len(self._children)

    # ------------------------------------------------------------------------------------ reading, from any thread

    def node(self, path: str, now: Instant) -> NodeEntry | None:
        """What the cache knows of `path`, current at some instant from `now` on; None: ask the master."""
        if now >= self.live_until:
            return None
        entry = self._nodes.get(path)
        if entry is not None:
            self.used = True
        return entry

    def listing(self, path: str, instance: int, after: str, limit: int, now: Instant) -> Listing | None:
        """One page of the children of `path`, as ReadDir would answer it; None: ask the master."""
        if now >= self.live_until:
            return None
        drops = self._drops
        known = self._children.get(path)
        if known is None or not known.complete or known.instance != instance:
            return None
        start = bisect_right(known.names, after) if after else 0
        end = start + (min(limit, READ_DIR_LIMIT) or READ_DIR_LIMIT)
        entries = self._entries(path, known.names[start:end])
        if entries is None or drops != self._drops:
            return None
        self.used = True
        return Listing(entries, end < len(known.names))

    def _entries(self, path: str, names: tuple[str, ...]) -> tuple[DirEntry, ...] | None:
        """The named children with their metadata, if the cache has it of each."""
        prefix = path if path.endswith("/") else path + "/"
        entries = []
        for name in names:
            child = self._nodes.get(prefix + name)
            if child is None or child.stat is None:
                return None
            entries.append(DirEntry(name, child.stat))
        return tuple(entries)

    # ------------------------------------------------------------------------------------------------------ leases

    def renew(self, asked: Instant, length: Duration, session_deadline: Instant) -> None:
        """Take a renewal of the cache lease (0: none) and the present end of the session lease."""
        if length and self.lease.renew(asked, length):
            self.used = False
        self.live_until = min(self.lease.deadline, session_deadline) if self.enabled else 0

    def disable(self) -> None:
        """Jeopardy: nothing hits until `enable` and the next renewal."""
        self.enabled = False
        self.live_until = 0
        self.empty()

    def enable(self) -> None:
        """Begin again, empty."""
        assert not len(self), "a disabled cache holds nothing"
        self.enabled = True

    # ---------------------------------------------------------------------------------------------------- dropping

    def drop(self, key: CacheKey) -> None:
        """Forget one key, because the master says so."""
        if key.kind is CacheKind.NODE:
            entry = self._nodes.pop(key.path, None)
            self._size -= _node_cost(key.path, entry)
        else:
            children = self._children.pop(key.path, None)
            self._size -= _children_cost(key.path, children)
        self._drops += 1

    def empty(self) -> None:
        """Forget everything: jeopardy, Resume, or the master says so."""
        self._nodes.clear()
        self._children.clear()
        self._size = 0
        self._drops += 1

    def drop_own(self, number: CallNumber, keys: tuple[CacheKey, ...]) -> None:
        """Forget what one's own call `number` is about to change; answers to older calls will not bring it back."""
        for key in keys:
            self.drop(key)
            if self._own_changes.get(key.path) != number:
                self._own_changes[key.path] = number
                self._own_order.append((number, key.path))

    def drop_own_prefix(self, number: CallNumber, prefix: str) -> None:
        """The same for every name that begins with `prefix`, known to the cache or not."""
        for path in [path for path in self._nodes if path.startswith(prefix)]:
            self.drop(CacheKey(path, CacheKind.NODE))
        self._own_wide = number

    def has_directory(self, path: str) -> bool:
        """Whether what is cached of `path`, under live leases or not, is a directory: as long as it is there, it is
        one.
        """
        entry = self._nodes.get(path)
        return entry is not None and entry.stat is not None and entry.stat.kind is NodeKind.DIRECTORY

    def permits(self, path: str, number: CallNumber) -> bool:
        """Whether the answer to call `number` may fill keys of `path`: no own change of it was begun since."""
        return self._own_changes.get(path, 0) <= number and self._own_wide <= number

    def settled(self, acknowledged: CallNumber) -> None:
        """Every call up to `acknowledged` is answered: changes followed by no older call in flight need no memory."""
        order = self._own_order
        while order and order[0][0] <= acknowledged + 1:
            number, path = order.popleft()
            if self._own_changes.get(path) == number:
                del self._own_changes[path]

    # ----------------------------------------------------------------------------------------------------- filling

    def put_node(self, path: str, stat: Stat, contents: bytes | None = None) -> None:
        """Remember a node; content known before and still of this version is kept."""
        known = self._nodes.get(path)
        if contents is None and known is not None and known.stat is not None and _same_content(known.stat, stat):
            contents = known.contents
        self._put(path, known, NodeEntry(stat, contents))

    def put_absent(self, path: str) -> None:
        """Remember that there is no node of that name."""
        self._put(path, self._nodes.get(path), _ABSENT)

    def put_children(self, path: str, instance: int, after: str, names: tuple[str, ...], more: bool) -> None:
        """Remember a page of names. It counts only as the first, or as the very next of those remembered."""
        known = self._children.get(path)
        if after:
            if known is None or known.instance != instance or known.names[-1:] != (after,):
                return
            names = known.names + names
        entry = ChildrenEntry(instance, names, complete=not more)
        self._children[path] = entry
        self._grow(_children_cost(path, entry) - _children_cost(path, known))

    def _put(self, path: str, known: NodeEntry | None, entry: NodeEntry) -> None:
        self._nodes[path] = entry
        self._grow(_node_cost(path, entry) - _node_cost(path, known))

    def _grow(self, size: int) -> None:
        """Account for `size` more bytes; beyond the bound drop all listings and the older half of the nodes."""
        self._size += size
        if self._size <= self._limit:
            return
        for path in list(self._children):
            self.drop(CacheKey(path, CacheKind.CHILDREN))
        for path in list(self._nodes)[: (len(self._nodes) + 1) // 2]:
            self.drop(CacheKey(path, CacheKind.NODE))


def _same_content(one: Stat, other: Stat) -> bool:
    return one.instance == other.instance and one.content_generation == other.content_generation


def _node_cost(path: str, entry: NodeEntry | None) -> int:
    return 0 if entry is None else _ENTRY_BYTES + len(path) + len(entry.contents or b"")


def _children_cost(path: str, entry: ChildrenEntry | None) -> int:
    return 0 if entry is None else _ENTRY_BYTES + len(path) + sum(map(len, entry.names))
