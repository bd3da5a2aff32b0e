"""`ls`, `tree`, `cat`, `stat`, `put`, `mkdir`, `rm` at a cell in memory: what is printed, what is left, exit codes."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chubby.cli import exits
from chubby.errors import NoQuorum, OutcomeUnknown
from chubby.types.limits import TRANSACTION_LIMIT
from chubby.types.nodes import NodeKind
from tests.cli.conftest import Typed
from tests.cli.fake_cell import FakeCell


def test_put_on_a_fresh_cell_makes_the_parents(cell: FakeCell, typed: Typed) -> None:
    """README's first example: `chubby put /ls/local/svc/addr 10.0.0.7:80` works and says nothing."""
    result = typed("put", "/ls/local/svc/addr", "10.0.0.7:80")
    assert (result.exit_code, result.output) == (exits.OK, "")
    assert cell.contents("/svc/addr") == b"10.0.0.7:80"
    parent = cell.machine.node("/svc")
    assert parent is not None and parent.stat.kind is NodeKind.DIRECTORY
    assert typed("cat", "/ls/local/svc/addr").output == "10.0.0.7:80"


def test_put_replaces_and_touches_no_parent(cell: FakeCell, typed: Typed) -> None:
    """One transaction where everything is there; the parents' instances and generations stay."""
    typed("put", "/a/b", "1")
    before, transactions = cell.machine.node("/a"), cell.transactions
    assert typed("put", "/a/b", "2").exit_code == exits.OK
    assert cell.contents("/a/b") == b"2"
    assert cell.machine.node("/a") == before
    assert cell.transactions == transactions + 1


def test_put_without_parents_refuses(cell: FakeCell, typed: Typed) -> None:
    """--no-parents: the hint that something is misspelt."""
    result = typed("put", "/a/b/c", "1", "--no-parents")
    assert result.exit_code == exits.NO
    assert result.stderr.startswith("chubby: '/a/b' is not there")
    assert cell.contents("/a") is None


def test_put_if_generation(cell: FakeCell, typed: Typed) -> None:
    """Compare-and-set: the loser is told the generation there is."""
    typed("put", "/a", "1")
    generation = json.loads(typed("stat", "/a", "--json").output)["content_generation"]
    assert typed("put", "/a", "2", "--if-generation", str(generation)).exit_code == exits.OK
    result = typed("put", "/a", "3", "--if-generation", str(generation))
    assert result.exit_code == exits.NO
    assert result.stderr == f"chubby: /a has generation {generation + 1}, not {generation}\n"
    assert cell.contents("/a") == b"2"
    missing = typed("put", "/b", "3", "--if-generation", "1")
    assert missing.exit_code == exits.NO and "not there" in missing.stderr


def test_put_create_only(cell: FakeCell, typed: Typed) -> None:
    """The second one is refused, and changes nothing; parents are made for the first."""
    assert typed("put", "/a/b", "1", "--create-only").exit_code == exits.OK
    result = typed("put", "/a/b", "2", "--create-only")
    assert result.exit_code == exits.NO and "is there already" in result.stderr
    assert cell.contents("/a/b") == b"1"


def test_put_reads_standard_input(cell: FakeCell, typed: Typed) -> None:
    """Any bytes, with - and without VALUE."""
    assert typed("put", "/a", "-", stdin=b"\0\xff\n").exit_code == exits.OK
    assert cell.contents("/a") == b"\0\xff\n"
    assert typed("put", "/b", stdin=b"").exit_code == exits.OK
    assert cell.contents("/b") == b""


def test_put_json_says_what_there_is_now(cell: FakeCell, typed: Typed) -> None:
    """Enough for a program to go on: generation and revision."""
    shape = json.loads(typed("put", "/a/b", "xyz", "--json").output)
    assert (shape["name"], shape["length"], shape["was_created"]) == ("/ls/local/a/b", 3, True)
    assert shape["revision"] == cell.machine.revision
    assert json.loads(typed("put", "/a/b", "x", "--json").output)["was_created"] is False


def test_put_ephemeral_stays_and_reports_its_loss(cell: FakeCell, typed: Typed) -> None:
    """It makes parents, keeps the node until it is lost, and says so."""
    result = typed("put", "/svc/members/me", "up", "--ephemeral")
    assert result.exit_code == exits.UNAVAILABLE
    assert "/ls/local/svc/members/me is not ours any more: the node was deleted" in result.stderr
    assert cell.asked == [("close", "/svc/members/me")]


