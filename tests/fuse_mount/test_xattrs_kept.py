"""Extended attributes that programs keep in a node."""

from __future__ import annotations

import errno

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import Stat
from fuse_mount.attributes import TIMES, View, attributes_of, shape_of
from fuse_mount.xattrs import (
    OURS,
    XATTR_CREATE,
    XATTR_REPLACE,
    Kept,
    Nothing,
    names_of,
    removal,
    setting,
    value_of,
)
from tests.fuse_mount.stats import STATS, a_lock, a_stat, changed
from tests.fuse_mount.xattr_checks import ANY_NAMES, NAMES, missing, refused

FLAGS = st.sampled_from([0, XATTR_CREATE, XATTR_REPLACE, XATTR_CREATE | XATTR_REPLACE])


def after_setting(stat: Stat, name: str, value: bytes) -> Stat:
    """The metadata after an attribute that is kept was set."""
    change = setting(name, value, 0, stat)
    return stat if isinstance(change, Nothing) else changed(stat, kept(change))


def kept(change: object) -> dict[str, bytes]:
    """The changes of the attribute map."""
    assert isinstance(change, Kept)
    return change.attributes


# ----------------------------------------------------------------------------------------------------------------- kept


@given(STATS, NAMES, st.binary(max_size=100))
@example(a_stat(), "user.note", b"")
@example(a_stat(), "user.note", b"\0")
@example(a_stat(), "user.note", b"\0\0x")
def test_a_value_there_and_back(stat: Stat, name: str, value: bytes) -> None:
    """Every value, the empty one too; listed; the same once more changes nothing; and removed it is gone."""
    stat = msgspec.structs.replace(stat, attributes=dict(list(stat.attributes.items())[:2]))
    after = after_setting(stat, name, value)
    assert value_of(name, after) == value
    assert name in names_of(after)
    assert setting(name, value, 0, after) == Nothing()
    assert setting(name, value, XATTR_REPLACE, after) == Nothing()
    gone = changed(after, removal(name, after).attributes)
    assert missing(name, gone)
    assert name not in names_of(gone)


@given(STATS, NAMES, NAMES, st.binary(max_size=20))
def test_one_attribute_is_not_another(stat: Stat, name: str, other: str, value: bytes) -> None:
    """Setting one changes no other, nor what is kept of mode, owner and times."""
    stat = msgspec.structs.replace(stat, attributes=dict(list(stat.attributes.items())[:2]))
    after = after_setting(stat, name, value)
    for each in set(names_of(stat)) - {name}:
        assert value_of(each, after, a_lock()) == value_of(each, stat, a_lock())
    shown, before = (attributes_of(each, shape_of(each, False), View(1, 2)) for each in (after, stat))
    assert {**shown, "st_ctime": 0} == {**before, "st_ctime": 0}
    if other != name:
        assert (other in names_of(after)) == (other in names_of(stat))


def test_where_it_is_kept() -> None:
    """Under a prefix of its own, so that it meets no attribute of another program."""
    change = kept(setting("user.note", b"x", 0, a_stat(attributes={TIMES: b"3:1:2"})))
    assert change == {"xattr.note": b"x"}


def test_an_attribute_is_none_of_the_content() -> None:
    """setxattr(2) leaves st_mtime as it is."""
    assert set(kept(setting("user.note", b"x", 0, a_stat()))) == {"xattr.note", TIMES}


@pytest.mark.parametrize(("there", "number"), [(True, errno.EEXIST), (False, errno.ENODATA)])
def test_the_flags_of_setxattr(there: bool, number: int) -> None:
    """XATTR_CREATE: it must not be there. XATTR_REPLACE: it must be."""
    stat = a_stat(attributes={"xattr.note": b"old"} if there else {})
    refusing, accepting = (XATTR_CREATE, XATTR_REPLACE) if there else (XATTR_REPLACE, XATTR_CREATE)
    assert refused("user.note", b"new", refusing, stat) == number
    assert refused("user.note", b"new", XATTR_CREATE | XATTR_REPLACE, stat) == number
    assert kept(setting("user.note", b"new", accepting, stat))["xattr.note"] == b"new"


def test_what_does_not_fit_is_no_space() -> None:
    """1 KiB for all that a node keeps; setxattr(2) says ENOSPC."""
    most = ATTRIBUTES_LIMIT - len("xattr.n")
    assert kept(setting("user.n", b"x" * most, 0, a_stat())) == {"xattr.n": b"x" * most}
    assert refused("user.n", b"x" * (most + 1)) == errno.ENOSPC
    crowded = a_stat(attributes={"other": b"x" * 1000})
    assert refused("user.n", b"x" * 20, 0, crowded) == errno.ENOSPC
    assert kept(setting("user.n", b"x" * 12, 0, crowded)) == {"xattr.n": b"x" * 12}


def test_a_full_map_can_be_emptied() -> None:
    """Removing always has room."""
    full = a_stat(attributes={"xattr.n": b"x" * (ATTRIBUTES_LIMIT - len("xattr.n"))})
    assert kept(removal("user.n", full))["xattr.n"] == b""


def test_a_name_that_is_no_text_cannot_be_kept() -> None:
    """The cell's names are UTF-8."""
    assert refused("user.caf\udce9") == errno.EILSEQ
    assert missing("user.caf\udce9")


def test_a_name_of_another_program_is_not_taken_for_ours() -> None:
    """Whoever writes `xattr.chubby.instance` does not change what the node says of itself."""
    stat = a_stat(
        attributes={"xattr.chubby.instance": b"666", "xattr.chubby.x": b"666", "xattr.": b"x", "xattr.a\0": b"x"}
    )
    assert names_of(stat) == names_of(a_stat())
    assert value_of(OURS + "instance", stat) == b"17"
    assert missing(OURS + "x", stat)


@given(ANY_NAMES, st.binary(max_size=1200), FLAGS, STATS, st.booleans())
@example("user.", b"x", 0, a_stat(), False)
@example("user.a\0b", b"x", 0, a_stat(), False)
def test_anything_can_be_set_or_is_refused(name: str, value: bytes, flags: int, stat: Stat, fresh: bool) -> None:
    """Nothing but the numbers of setxattr(2), and what is accepted is legal in the cell."""
    try:
        change = setting(name, value, flags, stat, fresh)
    except OSError as refusal:
        assert refusal.errno in {
            errno.EOPNOTSUPP,
            errno.EINVAL,
            errno.EEXIST,
            errno.ENODATA,
            errno.ENOSPC,
            errno.EILSEQ,
        }
    else:
        if isinstance(change, Kept):
            assert all(key and value for key, value in change.attributes.items())


@given(ANY_NAMES, STATS)
def test_anything_can_be_removed_or_is_refused(name: str, stat: Stat) -> None:
    """Nothing but the numbers of removexattr(2); what is listed and not ours can be removed."""
    try:
        change = removal(name, stat)
    except OSError as refusal:
        assert refusal.errno in {errno.EOPNOTSUPP, errno.ENODATA}
        assert name.startswith(OURS) or name not in names_of(stat)
    else:
        assert b"" in change.attributes.values()
