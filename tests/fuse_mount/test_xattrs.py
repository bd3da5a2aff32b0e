"""Extended attributes: ours, and those that programs keep."""

from __future__ import annotations

import errno

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chubby.types.nodes import AclNames, LockInfo, LockMode, LockOwner, Stat
from fuse_mount.attributes import MODE
from fuse_mount.xattrs import (
    OURS,
    SEQUENCER,
    XATTR_CREATE,
    XATTR_REPLACE,
    AclNamed,
    MadeEphemeral,
    Need,
    Nothing,
    names_of,
    need_of,
    removal,
    setting,
    value_of,
)
from tests.fuse_mount.stats import STATS, a_lock, a_stat
from tests.fuse_mount.xattr_checks import ANY_NAMES, FOREIGN, OUR_NAMES, missing, number_of, refused

OF_LOCK = [name for name in OUR_NAMES if name.startswith("lock")]
SETTABLE = ["ephemeral", "acl.read", "acl.write", "acl.change"]
READ_ONLY = [name for name in OUR_NAMES if name not in SETTABLE]
LOCKS = st.sampled_from([a_lock(), a_lock(mode=None, holders=(), waiters=(), delayed=True)])


# ---------------------------------------------------------------------------------------------------------------- shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instance", b"17"),
        ("content_generation", b"3"),
        ("acl_generation", b"2"),
        ("checksum", b"0000000000c0ffee"),
        ("ephemeral", b"0"),
        ("acl.read", b"anyone"),
        ("acl.write", b"staff"),
        ("acl.change", b"admins"),
        ("lock_generation", b"4"),
        ("lock.mode", b"shared"),
        ("lock.token", b"99"),
        ("lock.holders", b"7/1 8/2"),
        ("lock.waiters", b"3"),
    ],
)
def test_what_ours_show(name: str, value: bytes) -> None:
    """`getfattr -n user.chubby.NAME`."""
    assert value_of(OURS + name, a_stat(), a_lock()) == value


@pytest.mark.parametrize(
    ("lock", "mode"),
    [
        (a_lock(mode=LockMode.EXCLUSIVE), b"exclusive"),
        (a_lock(mode=LockMode.SHARED), b"shared"),
        (a_lock(mode=None, holders=(), waiters=()), b"free"),
        (a_lock(mode=None, holders=(), delayed=True), b"delayed"),
    ],
)
def test_the_mode_of_a_lock(lock: LockInfo, mode: bytes) -> None:
    """A lock that lock-delay keeps closed is not free: nobody can have it."""
    assert value_of(OURS + "lock.mode", a_stat(), lock) == mode


def test_a_free_lock_has_no_holders() -> None:
    """What there is nothing to say of is empty, not missing: getfattr -d asks for every name that is listed."""
    free = a_lock(mode=None, holders=(), waiters=())
    assert value_of(OURS + "lock.holders", a_stat(), free) == b""
    assert value_of(OURS + "lock.waiters", a_stat(), free) == b"0"


def test_a_crowd_of_holders_is_cut_at_a_word() -> None:
    """Linux takes no value over 64 KiB, and nobody reads ten thousand names."""
    crowd = a_lock(holders=tuple(LockOwner(10**6 + number, 1) for number in range(10_000)))
    value = value_of(OURS + "lock.holders", a_stat(), crowd)
    assert len(value) <= 4096
    *shown, dots = value.decode().split(" ")
    assert dots == "..."
    assert shown == [f"{10**6 + number}/1" for number in range(len(shown))]
    assert len(shown) > 300


def test_as_many_holders_as_fit_are_shown_whole() -> None:
    """No dots where nothing is left out."""
    holders = tuple(LockOwner(1, number) for number in range(100))
    value = value_of(OURS + "lock.holders", a_stat(), a_lock(holders=holders))
    assert value.decode().split(" ") == [f"1/{number}" for number in range(100)]


