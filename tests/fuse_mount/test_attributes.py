"""The attributes of a file: what is shown, the mode and the owner that a node keeps."""

from __future__ import annotations

import stat as posix

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.types.limits import ATTRIBUTES_LIMIT
from chubby.types.nodes import NodeKind, Stat
from fuse_mount.attributes import (
    MODE,
    OWNER,
    PERMISSIONS,
    TIMES,
    Shape,
    View,
    attributes_of,
    chmod,
    chown,
    first_attributes,
    keeping_times,
    kept_mode,
    kept_owner,
    kept_times,
    room_for,
    shape_of,
)
from tests.fuse_mount.stats import NOW_NS, SCRIBBLES, STATS, a_stat, changed

VIEW = View(uid=1000, gid=100)
MODES = st.integers(0, 0o7777)
IDS = st.one_of(st.just(-1), st.integers(0, (1 << 32) - 2))
SHAPES = st.sampled_from(Shape)
FIELDS = {
    "st_ino",
    "st_mode",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_size",
    "st_blocks",
    "st_blksize",
    "st_atime",
    "st_mtime",
    "st_ctime",
}


def mode_of(stat: Stat, shape: Shape = Shape.FILE) -> int:
    """The permissions shown."""
    return posix.S_IMODE(attributes_of(stat, shape, VIEW)["st_mode"])


# ---------------------------------------------------------------------------------------------------------------- shown


def test_a_plain_file() -> None:
    """What `stat F` shows of a node for which nobody set anything."""
    assert attributes_of(a_stat(), Shape.FILE, VIEW) == {
        "st_ino": 17,
        "st_mode": posix.S_IFREG | 0o644,
        "st_nlink": 1,
        "st_uid": 1000,
        "st_gid": 100,
        "st_size": 1000,
        "st_blocks": 2,
        "st_blksize": 65536,
        "st_atime": NOW_NS + 9,
        "st_mtime": NOW_NS + 9,
        "st_ctime": NOW_NS + 9,
    }


@given(STATS, SHAPES, st.one_of(st.none(), st.integers(0, 1 << 20)))
def test_anything_can_be_shown(stat: Stat, shape: Shape, size: int | None) -> None:
    """Whatever anybody wrote into the attribute map: no exception, every field, in the range of the kernel's."""
    shown = attributes_of(stat, shape, VIEW, size)
    assert shown.keys() == FIELDS
    assert 0 < shown["st_ino"] < 1 << 64
    assert posix.S_IFMT(shown["st_mode"]) == (posix.S_IFDIR if shape is Shape.DIRECTORY else posix.S_IFREG)
    assert not shown["st_mode"] & (posix.S_ISUID | posix.S_ISGID)
    assert 0 <= shown["st_uid"] < 1 << 32 and 0 <= shown["st_gid"] < 1 << 32
    assert all(-(1 << 63) < shown[name] < 1 << 63 for name in ("st_atime", "st_mtime", "st_ctime"))
    assert shown["st_blocks"] * 512 >= shown["st_size"] > shown["st_blocks"] * 512 - 512


@pytest.mark.parametrize(
    ("kind", "has_children", "shape"),
    [
        (NodeKind.FILE, False, Shape.FILE),
        (NodeKind.FILE, True, Shape.DIRECTORY),
        (NodeKind.DIRECTORY, False, Shape.DIRECTORY),
        (NodeKind.DIRECTORY, True, Shape.DIRECTORY),
    ],
)
def test_as_what_a_node_is_shown(kind: NodeKind, has_children: bool, shape: Shape) -> None:
    """The kind is a hint; children decide."""
    assert shape_of(a_stat(kind=kind), has_children) is shape


def test_a_directory_has_its_own_mode_and_no_size() -> None:
    """0755, and one link: 2 would tell find(1) that it need not look for directories in it."""
    shown = attributes_of(a_stat(kind=NodeKind.DIRECTORY), Shape.DIRECTORY, VIEW)
    assert shown["st_mode"] == posix.S_IFDIR | 0o755
    assert (shown["st_nlink"], shown["st_size"], shown["st_blocks"]) == (1, 0, 0)


