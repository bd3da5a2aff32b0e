"""What a path in the mount means."""

from __future__ import annotations

import errno

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chubby import paths
from chubby.types.limits import DEPTH_LIMIT, NAME_LIMIT, PATH_LIMIT
from fuse_mount.names import (
    CONTENTS_NAME,
    CONTROL_NAME,
    AllCells,
    ContentsOf,
    Control,
    ControlDirectory,
    ControlFile,
    Node,
    Place,
    parse,
    parse_new,
    path_of,
    split_cell,
)

COMPONENTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=10)
LEGAL = COMPONENTS.filter(lambda name: name not in {".", ".."} | paths.RESERVED_NAMES)
NODE_PATHS = st.lists(LEGAL, max_size=5).map(lambda names: "/" + "/".join(names))
CELLS = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,8}", fullmatch=True)
PLACES_OF_ONE = st.one_of(
    st.builds(Node, NODE_PATHS),
    st.builds(ContentsOf, NODE_PATHS),
    st.just(ControlDirectory()),
    st.builds(ControlFile, st.sampled_from(Control)),
)
PLACES_OF_ALL = st.one_of(
    st.just(AllCells()),
    st.builds(Node, NODE_PATHS, CELLS),
    st.builds(ContentsOf, NODE_PATHS, CELLS),
    st.builds(ControlDirectory, CELLS),
    st.builds(ControlFile, st.sampled_from(Control), CELLS),
)
AWKWARD = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=20).map(lambda raw: raw.decode(errors="surrogateescape")),
    st.sampled_from(["", ".", "..", "a", "é" * 128, "x" * 256, "local", *paths.RESERVED_NAMES, "status", "events"]),
)
AWKWARD_PATHS = st.one_of(AWKWARD, st.lists(AWKWARD, max_size=8).map(lambda names: "/" + "/".join(names)))
OTHERS = {errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR}


def refused(path: str, every_cell: bool = False) -> int:
    """With which errno `path` is refused; it must be."""
    with pytest.raises(OSError) as caught:
        parse(path, every_cell)
    assert caught.value.errno is not None
    return caught.value.errno


def refused_new(path: str, every_cell: bool = False) -> int:
    """With which errno `path` is refused as the name of something new."""
    with pytest.raises(OSError) as caught:
        parse_new(path, every_cell)
    assert caught.value.errno is not None
    return caught.value.errno


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", Node("/")),
        ("/a", Node("/a")),
        ("/svc/leader", Node("/svc/leader")),
        ("/.hidden", Node("/.hidden")),
        ("/.contents", ContentsOf("/")),
        ("/a/.contents", ContentsOf("/a")),
        ("/a/b/.contents", ContentsOf("/a/b")),
        ("/.chubby", ControlDirectory()),
        ("/.chubby/status", ControlFile(Control.STATUS)),
        ("/.chubby/events", ControlFile(Control.EVENTS)),
        ("/.chubby2", Node("/.chubby2")),
        ("/a/.contents2", Node("/a/.contents2")),
    ],
)
def test_what_a_path_means(path: str, place: Place) -> None:
    """In a mount of one cell."""
    assert parse(path) == place
    assert path_of(place) == path


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", AllCells()),
        ("/local", Node("/", "local")),
        ("/local/svc/leader", Node("/svc/leader", "local")),
        ("/local/.contents", ContentsOf("/", "local")),
        ("/local/a/.contents", ContentsOf("/a", "local")),
        ("/local/.chubby", ControlDirectory("local")),
        ("/eu.prod-1/.chubby/master", ControlFile(Control.MASTER, "eu.prod-1")),
        ("/local/local", Node("/local", "local")),
    ],
)
def test_what_a_path_means_among_all_cells(path: str, place: Place) -> None:
    """`--all`: the first component is the cell."""
    assert parse(path, True) == place
    assert path_of(place) == path


@given(PLACES_OF_ONE)
def test_one_cell_there_and_back(place: Place) -> None:
    """Formatting and parsing undo each other."""
    assert parse(path_of(place)) == place


@given(PLACES_OF_ALL)
def test_all_cells_there_and_back(place: Place) -> None:
    """The same with `--all`."""
    assert parse(path_of(place), True) == place