def test_the_sequencer_is_shown_as_the_command_line_takes_it() -> None:
    """In hexadecimal, for `chubby check-sequencer`; empty for who holds no lock."""
    assert value_of(SEQUENCER, a_stat(), None, b"\x01\xff") == b"01ff"
    assert value_of(SEQUENCER, a_stat()) == b""


@given(STATS, LOCKS, st.binary(max_size=100))
def test_everything_listed_has_a_value(stat: Stat, lock: LockInfo, sequencer: bytes) -> None:
    """Whatever anybody wrote into the attribute map. Ours are one line of text, as a shell script reads them."""
    names = names_of(stat)
    assert len(set(names)) == len(names)
    for name in names:
        value = value_of(name, stat, lock, sequencer)
        if name.startswith(OURS):
            assert value.isascii() and b"\n" not in value and b"\0" not in value


@given(STATS)
def test_what_is_listed_fits_what_linux_takes(stat: Stat) -> None:
    """Names of at most 255 bytes, 64 KiB together."""
    names = names_of(stat)
    assert all(name.startswith("user.") and len(name.encode()) <= 255 and "\0" not in name for name in names)
    assert sum(len(name.encode()) + 1 for name in names) < 65536


def test_the_list_needs_the_stat_alone() -> None:
    """All of ours are always there, in one order."""
    assert names_of(a_stat()) == [OURS + name for name in OUR_NAMES]


@pytest.mark.parametrize("name", OUR_NAMES)
def test_what_a_value_needs(name: str) -> None:
    """The caller asks the cell for a lock only where the value speaks of it."""
    need = need_of(OURS + name)
    assert need is (Need.LOCK if name in OF_LOCK else Need.SEQUENCER if name == "sequencer" else Need.NOTHING)
    if need is not Need.LOCK:
        assert value_of(OURS + name, a_stat()) is not None


@pytest.mark.parametrize("name", ["user.note", "user.lock.mode", OURS + "nothing", OURS])
def test_what_is_not_ours_needs_nothing(name: str) -> None:
    """But the attributes of the node."""
    assert need_of(name) is Need.NOTHING
    assert missing(name)


@given(ANY_NAMES, STATS, LOCKS)
@example("user.", a_stat(attributes={"xattr.": b"x"}), a_lock())
def test_any_name_has_a_value_or_has_none(name: str, stat: Stat, lock: LockInfo) -> None:
    """Nothing but ENODATA and, in other spaces of names, EOPNOTSUPP is ever raised by reading."""
    try:
        value = value_of(name, stat, lock)
    except OSError as refusal:
        assert refusal.errno == (errno.ENODATA if name.startswith("user.") else errno.EOPNOTSUPP)
        assert name not in names_of(stat)
    else:
        assert isinstance(value, bytes)


# ------------------------------------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize("name", FOREIGN)
def test_other_spaces_are_empty(name: str) -> None:
    """EOPNOTSUPP to read, known without the node (a write asks for `security.capability`), and to set; ENODATA to
    remove: cp and mv go on.
    """
    for reading in (need_of, lambda name: value_of(name, a_stat(), a_lock())):
        with pytest.raises(OSError) as caught:
            reading(name)
        assert number_of(caught) == errno.EOPNOTSUPP
    assert refused(name) == errno.EOPNOTSUPP
    with pytest.raises(OSError) as caught:
        removal(name, a_stat())
    assert number_of(caught) == errno.ENODATA


@pytest.mark.parametrize("name", READ_ONLY)
def test_most_of_ours_cannot_be_set(name: str) -> None:
    """EOPNOTSUPP, on which mv copies a directory with all it shows and says nothing."""
    assert refused(OURS + name, b"666") == errno.EOPNOTSUPP
    assert refused(OURS + name, b"666", fresh=True) == errno.EOPNOTSUPP


@pytest.mark.parametrize("name", OUR_NAMES)
def test_none_of_ours_can_be_removed_or_made(name: str) -> None:
    """They are always there."""
    with pytest.raises(OSError) as caught:
        removal(OURS + name, a_stat())
    assert number_of(caught) == errno.EOPNOTSUPP
    assert refused(OURS + name, b"1", XATTR_CREATE) == errno.EEXIST