def test_the_content_of_a_directory_is_a_file_beside_it() -> None:
    """Size and times of the node, a mode without execution, an inode number of its own."""
    node = a_stat(kind=NodeKind.DIRECTORY)
    directory = attributes_of(node, Shape.DIRECTORY, VIEW)
    contents = attributes_of(node, Shape.CONTENTS, VIEW)
    assert contents["st_mode"] == posix.S_IFREG | 0o644
    assert contents["st_size"] == 1000
    assert contents["st_mtime"] == directory["st_mtime"]
    assert contents["st_ino"] != directory["st_ino"]


@pytest.mark.parametrize(("size", "blocks"), [(0, 0), (1, 1), (512, 1), (513, 2), (262144, 512)])
def test_an_open_file_has_the_size_of_what_is_read(size: int, blocks: int) -> None:
    """Size and bytes agree for who has it open and wrote."""
    shown = attributes_of(a_stat(), Shape.FILE, VIEW, size)
    assert (shown["st_size"], shown["st_blocks"]) == (size, blocks)


def test_files_of_two_cells_are_two() -> None:
    """`cp /ls/a/x /ls/b/x` must not find that they are the same file, nor a file that of another node."""
    stats = [a_stat(instance=number) for number in (1, 2, 1 << 40)]
    numbers = [
        attributes_of(stat, shape, View(0, 0, cell))["st_ino"]
        for stat in stats
        for shape in (Shape.FILE, Shape.CONTENTS)
        for cell in (0, 1, 2, 300)
    ]
    assert len(set(numbers)) == len(numbers)


# ------------------------------------------------------------------------------------------------------ mode and owner


@given(STATS, MODES, SHAPES.filter(lambda shape: shape is not Shape.CONTENTS))
def test_a_mode_there_and_back(stat: Stat, mode: int, shape: Shape) -> None:
    """Permissions and sticky as they were set; the same once more changes nothing."""
    if not room_for(stat.attributes, {MODE: b"7777"}):
        return
    after = changed(stat, chmod(stat, shape, mode))
    wanted = mode & PERMISSIONS
    if stat.kind is NodeKind.FILE and shape is Shape.DIRECTORY:
        wanted |= (mode & 0o444) >> 2
    assert mode_of(after, shape) == wanted
    assert chmod(after, shape, mode_of(after, shape)) == {}


def test_the_mode_that_is_shown_is_no_change() -> None:
    """Whether it is the default or one that was set; the type of the file is not part of it."""
    assert chmod(a_stat(), Shape.FILE, 0o644) == {}
    assert chmod(a_stat(), Shape.FILE, posix.S_IFREG | 0o644) == {}
    assert chmod(a_stat(kind=NodeKind.DIRECTORY), Shape.DIRECTORY, posix.S_IFDIR | 0o755) == {}
    assert chmod(a_stat(attributes={MODE: b"600"}), Shape.FILE, posix.S_IFREG | 0o600) == {}


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755])
def test_setuid_and_setgid_are_not_kept(mode: int) -> None:
    """Else whoever may write a file would have it run as root where root mounted without nosuid."""
    stat = changed(a_stat(), chmod(a_stat(), Shape.FILE, mode))
    assert stat.attributes[MODE] == b"755"
    assert mode_of(stat) == 0o755


def test_setuid_that_somebody_else_wrote_is_not_shown() -> None:
    """The attribute map is open to every writer."""
    assert mode_of(a_stat(attributes={MODE: b"6755", OWNER: b"0:0"})) == 0o755


def test_what_cannot_be_seen_is_not_kept_twice() -> None:
    """Execution of `.contents`, a directory that nobody could enter: asked for again and again, written once."""
    directory = a_stat(kind=NodeKind.DIRECTORY)
    assert chmod(directory, Shape.CONTENTS, 0o755) == {}
    parent = a_stat()
    assert chmod(parent, Shape.DIRECTORY, 0o644) == {MODE: b"644", TIMES: b"3:%d:%d" % ((NOW_NS + 9,) * 2)}
    parent = changed(parent, chmod(parent, Shape.DIRECTORY, 0o644))
    assert chmod(parent, Shape.DIRECTORY, 0o644) == {}


