"""Ledgers count what happened and decide what is worth a line in the log; what is sans-IO stays sans-IO."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import pytest

import chubby.transport
from chubby.transport.greetings import Goodbye, Hello, Reason
from chubby.transport.statistics import Ledger, PeerLedger, Tally, Tidings
from tests.transport.conftest import Run
from tests.transport.meshes import Node, Note, book_of, calling, connected, control, hello, started, until

ROOM = Path(chubby.transport.__file__).parent
SANS_IO = (
    "backoff",
    "codec",
    "doorkeeper",
    "framing",
    "greetings",
    "handshake",
    "outbox",
    "statistics",
)
IMPURE = {"asyncio", "socket", "ssl", "os", "time", "datetime", "random", "secrets", "threading", "logging", "uvloop"}
ABOVE = ("chubby.replica", "chubby.master", "chubby.namespace", "chubby.storage", "chubby.frontends", "chubby.daemon")


def imports(path: Path) -> set[str]:
    """Every module that a file imports, by its full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


@pytest.mark.parametrize("module", SANS_IO)
def test_sans_io_modules_know_no_io(module: str) -> None:
    """DESIGN §2 "Pure means sans-IO": neither themselves nor through a neighbour that is not on the list."""
    names = imports(ROOT_OF[module])
    assert not {name.partition(".")[0] for name in names} & IMPURE
    neighbours = {name.rpartition(".")[2] for name in names if name.startswith("chubby.transport.")}
    assert neighbours <= set(SANS_IO)


ROOT_OF = {path.stem: path for path in ROOM.glob("*.py")}


def test_the_room_knows_nothing_above_or_beside_it() -> None:
    """DESIGN §2: imports point down; of Paxos the transport knows who a replica is, and no message."""
    names = {name for path in ROOT_OF.values() for name in imports(path)}
    assert not [name for name in names if name.startswith(ABOVE)]
    assert {name for name in names if name.startswith("chubby.paxos")} == {"chubby.paxos.configuration"}


def test_every_module_is_in_the_chapter() -> None:
    """The package's docstring is its table of contents, and says which modules are sans-IO."""
    chapter = chubby.transport.__doc__ or ""
    rows = {line.split("`")[1]: line for line in chapter.splitlines() if line.startswith("| `")}
    assert set(rows) == set(ROOT_OF) - {"__init__"}
    declared = {module for module, row in rows.items() if "yes" in row}
    assert set(SANS_IO) == declared


def test_links_that_end_as_links_do_are_not_refusals() -> None:
    """A crash, a restart, an absent peer: the other statistics tell of those."""
    ledger = Ledger()
    for reason in (Reason.LOST, Reason.UNREACHABLE, Reason.STOPPED):
        assert not ledger.part(reason, by_peer=False)
        assert not ledger.part(reason, by_peer=True)
    assert not ledger.refused and not ledger.dismissed


def test_refusals_are_counted_by_whose_they_are() -> None:
    """Mine and theirs."""
    ledger = Ledger()
    ledger.part(Reason.WRONG_CELL, by_peer=False)
    ledger.part(Reason.WRONG_CELL, by_peer=True)
    ledger.part(Reason.WRONG_CELL, by_peer=True)
    assert (ledger.refused[Reason.WRONG_CELL], ledger.dismissed[Reason.WRONG_CELL]) == (1, 2)


def test_ten_thousand_strangers_make_one_line_and_a_number() -> None:
    """The log tells that it happens, and once in a while how often."""
    ledger = Ledger()
    assert sum(ledger.part(Reason.FRAME, by_peer=False) for _ in range(10_000)) == 1
    assert ledger.tidings() == (Tidings(Reason.FRAME, by_peer=False, count=9_999, total=10_000),)
    assert ledger.tidings() == ()


