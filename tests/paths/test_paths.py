"""The rules of names (DESIGN §1, §4; paper §2.3)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby import paths
from chubby.errors import BadPath
from chubby.paths import ROOT, Name
from chubby.types.limits import DEPTH_LIMIT, NAME_LIMIT, PATH_LIMIT

COMPONENTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=12)
LEGAL_COMPONENTS = COMPONENTS.filter(lambda name: name not in {".", ".."} | paths.RESERVED_NAMES)
LEGAL_PATHS = st.lists(LEGAL_COMPONENTS, max_size=6).map(lambda names: "/" + "/".join(names))
AWKWARD_TEXT = st.text(
    st.one_of(st.sampled_from("/.ab\x00\n\x7f\x85é€😀\ud800"), st.characters()),
    max_size=20,
)
AWKWARD_PATHS = st.one_of(
    AWKWARD_TEXT,
    st.lists(st.one_of(AWKWARD_TEXT, st.sampled_from(["", ".", "..", ".contents", ".chubby", "a"])), max_size=8).map(
        lambda names: "/" + "/".join(names)
    ),
)


def is_legal(path: str) -> bool:
    """The rules of DESIGN §4 said again, one by one, as slowly and plainly as can be."""
    if any("\ud800" <= character <= "\udfff" for character in path):
        return False
    if any(unicodedata.category(character) == "Cc" for character in path):
        return False
    if len(path.encode()) > PATH_LIMIT or path[:1] != "/":
        return False
    if path == "/":
        return True
    names = path.split("/")[1:]
    return len(names) <= DEPTH_LIMIT and all(
        name not in ("", ".", "..", ".contents", ".chubby") and len(name.encode()) <= NAME_LIMIT for name in names
    )


def accepted(check: Callable[[str], str], text: str) -> bool:
    """Whether `check` lets `text` pass; if so, unchanged."""
    try:
        assert check(text) == text
    except BadPath:
        return False
    return True


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/b/c",
        "/acl",
        "/...",
        "/.hidden",
        "/.contents.txt",
        "/contents",
        "/a b/with space",
        "/Zürich/東京/😀",
        "/" + "n" * NAME_LIMIT,
        "/d" * DEPTH_LIMIT,
        "/" + "/".join(["p" * 203] * 5) + "/end",
    ],
)
def test_legal_paths_pass_unchanged(path: str) -> None:
    """DESIGN §1: names are `/a/b/c`; whatever breaks no rule is allowed, up to the very limits."""
    assert paths.validate(path) == path


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("", "absolute"),
        ("a/b", "absolute"),
        ("./a", "absolute"),
        ("/a/", "does not end with '/'"),
        ("//", "does not end with '/'"),
        ("/a//b", "a component is empty"),
        ("//a", "a component is empty"),
        ("/.", "'.' and '..'"),
        ("/a/..", "'.' and '..'"),
        ("/../a", "'.' and '..'"),
        ("/a/./b", "'.' and '..'"),
        ("/a\x00b", "no NUL"),
        ("/a\nb", "control character"),
        ("/a\x7f", "control character"),
        ("/a\x9bb", "control character"),
        ("/\ud800", "surrogate"),
        ("/.contents", "'.contents' is a reserved name"),
        ("/a/.contents", "reserved"),
        ("/a/.contents/b", "reserved"),
        ("/.chubby", "'.chubby' is a reserved name"),
        ("/a/b/.chubby/c", "reserved"),
        ("/" + "n" * (NAME_LIMIT + 1), f"at most {NAME_LIMIT} bytes of UTF-8, one here has {NAME_LIMIT + 1}"),
        ("/" + "é" * 128, f"at most {NAME_LIMIT} bytes of UTF-8, one here has 256"),
        ("/d" * (DEPTH_LIMIT + 1), f"at most {DEPTH_LIMIT} components, this one has {DEPTH_LIMIT + 1}"),
        ("/" + "/".join(["p" * 204] * 5), f"at most {PATH_LIMIT} bytes"),
        ("/" + "/".join(["é" * 100] * 6), f"at most {PATH_LIMIT} bytes of UTF-8, this one has 1206"),
    ],
)
def test_illegal_paths_are_refused_and_the_rule_is_named(path: str, rule: str) -> None:
    """DESIGN §4 (reserved names, one spelling, limits): a refusal says which rule."""
    with pytest.raises(BadPath) as caught:
        paths.validate(path)
    assert rule in str(caught.value)


def test_a_refusal_can_be_printed_and_encoded_whatever_the_name() -> None:
    """The message travels to the client and to terminals: it neither grows with the name nor forges lines."""
    for hostile in ("/\ud800", "/a\x1b[2J\nroot: ok", "/" + "x" * 1_000_000, "\n" * 5000):
        with pytest.raises(BadPath) as caught:
            paths.validate(hostile)
        message = str(caught.value)
        assert message.encode().decode().isprintable()
        assert len(message) < 1000


def test_a_refused_path_is_refused_again() -> None:
    """The cache of checks remembers only what passed."""
    for _ in range(3):
        with pytest.raises(BadPath):
            paths.validate("/again/..")
    assert paths.validate("/again") == "/again"


def test_a_path_seen_before_is_the_same_object() -> None:
    """What `validate` returns is the first such string, so that later dictionary look-ups compare by identity."""
    first = paths.validate("/same/object")
    copy = "/same/" + "".join(["obj", "ect"])
    assert copy is not first
    assert paths.validate(copy) is first


def test_the_cache_of_checks_is_bounded() -> None:
    """A client that invents names for ever fills no memory."""
    assert paths.validate.cache_info().maxsize is not None


@given(AWKWARD_PATHS)
def test_validate_agrees_with_the_plain_rules(path: str) -> None:
    """The production check accepts exactly what the rules, said slowly, accept."""
    assert accepted(paths.validate, path) == is_legal(path)


@given(LEGAL_PATHS)
def test_the_strategy_of_legal_paths_makes_legal_paths(path: str) -> None:
    """What the other properties stand on."""
    assert paths.validate(path) == path


@given(AWKWARD_TEXT)
def test_a_legal_name_is_what_may_be_a_component(name: str) -> None:
    """`validate_name` and `validate` draw the same line."""
    assert accepted(paths.validate_name, name) == ("/" not in name and is_legal("/" + name) and name != "")


@given(AWKWARD_TEXT)
def test_an_acl_name_is_what_may_be_a_child_of_the_acl_directory(name: str) -> None:
    """DESIGN §4 ACLs: files in `/ls/<cell>/acl/NAME`."""
    try:
        path = paths.acl_file(name)
    except BadPath:
        assert not accepted(paths.validate_acl_name, name)
    else:
        assert accepted(paths.validate_acl_name, name)
        assert paths.parent(path) == paths.ACL_DIRECTORY
        assert paths.name_of(path) == name


@pytest.mark.parametrize("name", ["a/b", "..", "", "x\ny", ".contents"])
def test_an_acl_name_cannot_leave_its_directory(name: str) -> None:
    """DESIGN §4 ACLs: an ACL name is one legal component, nothing else."""
    with pytest.raises(BadPath):
        paths.acl_file(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/ls/local", Name("local", "/")),
        ("/ls/local/", Name("local", "/")),
        ("/ls/local/a/b/c", Name("local", "/a/b/c")),
        ("/ls/eu-west.prod_2/x", Name("eu-west.prod_2", "/x")),
        ("/ls/local/ls/local", Name("local", "/ls/local")),
    ],
)
def test_parse_takes_a_full_name_apart(name: str, expected: Name) -> None:
    """DESIGN §1: names are `/ls/<cell>/a/b/c`."""
    assert paths.parse(name) == expected


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "begins with /ls/<cell>"),
        ("/", "begins with /ls/<cell>"),
        ("/ls", "begins with /ls/<cell>"),
        ("/lsx/local/a", "begins with /ls/<cell>"),
        ("ls/local/a", "begins with /ls/<cell>"),
        ("/ls/", "cell is empty"),
        ("/ls//a", "cell is empty"),
        ("/ls/../a", "the first a letter or digit"),
        ("/ls/-x/a", "the first a letter or digit"),
        ("/ls/ce ll/a", "the first a letter or digit"),
        ("/ls/cell\n/a", "the first a letter or digit"),
        ("/ls/" + "c" * 64, "at most 63 characters"),
        ("/ls/local/a/", "does not end with '/'"),
        ("/ls/local//a", "a component is empty"),
        ("/ls/local/.chubby/x", "reserved"),
    ],
)
def test_parse_refuses_and_names_the_rule(name: str, rule: str) -> None:
    """A full name needs a prefix, a legal cell and a legal path."""
    with pytest.raises(BadPath) as caught:
        paths.parse(name)
    assert rule in str(caught.value)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True), LEGAL_PATHS)
def test_full_name_is_the_inverse_of_parse(cell: str, path: str) -> None:
    """Every node has one full name, and it leads back to the node."""
    assert paths.parse(paths.full_name(cell, path)) == Name(cell, path)


@given(LEGAL_PATHS, LEGAL_COMPONENTS)
def test_parent_and_name_undo_join(path: str, name: str) -> None:
    """A child is its parent's path and its own name, and nothing else."""
    child = paths.join(path, name)
    assert paths.parent(child) == path
    assert paths.name_of(child) == name
    assert paths.is_below(child, path)