def test_sticky_is_kept() -> None:
    """mkdir -m 1777, tar."""
    node = a_stat(kind=NodeKind.DIRECTORY)
    assert mode_of(changed(node, chmod(node, Shape.DIRECTORY, 0o1777)), Shape.DIRECTORY) == 0o1777


def test_a_file_that_got_children_can_be_entered() -> None:
    """Its mode was set when it was a file: who may read it may enter."""
    node = a_stat(attributes={MODE: b"640"})
    assert mode_of(node) == 0o640
    assert mode_of(node, Shape.DIRECTORY) == 0o750


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444, 0o400])
def test_the_mode_of_contents_is_its_directory_s(mode: int) -> None:
    """There is one to keep; the directory stays one that can be entered, as `sed -i` on `.contents` would not."""
    node = a_stat(kind=NodeKind.DIRECTORY, attributes={MODE: b"755"})
    after = changed(node, chmod(node, Shape.CONTENTS, mode))
    assert mode_of(after, Shape.CONTENTS) == mode
    assert mode_of(after, Shape.DIRECTORY) == mode | (mode & 0o444) >> 2


@given(STATS, IDS, IDS)
def test_an_owner_there_and_back(stat: Stat, uid: int, gid: int) -> None:
    """-1 leaves one as it is; the same once more changes nothing."""
    if not room_for(stat.attributes, {OWNER: b"x" * 21}):
        return
    before = attributes_of(stat, Shape.FILE, VIEW)
    after = changed(stat, chown(stat, VIEW, uid, gid))
    shown = attributes_of(after, Shape.FILE, VIEW)
    assert shown["st_uid"] == (before["st_uid"] if uid == -1 else uid)
    assert shown["st_gid"] == (before["st_gid"] if gid == -1 else gid)
    assert chown(after, VIEW, uid, gid) == {}
    assert chown(after, VIEW, (1 << 32) - 1, -1) == {}


def test_the_owner_of_the_mount_is_shown_but_not_kept() -> None:
    """Another mount shows its own; only what was set is everybody's."""
    assert chown(a_stat(), VIEW, 1000, 100) == {}
    assert attributes_of(a_stat(), Shape.FILE, View(5, 6))["st_uid"] == 5
    stat = changed(a_stat(), chown(a_stat(), VIEW, 33, -1))
    assert stat.attributes[OWNER] == b"33:100"
    assert attributes_of(stat, Shape.FILE, View(5, 6))["st_uid"] == 33
    assert attributes_of(stat, Shape.FILE, View(5, 6))["st_gid"] == 100


@pytest.mark.parametrize(
    "change",
    [
        lambda stat: chmod(stat, Shape.FILE, 0o600),
        lambda stat: chown(stat, VIEW, 5, 5),
        lambda stat: keeping_times(stat, {"xattr.note": b"x"}),
    ],
)
@pytest.mark.parametrize("before", [{}, {TIMES: b"3:111:222"}])
def test_a_change_of_attributes_is_none_of_the_content(change: object, before: dict[str, bytes]) -> None:
    """chmod(2), chown(2), setxattr(2) move st_ctime alone: make and rsync need not start again."""
    assert callable(change)
    stat = a_stat(attributes=before)
    after = changed(stat, change(stat))
    assert after.modified != stat.modified
    shown, earlier = (attributes_of(each, Shape.FILE, VIEW) for each in (after, stat))
    assert (shown["st_atime"], shown["st_mtime"]) == (earlier["st_atime"], earlier["st_mtime"])
    assert shown["st_ctime"] > earlier["st_ctime"]


def test_the_time_gives_way_to_what_was_asked_for() -> None:
    """A map that has room for the mode alone keeps the mode."""
    room = len(MODE) + 3
    stat = a_stat(attributes={"other": b"x" * (ATTRIBUTES_LIMIT - 5 - room)})
    assert chmod(stat, Shape.FILE, 0o600) == {MODE: b"600"}