@pytest.mark.parametrize("other", [["--create-only"], ["--ephemeral"]])
def test_put_refuses_contradictions(typed: Typed, other: list[str]) -> None:
    """A generation speaks of a node that exists."""
    assert typed("put", "/a", "1", "--if-generation", "1", *other).exit_code == exits.USAGE


def test_mkdir(cell: FakeCell, typed: Typed) -> None:
    """Without -p like mkdir(1): parents must be there, the directory must not."""
    assert typed("mkdir", "/a/b").exit_code == exits.NO
    assert typed("mkdir", "/a", "/b").exit_code == exits.OK
    assert typed("mkdir", "/a").exit_code == exits.NO
    assert typed("mkdir", "-p", "/a", "/c/d/e").exit_code == exits.OK
    node = cell.machine.node("/c/d/e")
    assert node is not None and node.stat.kind is NodeKind.DIRECTORY
    assert [json.loads(line)["was_created"] for line in typed("mkdir", "-p", "--json", "/a", "/x").output.split()] == [
        False,
        True,
    ]


def test_rm(cell: FakeCell, typed: Typed) -> None:
    """A node with children is refused without -r; what is missing without -f."""
    cell.put("/a", b"", "/a/b", "/a/b/c", "/a/d")
    result = typed("rm", "/a")
    assert result.exit_code == exits.NO and "has children" in result.stderr
    assert json.loads(typed("rm", "-r", "--json", "/a").output) == {"name": "/ls/local/a", "deleted": 4}
    assert cell.contents("/a") is None
    assert typed("rm", "/a").exit_code == exits.NO
    assert typed("rm", "-r", "/a").exit_code == exits.NO
    assert typed("rm", "-f", "/a").exit_code == exits.OK
    assert typed("rm", "-rf", "/a").exit_code == exits.OK


def test_rm_deletes_more_than_one_transaction_holds(cell: FakeCell, typed: Typed) -> None:
    """Batch after batch, children before parents."""
    cell.put("/a")
    for index in range(TRANSACTION_LIMIT + 10):
        cell.put(f"/a/{index}", b"", f"/a/{index}/x")
    assert typed("rm", "-r", "/a").exit_code == exits.OK
    assert cell.contents("/a") is None


def test_rm_never_deletes_the_root(cell: FakeCell, typed: Typed) -> None:
    """Not even by mistake."""
    cell.put("/a")
    assert typed("rm", "-rf", "/ls/local").exit_code == exits.USAGE
    assert cell.contents("/a") is not None


def test_ls(cell: FakeCell, typed: Typed) -> None:
    """Names alone, in order; the root by default; a file itself; an empty directory nothing."""
    cell.put("/svc", b"", "/svc/b", "/svc/a", "/svc/c", "/svc/a/x")
    assert typed("ls").output == "acl\nsvc\n"
    assert typed("ls", "/ls/local/svc").output == "a\nb\nc\n"
    assert typed("ls", "/svc/").output == "a\nb\nc\n"
    assert typed("ls", "/svc/b").output == "/ls/local/svc/b\n"
    typed("mkdir", "/empty")
    assert typed("ls", "/empty").output == ""
    assert typed("ls", "/empty", "-l").output == ""


def test_ls_long(cell: FakeCell, typed: Typed) -> None:
    """Aligned columns under a header."""
    cell.put("/svc", b"four")
    typed("mkdir", "/zoo")
    header, *lines = typed("ls", "-l").output.splitlines()
    assert header.split() == ["kind", "bytes", "generation", "revision", "modified", "name"]
    kinds = {line.split()[-1]: (line.split()[0], line.split()[1]) for line in lines}
    assert kinds == {"acl": ("d", "0"), "svc": ("-", "4"), "zoo": ("d", "0")}
    assert len({line.rindex(line.split()[-1]) for line in lines}) == 1
    assert "2000-01-01T00:00:00.000Z" in lines[1]