@given(AWKWARD_PATHS)
@example("/\udcff")
@example("/a\x00b")
@example("//")
@example("/.contents/")
@example("")
def test_any_text_means_something_or_is_refused(path: str) -> None:
    """No text raises anything but an OSError with a number; what is accepted has this one spelling."""
    for every_cell in (False, True):
        try:
            place = parse(path, every_cell)
        except OSError as refusal:
            assert refusal.errno in OTHERS
            assert "\n" not in str(refusal)
        else:
            assert path_of(place) == path


@given(AWKWARD_PATHS)
@example("/a/.chubby/b")
@example("/.contents")
def test_no_path_reaches_a_reserved_name_in_the_cell(path: str) -> None:
    """What the cell would see is legal there: `.chubby` and `.contents` are never stored."""
    for every_cell in (False, True):
        try:
            place = parse(path, every_cell)
        except OSError:
            continue
        if isinstance(place, Node | ContentsOf):
            assert paths.validate(place.path) == place.path


@given(AWKWARD_PATHS)
def test_any_name_can_be_made_or_is_refused(path: str) -> None:
    """What can be made is what is there under that name afterwards."""
    for every_cell in (False, True):
        try:
            made = parse_new(path, every_cell)
        except OSError as refusal:
            assert refusal.errno in OTHERS | {errno.EPERM}
        else:
            assert made == parse(path, every_cell)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("", errno.EINVAL),
        ("a", errno.EINVAL),
        ("//", errno.EINVAL),
        ("/a/", errno.EINVAL),
        ("/a//b", errno.EINVAL),
        ("/a/../b", errno.EINVAL),
        ("/a/./b", errno.EINVAL),
        ("/a\nb", errno.EINVAL),
        ("/a\x7f", errno.EINVAL),
        ("/a\x00", errno.EINVAL),
        ("/caf\udce9", errno.EILSEQ),
        ("/\ud800", errno.EILSEQ),
        ("/.chubby/nothing", errno.ENOENT),
        ("/.chubby/STATUS", errno.ENOENT),
        ("/.chubby/.contents", errno.ENOENT),
        ("/.chubby/.chubby", errno.ENOENT),
        ("/a/.chubby", errno.ENOENT),
        ("/a/.chubby/status", errno.ENOENT),
        ("/a/.contents/.chubby", errno.ENOENT),
        ("/.chubby/status/x", errno.ENOTDIR),
        ("/.contents/x", errno.ENOTDIR),
        ("/a/.contents/.contents", errno.ENOTDIR),
    ],
)
def test_what_is_refused(path: str, number: int) -> None:
    """The module's table, line by line."""
    assert refused(path) == number


@pytest.mark.parametrize("path", ["/.chubby", "/.contents", "/-x", "/_", "/ local", "/caf\u00e9", "/" + "c" * 64])
def test_among_all_cells_only_cells(path: str) -> None:
    """What cannot be a cell's name is not there, whatever is below it."""
    assert refused(path, True) == errno.ENOENT
    assert refused(path + "/status", True) == errno.ENOENT


def test_a_name_of_255_bytes_is_the_longest() -> None:
    """Bytes, not characters; the kernel lets FUSE names of up to 1024 pass."""
    assert parse("/" + "n" * NAME_LIMIT) == Node("/" + "n" * NAME_LIMIT)
    assert refused("/" + "n" * (NAME_LIMIT + 1)) == errno.ENAMETOOLONG
    assert parse("/" + "é" * 127 + "n") == Node("/" + "é" * 127 + "n")
    assert refused("/" + "é" * 128) == errno.ENAMETOOLONG


@pytest.mark.parametrize("prefix", ["", "/a", "/.chubby", "/a/.contents", "/a/.chubby"])
def test_a_name_that_is_too_long_is_that_first(prefix: str) -> None:
    """Wherever it stands."""
    assert refused(prefix + "/" + "n" * 300) == errno.ENAMETOOLONG
    assert refused("/local" + prefix + "/" + "n" * 300, True) == errno.ENAMETOOLONG


