"""Metadata of nodes, made up for the tests of what is shown from it."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from chubby.types.identity import Revision
from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import AclNames, LockInfo, LockMode, LockOwner, NodeKind, Stat

NOW_MS = 1_700_000_000_123
NOW_NS = NOW_MS * 1_000_000


def a_stat(**fields: object) -> Stat:
    """The metadata of a plain file, but for `fields`."""
    plain = Stat(
        kind=NodeKind.FILE,
        ephemeral=False,
        instance=17,
        content_generation=3,
        acl_generation=2,
        checksum=0xC0FFEE,
        length=1000,
        created=5,
        modified=9,
        created_ms=NOW_MS - 1000,
        modified_ms=NOW_MS,
        acl=AclNames("anyone", "staff", "admins"),
    )
    return msgspec.structs.replace(plain, **fields)


def a_lock(**fields: object) -> LockInfo:
    """A lock that two share and three wait for, but for `fields`."""
    shared = LockInfo(
        path="/svc/leader",
        mode=LockMode.SHARED,
        generation=4,
        token=99,
        holders=(LockOwner(7, 1), LockOwner(8, 2)),
        waiters=tuple((LockOwner(9, number), LockMode.EXCLUSIVE) for number in (1, 2, 3)),
        delayed=False,
        delay=0,
    )
    return msgspec.structs.replace(shared, **fields)


def changed(stat: Stat, changes: dict[str, bytes], revision: Revision = 0, milliseconds: int = 0) -> Stat:
    """What the cell makes of `stat` when `changes` of the attribute map are set: said again, as plainly as can be."""
    after = dict(sorted((stat.attributes | changes).items()))
    after = {name: value for name, value in after.items() if value}
    assert sum(len(name.encode()) + len(value) for name, value in after.items()) <= ATTRIBUTES_LIMIT, "the cell refuses"
    if after == stat.attributes:
        return stat
    return msgspec.structs.replace(
        stat,
        attributes=after,
        modified=revision or stat.modified + 1,
        modified_ms=milliseconds or stat.modified_ms + 50,
    )


def rewritten(stat: Stat, length: int = 5) -> Stat:
    """What the cell makes of it when the content is replaced."""
    return msgspec.structs.replace(
        stat,
        length=length,
        content_generation=stat.content_generation + 1,
        modified=stat.modified + 1,
        modified_ms=stat.modified_ms + 50,
    )


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCRIBBLES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"755", b"0755", b"8", b"-1", b"0o755", b"1:2", b"1:2:3", b"3:1:2", b"3:-5:7", b"3:1:", b"99" * 9]
    ),
)
"""What somebody else may have written where we keep something."""

STATS = st.builds(
    a_stat,
    kind=st.sampled_from(NodeKind),
    ephemeral=st.booleans(),
    instance=st.integers(1, 1 << 40),
    content_generation=st.integers(1, 5),
    length=st.integers(0, 256 * 1024),
    modified=st.integers(1, 1 << 50),
    modified_ms=st.integers(0, 1 << 42),
    attributes=st.dictionaries(
        st.one_of(st.sampled_from(["posix.mode", "posix.owner", "posix.times", "xattr.note", "xattr.chubby.x"]), TEXT),
        SCRIBBLES,
        max_size=6,
    ),
)
"""Any metadata, with attributes that make sense to us and others that do not."""