@pytest.mark.parametrize("name", [OURS + "nothing", OURS, OURS + "lock.colour"])
def test_names_like_ours_are_not_for_others(name: str) -> None:
    """Reserved for what a node may say of itself one day."""
    assert refused(name) == errno.EOPNOTSUPP
    with pytest.raises(OSError) as caught:
        removal(name, a_stat())
    assert number_of(caught) == errno.ENODATA


@given(STATS)
def test_setting_what_is_so_already_succeeds(stat: Stat) -> None:
    """At any time, for all that the Stat says: cp --preserve=xattr onto itself."""
    for name in names_of(stat):
        if need_of(name) is Need.NOTHING:
            assert setting(name, value_of(name, stat), 0, stat) == Nothing()


# ------------------------------------------------------------------------------------------------------ what can be set


@pytest.mark.parametrize("value", [b"1", b"true", b"yes", b"Yes", b"TRUE"])
def test_a_new_file_becomes_ephemeral(value: bytes) -> None:
    """Until it is first closed."""
    assert setting(OURS + "ephemeral", value, 0, a_stat(), fresh=True) == MadeEphemeral(True)
    assert refused(OURS + "ephemeral", value, fresh=False) == errno.EOPNOTSUPP
    assert setting(OURS + "ephemeral", value, 0, a_stat(ephemeral=True)) == Nothing()


@pytest.mark.parametrize("value", [b"0", b"false", b"no"])
def test_a_new_file_is_permanent_again(value: bytes) -> None:
    """Whoever changed their mind."""
    ephemeral = a_stat(ephemeral=True)
    assert setting(OURS + "ephemeral", value, 0, ephemeral, fresh=True) == MadeEphemeral(False)
    assert refused(OURS + "ephemeral", value, stat=ephemeral) == errno.EOPNOTSUPP
    assert setting(OURS + "ephemeral", value, 0, a_stat()) == Nothing()


@pytest.mark.parametrize("value", [b"", b"2", b"maybe", b"1\n", b"\xff"])
def test_what_is_neither_yes_nor_no(value: bytes) -> None:
    """EINVAL, whenever."""
    assert refused(OURS + "ephemeral", value, fresh=True) == errno.EINVAL
    assert refused(OURS + "ephemeral", value) == errno.EINVAL


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("acl.read", AclNamed("team", "staff", "admins", 2)),
        ("acl.write", AclNamed("anyone", "team", "admins", 2)),
        ("acl.change", AclNamed("anyone", "staff", "team", 2)),
    ],
)
def test_a_list_is_named(name: str, change: AclNamed) -> None:
    """One name of three: the others are as they were read, so the change holds for that generation alone."""
    assert setting(OURS + name, b"team", 0, a_stat()) == change
    assert setting(OURS + name, b"team", XATTR_REPLACE, a_stat()) == change


def test_the_lists_a_node_has_are_no_change() -> None:
    """And need no permission to change them."""
    stat = a_stat(acl=AclNames("a", "b", "c"), attributes={MODE: b"600"})
    assert setting(OURS + "acl.read", b"a", 0, stat) == Nothing()
    assert setting(OURS + "acl.write", b"b", 0, stat) == Nothing()
    assert setting(OURS + "acl.change", b"c", 0, stat) == Nothing()


@pytest.mark.parametrize("value", [b"", b"a/b", b".", b"..", b".chubby", b"a\n", b"\xff", b"n" * 256])
def test_what_is_no_name_of_a_list(value: bytes) -> None:
    """A list is a file in `/acl`: what cannot be its name cannot be named."""
    assert refused(OURS + "acl.read", value) == errno.EINVAL


def test_a_list_may_have_any_name_a_file_has() -> None:
    """UTF-8, as everywhere; shown as it was set."""
    change = setting(OURS + "acl.read", "équipe".encode(), 0, a_stat())
    assert change == AclNamed("équipe", "staff", "admins", 2)
    assert value_of(OURS + "acl.read", a_stat(acl=AclNames("équipe", "b", "c"))) == "équipe".encode()