def test_a_path_of_64_names_is_the_deepest() -> None:
    """`DEPTH_LIMIT`; the content of the deepest node is no deeper."""
    deepest = "/d" * DEPTH_LIMIT
    assert parse(deepest) == Node(deepest)
    assert parse(f"{deepest}/{CONTENTS_NAME}") == ContentsOf(deepest)
    assert refused(deepest + "/d") == errno.ENAMETOOLONG
    assert parse("/local" + deepest, True) == Node(deepest, "local")


def test_a_path_of_1024_bytes_is_the_longest() -> None:
    """`PATH_LIMIT` counts within the cell."""
    longest = ("/" + "p" * 127) * 8
    assert len(longest) == PATH_LIMIT
    assert parse(longest) == Node(longest)
    assert parse(f"{longest}/{CONTENTS_NAME}") == ContentsOf(longest)
    assert parse("/local" + longest, True) == Node(longest, "local")
    assert refused(longest + "p") == errno.ENAMETOOLONG
    assert refused(f"{longest}/p") == errno.ENAMETOOLONG


@pytest.mark.parametrize("path", ["/.chubby", "/.chubby/status", "/.chubby/new", "/a/.chubby", "/a/.chubby/b"])
def test_nobody_makes_controls(path: str) -> None:
    """`.chubby` is never stored. EPERM, not ENOENT: the parent is there."""
    assert refused_new(path) == errno.EPERM
    assert refused_new("/local" + path, True) == errno.EPERM


@pytest.mark.parametrize("path", ["/", "/local", "/new", "/.chubby", "/.hidden"])
def test_nobody_makes_cells(path: str) -> None:
    """A cell is there because a configuration file is."""
    assert refused_new(path, True) == errno.EPERM


@pytest.mark.parametrize(
    ("path", "made"), [("/a", Node("/a")), ("/a/.contents", ContentsOf("/a")), ("/.contents", ContentsOf("/"))]
)
def test_what_can_be_made(path: str, made: Place) -> None:
    """Nodes, and the content of one that is a directory."""
    assert parse_new(path) == made


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/a/.contents/b", errno.ENOTDIR),
        ("/caf\udce9", errno.EILSEQ),
        ("/a\nb", errno.EINVAL),
        ("/" + "n" * 256, errno.ENAMETOOLONG),
        ("/d" * 65, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_made(path: str, number: int) -> None:
    """The reasons are those of any look-up."""
    assert refused_new(path) == number


@pytest.mark.parametrize(
    ("path", "parts"),
    [("/local", ("local", "/")), ("/local/a/b", ("local", "/a/b")), ("/eu/.chubby", ("eu", "/.chubby"))],
)
def test_a_path_is_split_at_the_cell(path: str, parts: tuple[str, str]) -> None:
    """What is left means in the mount of that cell what the whole means in that of all."""
    assert split_cell(path) == parts


@pytest.mark.parametrize("path", ["", "/", "local", "/local/", "/\udcff", "/.x/y"])
def test_what_cannot_be_split(path: str) -> None:
    """Refused as OSError, as everywhere."""
    with pytest.raises(OSError):
        split_cell(path)


@given(CELLS, PLACES_OF_ONE)
def test_splitting_agrees_with_parsing(cell: str, place: Place) -> None:
    """A mount of all cells is one mount for each, below its name."""
    inside = path_of(place)
    whole = f"/{cell}" if inside == "/" else f"/{cell}{inside}"
    assert split_cell(whole) == (cell, inside)
    among_all = parse(whole, True)
    assert not isinstance(among_all, AllCells)
    assert among_all.cell == cell
    assert path_of(among_all) == whole


def test_the_reserved_names_are_those_of_the_cell() -> None:
    """One list: what a mount needs, no door of the cell lets in."""
    assert {CONTENTS_NAME, CONTROL_NAME} == paths.RESERVED_NAMES
    assert {control.value for control in Control} == {"status", "master", "session", "events", "version"}


def test_a_refusal_is_not_remembered() -> None:
    """Only meanings are kept: each refusal is an exception of its own, with its own traceback."""
    with pytest.raises(OSError) as first:
        parse("/a//b")
    with pytest.raises(OSError) as second:
        parse("/a//b")
    assert first.value is not second.value