@given(LEGAL_PATHS, st.lists(LEGAL_COMPONENTS, min_size=1, max_size=4))
def test_join_takes_several_components(path: str, names: list[str]) -> None:
    """A relative name of several components is the same as one after the other."""
    stepwise = path
    for name in names:
        stepwise = paths.join(stepwise, name)
    assert paths.join(path, "/".join(names)) == stepwise


@pytest.mark.parametrize("relative", ["", "/b", "b/", "..", "b/../c", ".contents", "b//c"])
def test_join_refuses_what_makes_an_illegal_path(relative: str) -> None:
    """A relative name cannot climb, leave or hide."""
    for path in ("/", "/a"):
        with pytest.raises(BadPath):
            paths.join(path, relative)


@given(LEGAL_PATHS)
def test_ancestors_lead_from_the_root_to_the_parent(path: str) -> None:
    """Each ancestor is the parent of the next, the last that of the path; there are as many as components."""
    chain = [*paths.ancestors(path), path]
    assert chain[0] == ROOT
    assert [paths.parent(lower) for lower in chain[1:]] == chain[:-1]
    assert len(chain) - 1 == (0 if path == ROOT else path.count("/"))


@given(LEGAL_PATHS, LEGAL_PATHS)
def test_below_means_an_ancestor(path: str, other: str) -> None:
    """`is_below` and `ancestors` tell the same story."""
    assert paths.is_below(path, other) == (other in paths.ancestors(path))