def test_ls_json_names_each_child_in_full(cell: FakeCell, typed: Typed) -> None:
    """Shapes as `stat --json`."""
    cell.put("/svc", b"", "/svc/a")
    shapes = json.loads(typed("ls", "/svc", "--json").output)
    assert [shape["name"] for shape in shapes] == ["/ls/local/svc/a"]
    assert shapes[0] == json.loads(typed("stat", "/svc/a", "--json").output)


def test_ls_json_of_the_root_has_no_double_slash(cell: FakeCell, typed: Typed) -> None:
    """Names can be typed back."""
    names = [shape["name"] for shape in json.loads(typed("ls", "--json").output)]
    assert names == ["/ls/local/acl"]


def test_tree(cell: FakeCell, typed: Typed) -> None:
    """Lines as tree(1) draws them."""
    cell.put("/svc", b"", "/svc/a", "/svc/a/x", "/svc/b", "/svc/b/y")
    assert typed("tree", "/svc").output == ("/ls/local/svc\n├── a\n│   └── x\n└── b\n    └── y\n")
    assert typed("tree", "/svc", "--depth", "1").output == "/ls/local/svc\n├── a\n└── b\n"
    shape = json.loads(typed("tree", "/svc", "--json").output)
    assert [child["name"] for child in shape["children"]] == ["a", "b"]
    assert shape["children"][0]["children"][0]["name"] == "x"
    assert typed("tree", "/no").exit_code == exits.NO


def test_cat_several_in_one_transaction(cell: FakeCell, typed: Typed) -> None:
    """Bytes as they are, one after the other, of one instant."""
    cell.put("/a", b"\xff\0a\n")
    cell.put("/b", b"b")
    before = cell.transactions
    assert typed("cat", "/a", "/b").stdout_bytes == b"\xff\0a\nb"
    assert cell.transactions == before + 1
    assert typed("cat", "/a", "/no").exit_code == exits.NO
    shape = json.loads(typed("cat", "/a", "--json").output)
    assert shape["base64"] == "/wBhCg=="
    assert json.loads(typed("cat", "/b", "--json").output)["text"] == "b"


def test_stat(cell: FakeCell, typed: Typed) -> None:
    """A line for each field; JSON with the same names."""
    cell.put("/a", b"abc")
    lines = dict(line.split(":", 1) for line in typed("stat", "/a").output.splitlines())
    assert lines["name"].strip() == "/ls/local/a"
    assert lines["length"].strip() == "3"
    assert lines["ephemeral"].strip() == "no"
    assert lines["acl"].strip() == "read=anyone write=anyone change=administrators"
    shape = json.loads(typed("stat", "/a", "--json").output)
    assert shape["acl"] == {"read": "anyone", "write": "anyone", "change": "administrators"}
    assert shape["kind"] == "file" and shape["created_at"] == "2000-01-01T00:00:00.000Z"
    assert len(json.loads(typed("stat", "/a", "/", "--json").output)) == 2
    assert "\n\n" in typed("stat", "/a", "/").output


def test_names_of_two_cells_are_refused(typed: Typed) -> None:
    """One command, one session, one cell."""
    result = typed("cat", "/ls/a/x", "/ls/b/x")
    assert result.exit_code == exits.USAGE and "one cell" in result.stderr


def test_bad_paths_are_usage_errors(typed: Typed) -> None:
    """The rule is in the message."""
    result = typed("cat", "/a//b")
    assert result.exit_code == exits.USAGE
    assert result.stderr == "chubby: '/a//b': a component is empty\n"


@pytest.mark.parametrize(
    ("error", "code"), [(NoQuorum("no quorum"), exits.UNAVAILABLE), (OutcomeUnknown("may be"), exits.TRY_AGAIN)]
)
def test_errors_go_to_stderr_with_their_code(
    cell: FakeCell, typed: Typed, error: NoQuorum | OutcomeUnknown, code: int
) -> None:
    """`chubby: ...` and nothing on stdout."""
    cell.failure = error
    result = typed("cat", "/a")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"chubby: {error}\n")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=3), min_size=1, max_size=5), st.binary())
def test_what_is_put_is_read_back(typed: Typed, names: list[str], contents: bytes) -> None:
    """Any depth, any bytes, whatever was there before."""
    path = "/" + "/".join(names)
    assert typed("put", path, "-", stdin=contents).exit_code == exits.OK
    assert typed("cat", path).stdout_bytes == contents
