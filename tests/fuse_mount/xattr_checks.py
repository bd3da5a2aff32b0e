"""Names of extended attributes, and how setting and reading them is refused: for the tests of both."""

from __future__ import annotations

import errno

import pytest
from hypothesis import strategies as st

from chubby.types.nodes import Stat
from fuse_mount.xattrs import OURS, setting, value_of
from tests.fuse_mount.stats import a_lock, a_stat

OUR_NAMES = [
    "instance",
    "content_generation",
    "acl_generation",
    "checksum",
    "ephemeral",
    "acl.read",
    "acl.write",
    "acl.change",
    "lock_generation",
    "lock.mode",
    "lock.token",
    "lock.holders",
    "lock.waiters",
    "sequencer",
]
FOREIGN = ["security.capability", "security.selinux", "system.posix_acl_access", "trusted.overlay.opaque", "odd", ""]

NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).map("user.".__add__),
    st.sampled_from(["user.note", "user.mime_type", "user.x.y"]),
).filter(lambda name: not name.startswith(OURS))
ANY_NAMES = st.one_of(
    NAMES,
    st.text(max_size=20),
    st.binary(max_size=20).map(lambda raw: "user." + raw.decode(errors="surrogateescape")),
    st.sampled_from(
        FOREIGN + [OURS + name for name in OUR_NAMES] + [OURS, "user.", "user.\udcff", "user." + "n" * 251]
    ),
)


def number_of(caught: pytest.ExceptionInfo[OSError]) -> int:
    """With which errno something was refused."""
    assert caught.value.errno is not None
    return caught.value.errno


def refused(name: str, value: bytes = b"x", flags: int = 0, stat: Stat | None = None, fresh: bool = False) -> int:
    """With which errno setting is refused; it must be."""
    with pytest.raises(OSError) as caught:
        setting(name, value, flags, stat or a_stat(), fresh)
    return number_of(caught)


def missing(name: str, stat: Stat | None = None) -> bool:
    """Whether there is no such attribute."""
    with pytest.raises(OSError) as caught:
        value_of(name, stat or a_stat(), a_lock())
    return number_of(caught) == errno.ENODATA
