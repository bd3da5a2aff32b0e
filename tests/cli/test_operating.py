"""`locks`, `sessions`, `check-sequencer`, `step-down`, `acl`, `watch`, `txn` at a cell in memory."""

from __future__ import annotations

import json

import pytest

from chubby.cli import exits, operating
from chubby.cli.options import Connection
from chubby.cli.status_view import Picture, picture_of
from chubby.cli.watch import concerns
from chubby.types.events import Event, EventKind
from chubby.types.nodes import LockMode
from chubby.types.words import EVENT_WORDS
from tests.cli.conftest import Typed
from tests.cli.fake_cell import FakeCell
from tests.cli.statuses import address, answers, status


def test_locks(cell: FakeCell, typed: Typed) -> None:
    """Holders, waiters in order, token, lock-delay; only what is below PATH."""
    cell.put("/a", b"", "/b", "/b/c")
    holder, waiter = cell.hold("/a"), cell.hold("/a", LockMode.SHARED)
    other = cell.hold("/b/c")
    header, first, second = typed("locks").output.splitlines()
    assert header.split("  ")[0] == "lock"
    token = cell.machine.lock("/a")
    assert token is not None
    assert first.split() == [
        "/ls/local/a", "exclusive", str(token.token), f"{holder}/1", f"{waiter}/1", "shared", "2", "s"
    ]  # fmt: skip
    assert second.split()[0] == "/ls/local/b/c"
    (shape,) = json.loads(typed("locks", "/b", "--json").output)
    assert shape["name"] == "/ls/local/b/c"
    assert shape["holders"] == [{"session": other, "handle": 1}]
    assert (shape["mode"], shape["waiters"], shape["delayed"], shape["delay_s"]) == ("exclusive", [], False, 2.0)


def test_no_locks_is_no_output(typed: Typed) -> None:
    """Quiet when piped; an empty list for programs."""
    assert (typed("locks").output, typed("locks", "--json").output) == ("", "[]\n")


def test_sessions(typed: Typed) -> None:
    """A line each."""
    header, line = typed("sessions").output.splitlines()
    assert header.startswith("session") and "tester" in line and "6.0 s" in line
    (*_, shape) = json.loads(typed("sessions", "--json").output)
    assert (shape["principal"], shape["lease_left_s"], shape["connected"]) == ("tester", 6.0, True)