def test_who_goes_on_has_no_line_of_his_own_again() -> None:
    """Else a patient stranger would get one line for each period more than the summary."""
    ledger = Ledger()
    for _ in range(2):
        ledger.part(Reason.FRAME, by_peer=False)
    ledger.tidings()
    assert not ledger.part(Reason.FRAME, by_peer=False)
    assert [each.count for each in ledger.tidings()] == [1]


def test_what_has_not_been_seen_for_a_period_is_news_again() -> None:
    """With the address it came from."""
    ledger = Ledger()
    assert ledger.part(Reason.TWIN, by_peer=False)
    assert ledger.tidings() == ()
    assert ledger.part(Reason.TWIN, by_peer=False)
    assert ledger.part(Reason.TWIN, by_peer=True), "a peer's reason is another kind"


def test_tidings_are_in_order_and_tell_whose_reason_it_was() -> None:
    """Reasons by number, ours before theirs."""
    ledger = Ledger()
    for reason, by_peer in ((Reason.GARBAGE, False), (Reason.FRAME, True), (Reason.FRAME, False)):
        for _ in range(3):
            ledger.part(reason, by_peer)
    assert [(each.reason, each.by_peer) for each in ledger.tidings()] == [
        (Reason.FRAME, False),
        (Reason.FRAME, True),
        (Reason.GARBAGE, False),
    ]


def test_tallies_add_up_over_links() -> None:
    """A new link does not begin at zero."""
    tally = Tally()
    tally.begin(100)
    tally.add(2, 50)
    tally.begin(200)
    tally.add(1, 25)
    assert (tally.links, tally.frames, tally.size, tally.since) == (2, 3, 75, 200)


def test_a_peer_is_known_by_its_newest_hello() -> None:
    """Incarnation and joining follow it."""
    ledger = PeerLedger()
    ledger.meet(Hello(1, 1, 0, 2, 11, 5), joining=True)
    ledger.meet(Hello(1, 1, 700, 2, 12, 6), joining=False)
    assert ledger.incarnation == 12
    assert not ledger.joining


def test_the_log_tells_of_strangers_without_repeating_itself(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """One warning for the first of a kind, which names the address and the reason; the rest is a number."""

    async def scenario() -> None:
        book = book_of(1)
        one = Node(1, book)
        async with started(one):
            for _ in range(9):
                async with calling(book[1]) as caller:
                    await caller.say(hello(replica=9))
                    await caller.ended()
            assert one.mesh.tidings() == (Tidings(Reason.UNKNOWN_REPLICA, by_peer=False, count=8, total=9),)

    with caplog.at_level(logging.WARNING, "chubby.transport"):
        run(scenario())
    lines = [record.getMessage() for record in caplog.records if "UNKNOWN_REPLICA" in record.getMessage()]
    assert len(lines) == 1 and "link with 127.0.0.1:" in lines[0] and "by us" in lines[0]


def test_a_peers_goodbye_is_logged_as_the_peers(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The operator must know at which end to look."""

    async def scenario() -> None:
        book = book_of(1)
        one = Node(1, book)
        async with started(one), calling(book[1]) as caller:
            await caller.say(control(Goodbye(Reason.VERSION)))
            await until(lambda: one.dismissed(Reason.VERSION) == 1)

    with caplog.at_level(logging.WARNING, "chubby.transport"):
        run(scenario())
    assert [record.getMessage() for record in caplog.records if "by peer: VERSION" in record.getMessage()]


def test_a_healthy_mesh_warns_of_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Start, work, stop: lines at level INFO at most."""

    async def scenario() -> None:
        book = book_of(3)
        nodes = [Node(replica, book) for replica in book]
        async with connected(*nodes):
            nodes[0].mesh.broadcast(Note(1))
            await until(lambda: all(node.from_peer(1) == [1] for node in nodes[1:]))

    with caplog.at_level(logging.INFO, "chubby.transport"):
        run(scenario())
    assert {record.levelno for record in caplog.records} == {logging.INFO}