def test_below_is_strict_and_knows_components() -> None:
    """`/ab` shares letters with `/a`, and is no child of it."""
    assert not paths.is_below("/ab", "/a")
    assert not paths.is_below("/a", "/a")
    assert not paths.is_below("/", "/")
    assert not paths.is_below("/", "/a")
    assert paths.is_below("/a", "/")
    assert paths.is_below("/a/b/c", "/a")


def test_the_root_has_neither_parent_nor_name() -> None:
    """Deleting or creating the root fails by itself."""
    assert paths.ancestors(ROOT) == ()
    for ask in (paths.parent, paths.name_of):
        with pytest.raises(BadPath, match="the root has no"):
            ask(ROOT)


@given(st.one_of(AWKWARD_TEXT, AWKWARD_PATHS.map(lambda path: "/ls/local" + path)))
def test_parse_answers_or_refuses(name: str) -> None:
    """Whatever a human types, the answer is a legal name or BadPath, and a legal name leads back to what was typed."""
    try:
        cell, path = paths.parse(name)
    except BadPath:
        return
    assert paths.validate_cell(cell) == cell
    assert is_legal(path)
    assert paths.full_name(cell, path) in (name, name.removesuffix("/"))


@given(LEGAL_PATHS, AWKWARD_TEXT)
def test_join_is_validate_of_the_longer_path(path: str, relative: str) -> None:
    """`join` adds no rule of its own and forgets none, but that something must be joined."""
    together = f"{path.rstrip('/')}/{relative}"
    assert accepted(lambda text: paths.join(path, relative) and text, together) == (
        is_legal(together) and relative != ""
    )


@given(LEGAL_PATHS, LEGAL_PATHS, LEGAL_PATHS)
def test_below_is_an_order(low: str, middle: str, high: str) -> None:
    """Nothing lies below itself, nothing both ways, and what lies below the lower lies below the higher."""
    assert not paths.is_below(low, low)
    assert not (paths.is_below(low, middle) and paths.is_below(middle, low))
    if paths.is_below(low, middle) and paths.is_below(middle, high):
        assert paths.is_below(low, high)


@given(LEGAL_PATHS.filter(lambda path: path != ROOT))
def test_below_the_parent_means_below_its_ancestors(path: str) -> None:
    """The walk up is monotone: a recursive watch at any ancestor sees the node."""
    assert all(paths.is_below(path, ancestor) for ancestor in paths.ancestors(path))
    assert paths.ancestors(path) == (*paths.ancestors(paths.parent(path)), paths.parent(path))


@pytest.mark.parametrize("reserved", sorted(paths.RESERVED_NAMES))
@pytest.mark.parametrize("depth", [1, 2, DEPTH_LIMIT])
def test_reserved_names_are_refused_at_every_level(reserved: str, depth: int) -> None:
    """DESIGN §4: `.contents` and `.chubby` are reserved names at every door."""
    above = "/d" * (depth - 1)
    for path in (f"{above}/{reserved}", f"{above}/{reserved}/x"):
        with pytest.raises(BadPath):
            paths.validate(path)
    assert paths.validate(f"{above}/{reserved}x")