def test_check_sequencer(cell: FakeCell, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hexadecimal, from the argument or the environment; a stale one is 1, noise is 64."""
    cell.put("/a")
    cell.hold("/a")
    info = cell.machine.lock("/a")
    assert info is not None
    valid = f"{info.token}:/a".encode().hex()
    assert typed("check-sequencer", valid).output == f"/ls/local/a: held, exclusive, token {info.token}\n"
    assert json.loads(typed("check-sequencer", valid.upper(), "--json").output)["token"] == info.token
    monkeypatch.setenv("CHUBBY_SEQUENCER", valid)
    assert typed("check-sequencer").exit_code == exits.OK
    stale = typed("check-sequencer", f"{info.token - 1}:/a".encode().hex())
    assert (stale.exit_code, stale.stderr) == (exits.NO, "chubby: the hold period is over\n")
    assert typed("check-sequencer", "xyz").exit_code == exits.USAGE


def test_step_down(cell: FakeCell, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """To somebody, or to whoever is fit; to nobody who cannot be master, as a misspelt number."""

    async def look(_connection: Connection) -> Picture:
        said = [status(1, margin=1, learners=(6,)), *(status(number, learners=(6,)) for number in (2, 3, 6))]
        picture = picture_of(answers(*said), {address(4): "no connection", address(5): "no connection"})
        assert picture is not None
        return picture

    monkeypatch.setattr(operating, "look", look)
    assert typed("step-down").exit_code == typed("step-down", "--to", "3").exit_code == exits.OK
    for number, why in ((9, "is not a member; members are 1, 2, 3"), (6, "does not vote"), (4, "does not answer: no")):
        refused = typed("step-down", "--to", str(number))
        assert refused.exit_code == exits.NO and f"replica {number} {why}" in refused.stderr
    assert cell.asked == [("step_down", 0), ("step_down", 3)]


def test_acl_show_and_set(cell: FakeCell, typed: Typed) -> None:
    """Names that are not given stay; the generation guards."""
    cell.put("/a")
    assert typed("acl", "show", "/a").output == "read:   anyone\nwrite:  anyone\nchange: administrators\n"
    assert typed("acl", "set", "/a", "--write", "deployers").exit_code == exits.OK
    shape = json.loads(typed("acl", "show", "/a", "--json").output)
    assert (shape["read"], shape["write"], shape["change"]) == ("anyone", "deployers", "administrators")
    stale = typed("acl", "set", "/a", "--read", "x", "--if-generation", str(shape["generation"] - 1))
    assert stale.exit_code == exits.NO and "ACL generation" in stale.stderr
    assert typed("acl", "set", "/a", "--read", "x", "--if-generation", str(shape["generation"])).exit_code == exits.OK
    assert typed("acl", "set", "/a").exit_code == exits.USAGE


def test_acl_lists(cell: FakeCell, typed: Typed) -> None:
    """Made when needed, each principal once, comments kept."""
    assert typed("acl", "list", "deployers").exit_code == exits.NO
    assert typed("acl", "add", "deployers", "alice", "bob").exit_code == exits.OK
    typed("put", "/acl/deployers", "# who deploys\nalice\nbob\n")
    typed("acl", "add", "deployers", "bob", "carol")
    typed("acl", "remove", "deployers", "alice", "nobody")
    assert cell.contents("/acl/deployers") == b"# who deploys\nbob\ncarol\n"
    assert typed("acl", "list", "deployers").output == "bob\ncarol\n"
    assert json.loads(typed("acl", "list", "deployers", "--json").output)["members"] == ["bob", "carol"]
    assert cell.machine.admits("deployers", "carol") and not cell.machine.admits("deployers", "alice")


@pytest.mark.parametrize("principal", ["", " alice", "#alice", "a\nb"])
def test_acl_refuses_what_would_not_admit_anybody(typed: Typed, principal: str) -> None:
    """A line that is read differently than it was meant."""
    assert typed("acl", "add", "x", principal).exit_code == exits.USAGE


def test_acl_anyone_is_built_in(typed: Typed) -> None:
    """There is nothing to edit."""
    assert typed("acl", "add", "anyone", "alice").exit_code == exits.USAGE


EVENTS = [
    Event(EventKind.CREATED, "/svc", 5, 9, 0, watch=1),
    Event(EventKind.CREATED, "/svc/a", 6, 10, 1, watch=1),
    Event(EventKind.CONTENTS_MODIFIED, "/svc/a/deep", 7, 11, 2, watch=1),
    Event(EventKind.MASTER_FAILED_OVER),
    Event(EventKind.RESYNC, watch=1),
    Event(EventKind.DELETED, "/svc/a", 8, 10, 1, watch=1),
]


def test_watch_shows_the_node_and_its_children(cell: FakeCell, typed: Typed) -> None:
    """README: a watch of a directory tells of the files in it; RESYNC is shown; --count ends."""
    cell.events = EVENTS
    result = typed("watch", "/ls/local/svc", "--count", "4", "--since", "3")
    assert result.exit_code == exits.OK
    assert result.output == (
        "5\tcreated\t/ls/local/svc\n6\tcreated\t/ls/local/svc/a\n-\tRESYNC\n8\tdeleted\t/ls/local/svc/a\n"
    )
    assert cell.asked == [("watch", "/svc", 3)]


def test_watch_recursive_json(cell: FakeCell, typed: Typed) -> None:
    """One line of JSON each."""
    cell.events = EVENTS
    lines = typed("watch", "/svc", "--recursive", "--json", "--count", "4").output.splitlines()
    shapes = [json.loads(line) for line in lines]
    assert [shape["event"] for shape in shapes] == ["created", "created", "contents_modified", "resync"]
    assert shapes[2] == {
        "event": "contents_modified",
        "name": "/ls/local/svc/a/deep",
        "revision": 7,
        "instance": 11,
        "generation": 2,
    }
    assert shapes[3]["name"] is None


def test_a_watch_of_the_root_tells_of_the_root_and_its_children() -> None:
    """The root has no parent to compare."""
    assert concerns(Event(EventKind.CONTENTS_MODIFIED, "/"), "/", False)
    assert concerns(Event(EventKind.CREATED, "/a"), "/", False)
    assert not concerns(Event(EventKind.CREATED, "/a/b"), "/", False)
    assert not concerns(Event(EventKind.CREATED, "/"), "/a", False)


def test_every_change_has_a_word() -> None:
    """All that derives from the history is shown."""
    changes = [EventKind.CREATED, EventKind.CONTENTS_MODIFIED, EventKind.DELETED, EventKind.ACL_MODIFIED]
    assert {*changes, EventKind.ATTRIBUTES_MODIFIED, EventKind.RESYNC} == set(EVENT_WORDS)


def test_txn_then(cell: FakeCell, typed: Typed) -> None:
    """All guards hold: the first branch, its results, exit code 0."""
    cell.put("/a", b"1")
    text = "if content /a 1\nwrite /a 2\ncreate /b x\nread /b\n"
    result = typed("txn", stdin=text)
    assert result.exit_code == exits.OK
    first, *lines = result.output.splitlines()
    assert first == f"then: revision {cell.machine.revision}"
    assert [line.split()[:2] for line in lines] == [
        ["write", "/ls/local/a"],
        ["create", "/ls/local/b"],
        ["read", "/ls/local/b"],
    ]
    assert lines[1].endswith("created") and lines[2].endswith("  x")


def test_txn_else(cell: FakeCell, typed: Typed) -> None:
    """A guard fails: the other branch, which guard, exit code 1."""
    cell.put("/a", b"1")
    result = typed("txn", stdin="if exists /a\nif content /a 2\nwrite /a 3\nelse\nread /ls/local/a\n")
    assert result.exit_code == exits.NO
    assert result.output.splitlines()[0].startswith("else: the guard 'content /a 2' did not hold; revision")
    assert cell.contents("/a") == b"1"


def test_txn_failure(cell: FakeCell, typed: Typed) -> None:
    """An operation fails: nothing changed, which one, exit code 1, nothing on stdout."""
    cell.put("/a", b"1")
    result = typed("txn", stdin="write /a 2\ncreate /a\n")
    assert (result.exit_code, result.stdout) == (exits.NO, "")
    assert "is there already; operation 1 of the transaction; nothing changed" in result.stderr
    assert cell.contents("/a") == b"1"


def test_txn_json(cell: FakeCell, typed: Typed) -> None:
    """Both ways."""
    text = json.dumps(
        {"guards": [{"type": "absent", "path": "/a"}], "then": [{"type": "create", "path": "/a", "text": "é"}]}
    )
    shape = json.loads(typed("txn", "--json", stdin=text).output)
    assert shape["succeeded"] and shape["failed_guard"] is None
    assert shape["results"][0]["name"] == "/ls/local/a" and shape["results"][0]["created"]
    assert cell.contents("/a") == "é".encode()
    again = typed("txn", "--json", stdin=text)
    assert again.exit_code == exits.NO
    assert json.loads(again.output)["failed_guard"] == 0


def test_txn_dry_run_converts(cell: FakeCell, typed: Typed) -> None:
    """From lines to JSON and back, without a session."""
    text = "if exists /a\nthen\nwrite /a 'x y'\nelse\nremove /b\n"
    encoded = typed("txn", "--dry-run", "--json", stdin=text).output
    assert typed("txn", "--dry-run", stdin=encoded).output == text
    assert cell.opened == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the transaction is empty"),
        ("# nothing\n", "the transaction is empty"),
        ("write /a", "line 1: no operation"),
        ("read /ls/x/a\nread /ls/y/a", "line 2: /ls/y/a: all names of a transaction must be of one cell"),
        ("{", "not the JSON of a transaction"),
        (b"\xff", "- is not UTF-8"),
    ],
)
def test_txn_refuses(typed: Typed, text: str | bytes, complaint: str) -> None:
    """With the place and exit code 64."""
    result = typed("txn", stdin=text)
    assert result.exit_code == exits.USAGE and complaint in result.stderr


def test_txn_missing_file(typed: Typed) -> None:
    """Named."""
    result = typed("txn", "no-such-file")
    assert result.exit_code == exits.USAGE and "no-such-file: No such file" in result.stderr
