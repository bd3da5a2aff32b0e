"""Extended attributes: ours, and those that programs keep."""

from __future__ import annotations

import errno

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import AclNames, LockInfo, LockMode, LockOwner, Stat
from fuse_mount.attributes import MODE, TIMES, View, attributes_of, shape_of
from fuse_mount.xattrs import (
    OURS,
    SEQUENCER,
    XATTR_CREATE,
    XATTR_REPLACE,
    AclNamed,
    Kept,
    MadeEphemeral,
    Need,
    Nothing,
    names_of,
    need_of,
    removal,
    setting,
    value_of,
)
from tests.fuse_mount.stats import STATS, a_lock, a_stat, changed

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
OF_LOCK = [name for name in OUR_NAMES if name.startswith("lock")]
SETTABLE = ["ephemeral", "acl.read", "acl.write", "acl.change"]
READ_ONLY = [name for name in OUR_NAMES if name not in SETTABLE]
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
FLAGS = st.sampled_from([0, XATTR_CREATE, XATTR_REPLACE, XATTR_CREATE | XATTR_REPLACE])
LOCKS = st.sampled_from([a_lock(), a_lock(mode=None, holders=(), waiters=(), delayed=True)])


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


def after_setting(stat: Stat, name: str, value: bytes) -> Stat:
    """The metadata after an attribute that is kept was set."""
    change = setting(name, value, 0, stat)
    return stat if isinstance(change, Nothing) else changed(stat, kept(change))


def kept(change: object) -> dict[str, bytes]:
    """The changes of the attribute map."""
    assert isinstance(change, Kept)
    return change.attributes


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


@pytest.mark.parametrize("name", [*FOREIGN, "user.note", "user.lock.mode", OURS + "nothing", OURS])
def test_what_is_not_ours_needs_nothing(name: str) -> None:
    """`security.capability` is asked for before each write: without asking the cell."""
    assert need_of(name) is Need.NOTHING
    assert missing(name)


@given(ANY_NAMES, STATS, LOCKS)
@example("user.", a_stat(attributes={"xattr.": b"x"}), a_lock())
def test_any_name_has_a_value_or_has_none(name: str, stat: Stat, lock: LockInfo) -> None:
    """Nothing but ENODATA is ever raised by reading."""
    try:
        value = value_of(name, stat, lock)
    except OSError as refusal:
        assert refusal.errno == errno.ENODATA
        assert name not in names_of(stat)
    else:
        assert isinstance(value, bytes)


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


# ------------------------------------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize("name", FOREIGN)
def test_other_spaces_are_empty(name: str) -> None:
    """ENODATA to read (a write asks for `security.capability`) and to remove, EOPNOTSUPP to set: cp and mv go on."""
    assert missing(name)
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