# ------------------------------------------------------------------------------------------------------------ malformed


@given(SCRIBBLES, SCRIBBLES, SCRIBBLES)
def test_what_others_wrote_is_passed_over(mode: bytes, owner: bytes, times: bytes) -> None:
    """Any bytes: they count or they do not."""
    stat = a_stat(attributes={MODE: mode, OWNER: owner, TIMES: times})
    assert (kept_mode(stat) or 0) in range(PERMISSIONS + 1)
    for pair in (kept_owner(stat), kept_times(stat)):
        assert pair is None or len(pair) == 2


@pytest.mark.parametrize(
    "value", [b"", b"8", b"0o7", b"-1", b"77777", b" 7", b"7 ", b"7\n", b"0x1f", b"\xd9\xa7", b"7_7"]
)
def test_what_is_no_mode(value: bytes) -> None:
    """Python's int() would take some of these."""
    assert kept_mode(a_stat(attributes={MODE: value})) is None


@pytest.mark.parametrize(
    "value", [b"", b"1", b"1:", b":1", b"1:2:3", b"-1:1", b"1:4294967295", b"9999999999:1", b"1:1\n"]
)
def test_what_is_no_owner(value: bytes) -> None:
    """The last number of 32 bits means nobody."""
    assert kept_owner(a_stat(attributes={OWNER: value})) is None


@pytest.mark.parametrize(
    "value", [b"", b"3", b"3:1", b"3:1:2:4", b"3:1:x", b"-3:1:2", b"3:1:9223372036854775808", b"3:1:2\n", b"3:+1:2"]
)
def test_what_is_no_time(value: bytes) -> None:
    """Nanoseconds in 64 bits, of a generation."""
    assert kept_times(a_stat(attributes={TIMES: value})) is None


def test_what_is_a_time() -> None:
    """Before 1970 too; leading noughts are nobody's harm."""
    assert kept_times(a_stat(attributes={TIMES: b"3:-1:0002"})) == (-1, 2)


# ------------------------------------------------------------------------------------------------------------- new ones


@pytest.mark.parametrize(
    ("kind", "mode", "uid", "gid", "kept"),
    [
        (NodeKind.FILE, 0o644, 1000, 100, {}),
        (NodeKind.FILE, posix.S_IFREG | 0o644, 1000, 100, {}),
        (NodeKind.DIRECTORY, 0o755, 1000, 100, {}),
        (NodeKind.FILE, 0o600, 1000, 100, {MODE: b"600"}),
        (NodeKind.FILE, 0o0, 1000, 100, {MODE: b"0"}),
        (NodeKind.DIRECTORY, 0o700, 1000, 100, {MODE: b"700"}),
        (NodeKind.FILE, 0o4755, 1000, 100, {MODE: b"755"}),
        (NodeKind.FILE, 0o644, 0, 0, {OWNER: b"0:0"}),
        (NodeKind.FILE, 0o600, 1000, 5, {MODE: b"600", OWNER: b"1000:5"}),
    ],
)
def test_a_new_node_keeps_what_it_would_not_show_anyway(
    kind: NodeKind, mode: int, uid: int, gid: int, kept: dict[str, bytes]
) -> None:
    """`echo > f` under the usual umask leaves nothing in the cell's memory."""
    assert first_attributes(kind, mode, uid, gid, VIEW) == kept


@given(st.sampled_from(NodeKind), MODES, st.integers(0, 1 << 31), st.integers(0, 1 << 31))
def test_a_new_node_shows_what_it_was_made_with(kind: NodeKind, mode: int, uid: int, gid: int) -> None:
    """Mode and owner, as open(2) and mkdir(2) have it."""
    stat = a_stat(kind=kind, attributes=first_attributes(kind, mode, uid, gid, VIEW))
    shown = attributes_of(stat, shape_of(stat, False), VIEW)
    assert posix.S_IMODE(shown["st_mode"]) == mode & PERMISSIONS
    assert (shown["st_uid"], shown["st_gid"]) == (uid, gid)
