"""Times that were set, what moves with a rename, and how much a node can keep."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import Stat
from fuse_mount import attributes
from fuse_mount.attributes import (
    MODE,
    OWNER,
    TIMES,
    Shape,
    View,
    attributes_of,
    carried,
    chmod,
    chown,
    fitting,
    keeping_times,
    kept_times,
    modified_ns,
    room_for,
    utimens,
)
from tests.fuse_mount.stats import NOW_MS, NOW_NS, STATS, a_stat, changed, rewritten

VIEW = View(uid=1000, gid=100)
TIMES_NS = st.integers(-(1 << 62), 1 << 62)
FULL = {"other": b"x" * (ATTRIBUTES_LIMIT - 5)}
"""An attribute map with no room left."""


def mtime_of(stat: Stat) -> int:
    """The time of change shown."""
    return attributes_of(stat, Shape.FILE, VIEW)["st_mtime"]


# ---------------------------------------------------------------------------------------------------------------- times


@given(st.integers(0, 1 << 42), st.integers(1, 1 << 50), st.integers(1, 999_999))
def test_two_versions_never_have_the_same_time(milliseconds: int, revision: int, later: int) -> None:
    """Even within one millisecond: make, rsync and git ask only whether it is the same."""
    before = a_stat(modified_ms=milliseconds, modified=revision)
    after = a_stat(modified_ms=milliseconds, modified=revision + later)
    assert modified_ns(before) != modified_ns(after)
    assert modified_ns(before) // 1_000_000 == milliseconds


def test_times_that_were_set_are_shown() -> None:
    """`touch -d`, `cp -p`, `rsync -t`: and st_ctime is not theirs to set."""
    stat = changed(a_stat(), utimens(a_stat(), (111, 222)))
    shown = attributes_of(stat, Shape.FILE, VIEW)
    assert (shown["st_atime"], shown["st_mtime"]) == (111, 222)
    assert shown["st_ctime"] == modified_ns(stat) > modified_ns(a_stat())


def test_times_that_were_set_are_over_with_the_next_content() -> None:
    """They were said of another content; who writes next needs not know of them."""
    stat = changed(a_stat(), utimens(a_stat(), (111, 222)))
    after = rewritten(stat)
    assert kept_times(stat) == (111, 222)
    assert kept_times(after) is None
    assert mtime_of(after) == modified_ns(after)


def test_times_set_while_another_wrote_do_not_count() -> None:
    """They were computed from the metadata before that content: the generation they name is over."""
    before = a_stat()
    changes = utimens(before, (111, 222))
    assert kept_times(changed(rewritten(before), changes)) is None


@given(STATS, TIMES_NS, TIMES_NS)
def test_times_there_and_back(stat: Stat, accessed: int, modified: int) -> None:
    """Whatever was there before; and the same once more changes nothing."""
    if not room_for(stat.attributes, {TIMES: b"x" * 60}):
        return
    after = changed(stat, utimens(stat, (accessed, modified)))
    shown = attributes_of(after, Shape.FILE, VIEW)
    assert (shown["st_atime"], shown["st_mtime"]) == (accessed, modified)
    assert utimens(after, (accessed, modified)) == {}


def test_times_as_they_are_shown_are_no_change() -> None:
    """`cp -p` onto itself costs no write."""
    now = modified_ns(a_stat())
    assert utimens(a_stat(), (now, now)) == {}


def test_times_beyond_64_bits_are_brought_into_range() -> None:
    """As the kernel does for file systems with a narrower range: year 2262 is the end."""
    stat = changed(a_stat(), utimens(a_stat(), (-(10**30), 10**30)))
    assert kept_times(stat) == (-(2**63) + 1, 2**63 - 1)


# --------------------------------------------------------------------------------------------------------------- rename


@given(STATS, STATS)
def test_a_file_keeps_its_attributes_under_its_new_name(source: Stat, target: Stat) -> None:
    """rename(2) over another: mode, owner, times, extended attributes are the source's, none is the target's."""
    after = rewritten(changed(target, carried(source, target)), source.length)
    shown, before = (attributes_of(each, Shape.FILE, VIEW) for each in (after, source))
    times = {"st_atime", "st_mtime"} if TIMES in after.attributes else set()
    for field in {"st_mode", "st_uid", "st_gid"} | times:
        assert shown[field] == before[field]
    others = [{name: value for name, value in each.attributes.items() if name != TIMES} for each in (after, source)]
    assert others[0] == {name: value for name, value in others[1].items() if value}


def test_a_file_keeps_its_attributes_in_a_new_node() -> None:
    """rename(2) to a name that is free: the node is new, its first content has generation 1."""
    source = a_stat(attributes={MODE: b"600", TIMES: b"3:111:222", "xattr.note": b"x"})
    assert carried(source, None) == {MODE: b"600", TIMES: b"1:111:222", "xattr.note": b"x"}


def test_a_file_has_its_time_under_its_new_name() -> None:
    """sed -i, os.replace: the time at which the temporary file was written, not that of the rename."""
    moved = carried(a_stat(), a_stat(content_generation=8))
    after = changed(a_stat(content_generation=9, modified=77), moved)
    assert mtime_of(after) == mtime_of(a_stat())


def test_what_the_target_kept_is_removed() -> None:
    """An empty value removes."""
    target = a_stat(attributes={MODE: b"600", "xattr.note": b"x"})
    assert carried(a_stat(), target) == {MODE: b"", "xattr.note": b"", TIMES: b"4:%d:%d" % ((NOW_NS + 9,) * 2)}


def test_a_full_map_moves_without_its_time() -> None:
    """Whatever the source has is legal; the time is what is given up."""
    assert carried(a_stat(attributes=FULL), None) == FULL


# ----------------------------------------------------------------------------------------------------------------- room


@pytest.mark.parametrize(
    "change",
    [
        lambda stat: chmod(stat, Shape.FILE, 0o600),
        lambda stat: chown(stat, VIEW, 5, 5),
        lambda stat: utimens(stat, (1, 2)),
    ],
)
def test_a_full_map_is_no_space(change: object) -> None:
    """Said here, before the cell has to: EFBIG would speak of the content."""
    assert callable(change)
    with pytest.raises(OSError) as caught:
        change(a_stat(attributes=FULL))
    assert caught.value.errno == errno.ENOSPC


def test_room_is_counted_as_the_cell_counts() -> None:
    """Names in UTF-8 and values; an empty value frees both; a full map may always shrink."""
    assert room_for({}, {"n": b"x" * (ATTRIBUTES_LIMIT - 1)})
    assert not room_for({}, {"n": b"x" * ATTRIBUTES_LIMIT})
    assert not room_for({}, {"é": b"x" * (ATTRIBUTES_LIMIT - 1)})
    assert room_for(FULL, {"other": b"", "n": b"x" * (ATTRIBUTES_LIMIT - 1)})
    over = {"other": b"x" * ATTRIBUTES_LIMIT}
    assert room_for(over, {"other": b"x" * (ATTRIBUTES_LIMIT - 1)})


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.binary(max_size=600), max_size=4), st.binary())
def test_what_fits_the_cell_takes(before: dict[str, bytes], value: bytes) -> None:
    """The same sum on both sides: nothing is refused here that the cell would take."""
    stat = a_stat(attributes={})
    fits = sum(len(name.encode()) + len(value) for name, value in before.items() if value) <= ATTRIBUTES_LIMIT
    assert room_for({}, before) == fits
    if fits:
        changed(stat, fitting(stat.attributes, before))


def test_nothing_to_change_needs_no_room() -> None:
    """And changes nothing."""
    assert keeping_times(a_stat(attributes=FULL), {}) == {}
    assert fitting(FULL, {}) == {}


def test_the_names_are_short_and_differ() -> None:
    """1 KiB is for all that a node keeps."""
    assert len({MODE, OWNER, TIMES}) == 3
    kept = {MODE: b"1777", OWNER: b"%d:%d" % ((2**32 - 2,) * 2), TIMES: b"%d:%d:%d" % (10**9, -(2**63), 2**63)}
    assert sum(len(name) + len(value) for name, value in kept.items()) < ATTRIBUTES_LIMIT // 8
    assert NOW_MS * 1_000_000 == NOW_NS
    assert attributes.DEFAULT_FILE_MODE & ~attributes.DEFAULT_DIRECTORY_MODE == 0
