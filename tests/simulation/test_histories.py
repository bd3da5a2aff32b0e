"""The histories of simulated clients: what is taken down of each call, and that broken ones are caught."""

from __future__ import annotations

import msgspec
import pytest

from chubby.errors import ErrorCode
from chubby.types.calls import (
    Acquire,
    Call,
    CancelAcquire,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetStat,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.nodes import AclNames, DirEntry, LockMode
from chubby.types.results import Answer, Contents, Done, Listing, LockGranted, Opened, StatResult, Transacted
from chubby.types.time import SECOND
from chubby.types.transaction import GenerationIs, OperationResult, TransactionResult
from chubby.types.transaction import Write as WriteNode
from tests.checking import linearizability, locks, nodes
from tests.checking.history import UNKNOWN
from tests.checking.locks import Granted, Hold, LockSaid
from tests.checking.nodes import BORN, Look, Made, Said, View, Wrote
from tests.checking.transactions import At, Failed, Guard, Results
from tests.checking.verdict import Judgement, Verdict
from tests.simulation.extracts import NodeTransaction
from tests.simulation.fake_clients import Stage, opened, refused, stat
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario
from tests.simulation.violation import Violation
from tests.simulation.workloads import WORKLOADS

ACL = AclNames("a", "b", "c")
SEEN = View(7, 1, None, b"", BORN)
"""The metadata of a new node, instance 7."""


def test_answers_reach_who_asked() -> None:
    """The witness stands between client and caller, and passes everything on."""
    stage = Stage()
    answers: list[Answer] = [opened("/a", created=True), StatResult(stat()), refused(ErrorCode.NO_QUORUM)]
    for answer in answers[1:]:
        stage.one.call(GetStat(1), answer)
    stage.one.call(GetLockInfo(9), answers[-1])
    assert stage.one.told == [*answers, answers[-1]]


@pytest.mark.parametrize(
    ("call", "answer", "seen"),
    [
        (GetStat(1), StatResult(stat()), (Look(), SEEN)),
        (GetContentsAndStat(1), Contents(b"x", stat(generation=2)), (Look(), View(7, 2, b"x", b"", BORN))),
        (Open(2, "/a"), opened("/a"), (Look(), SEEN)),
        (Open(2, "/a"), refused(ErrorCode.NO_NODE), (Look(), Said.ABSENT)),
        (Open(2, "/b", create=CreateMode.MAY), opened("/b", True), (nodes.Create(may_exist=True), Made(7))),
        (Open(2, "/b", create=CreateMode.MAY), opened("/b"), (nodes.Create(may_exist=True), SEEN)),
        (Open(2, "/b", create=CreateMode.MUST), refused(ErrorCode.NODE_EXISTS), (nodes.Create(), Said.EXISTS)),
        (Open(2, "/b", create=CreateMode.MUST), refused(ErrorCode.OUTCOME_UNKNOWN), (nodes.Create(), UNKNOWN)),
        (SetContents(1, b"x"), StatResult(stat(generation=2), 101), (nodes.Write(7, b"x"), Wrote(2))),
        (SetContents(1, b"", 1), refused(ErrorCode.GENERATION_MISMATCH), (nodes.Write(7, b"", 1), Said.MISMATCH)),
        (SetContents(1, b""), refused(ErrorCode.SESSION_EXPIRED), (nodes.Write(7, b""), UNKNOWN)),
        (SetAttributes(1, {"mark": b"m"}), StatResult(stat(), 101), (nodes.Mark(7, b"m"), Said.MARKED)),
        (SetAttributes(1, {"mark": b"m"}), refused(ErrorCode.OUTCOME_UNKNOWN), (nodes.Mark(7, b"m"), UNKNOWN)),
        (SetAcl(1, ACL), StatResult(stat(), 101), (nodes.Restrict(7, "a b c"), nodes.Restricted(1))),
        (SetAcl(1, ACL, 4), refused(ErrorCode.GENERATION_MISMATCH), (nodes.Restrict(7, "a b c", 4), Said.MISMATCH)),
        (Delete(1), Done(102), (nodes.Delete(7), Said.DELETED)),
        (Delete(1), refused(ErrorCode.OUTCOME_UNKNOWN), (nodes.Delete(7), UNKNOWN)),
    ],
)
def test_what_is_seen_of_nodes(call: Call, answer: Answer, seen: tuple[object, object]) -> None:
    """Each call, and each answer that says something or leaves it open."""
    stage = Stage()
    stage.one.call(call, answer)
    assert stage.seen() == [seen]


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (GetStat(1), refused(ErrorCode.HANDLE_INVALID)),
        (GetStat(9), StatResult(stat())),
        (Open(2, "/b", create=CreateMode.MAY), refused(ErrorCode.NO_QUORUM)),
        (Open(2, "/b", create=CreateMode.MUST, ephemeral=True), refused(ErrorCode.OVERLOADED)),
        (Open(2, "/"), opened("/")),
        (SetContents(1, b""), refused(ErrorCode.DEADLINE_EXCEEDED)),
        (SetContents(9, b""), StatResult(stat())),
        (Delete(1), refused(ErrorCode.NOT_EMPTY)),
        (Close(1), Done()),
    ],
)
def test_what_says_nothing_leaves_no_trace(call: Call, answer: Answer) -> None:
    """It certainly took no effect, or nobody knows what it was about."""
    stage = Stage()
    stage.one.call(call, answer)
    assert stage.seen() == []


def test_revisions_are_taken_down() -> None:
    """Of what was made, and of what was seen."""
    stage = Stage()
    stage.one.call(SetContents(1, b"x"), StatResult(stat(generation=2, modified=105), 105))
    stage.two.call(Open(1, "/a"), Opened(b"", "/a", False, stat(generation=2, modified=105)))
    stage.one.call(Delete(1), Done(110))
    made = [(each.made, each.saw) for each in stage.chronicle.nodes.history().operations]
    assert made == [(100, None), (105, None), (None, 105), (110, None)]
    stage.chronicle.check()


def test_who_dies_leaves_it_open() -> None:
    """A call that was never answered may have taken effect."""
    stage = Stage()
    stage.one.begin(SetContents(1, b"x"))
    assert stage.seen() == [(nodes.Write(7, b"x"), UNKNOWN)]
    stage.two.call(Open(1, "/a"), Opened(b"", "/a", False, stat(generation=2, modified=105)))
    stage.chronicle.check()


def test_an_ephemeral_node_may_go() -> None:
    """From its creation on, whether that was answered or not; not if it was refused."""
    for answer, open_ends in ((opened("/e", True), 1), (refused(ErrorCode.OUTCOME_UNKNOWN), 2)):
        stage = Stage()
        stage.one.call(Open(2, "/e", create=CreateMode.MUST, ephemeral=True), answer)
        assert [result for _, result in stage.seen()].count(UNKNOWN) == open_ends
        stage.two.call(Open(1, "/e"), refused(ErrorCode.NO_NODE))
        stage.chronicle.check()


def test_a_listing_tells_of_every_node() -> None:
    """Of those that are named, and of those that are not; but not of what it was cut off before."""
    stage = Stage()
    stage.one.call(Open(2, "/b", create=CreateMode.MAY), opened("/b", True, 8))
    stage.one.call(Open(3, "/b/deep", create=CreateMode.MAY), opened("/b/deep", True, 9))
    stage.one.call(Open(4, "/"), opened("/"))
    before = len(stage.seen())
    stage.one.call(ReadDir(4), Listing((DirEntry("a", stat()),), more=True))
    stage.one.call(ReadDir(4, after="a"), Listing((), more=False))
    assert len(stage.seen()) == before
    stage.one.call(ReadDir(4), Listing((DirEntry("a", stat()),), more=False))
    assert stage.seen()[before:] == [(Look(), SEEN), (Look(), Said.ABSENT)]
    with pytest.raises(Violation, match="/b is not linearizable"):
        stage.chronicle.check()


MOVE = Transact((GenerationIs("/a", 1),), (WriteNode("/a", b"x"), WriteNode("/b", b"x")))


def transacted(*generations: int, succeeded: bool = True) -> Transacted:
    """An answer to Transact: the generations that its writes made."""
    results = tuple(OperationResult("/any", stat(generation=generation)) for generation in generations)
    return Transacted(TransactionResult(succeeded, 105, results))


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (transacted(2, 2), Results((Wrote(2), Wrote(2)))),
        (transacted(succeeded=False), Failed()),
        (refused(ErrorCode.OUTCOME_UNKNOWN), UNKNOWN),
    ],
)
def test_what_is_seen_of_transactions(answer: Answer, result: object) -> None:
    """All of it, in one operation on all the nodes that it names."""
    stage = Stage()
    stage.one.call(MOVE, answer)
    _, moved = stage.chronicle.nodes.history().operations
    assert moved.keys == ("/a", "/b") and moved.result == result
    assert moved.call == NodeTransaction(
        guards=(Guard("/a", Look(), View(None, 1)),),
        then=(At("/a", nodes.Write(None, b"x")), At("/b", nodes.Write(None, b"x"))),
    )


@pytest.mark.parametrize(
    "answer",
    [
        refused(ErrorCode.NO_QUORUM),
        Transacted(TransactionResult(True, 105, failed_operation=0, failure=refused(ErrorCode.NO_NODE))),
    ],
)
def test_a_transaction_that_was_refused_leaves_no_trace(answer: Answer) -> None:
    """It changed nothing, and which guards held nobody was told."""
    stage = Stage()
    stage.one.call(MOVE, answer)
    assert stage.seen() == []


def test_a_torn_transaction_is_caught() -> None:
    """One half seen done, and then the other half seen not done: only together is that wrong."""
    stage = Stage()
    stage.one.call(Open(2, "/b", create=CreateMode.MAY), opened("/b", True, 8))
    answer = stage.one.begin(MOVE)
    stage.two.call(Open(1, "/a"), Opened(b"", "/a", False, stat(7, 2, 105)))
    stage.two.call(Open(2, "/b"), Opened(b"", "/b", False, stat(8, 1, 100)))
    answer(transacted(2, 2))
    with pytest.raises(Violation, match="saw of /a /b is not linearizable"):
        stage.chronicle.check()
    assert stage.chronicle.searched == 1


def test_a_stale_read_is_caught() -> None:
    """Also one that its client was given by its cache."""
    stage = Stage()
    stage.two.call(Open(1, "/a"), opened("/a"))
    stage.one.call(SetContents(1, b"x"), StatResult(stat(generation=2, modified=105), 105))
    stage.two.call(GetContentsAndStat(1), Contents(b"", stat()))
    with pytest.raises(
        Violation, match=r"/a is not linearizable[^$]*c2\.\d+ .* Look\(\) -> View\(instance=7, generation=1"
    ):
        stage.chronicle.check()


def test_what_the_revisions_leave_open_is_searched() -> None:
    """A read without an explanation while a write is of unknown outcome: the search knows."""
    stage = Stage()
    stage.one.call(SetContents(1, b"x"), refused(ErrorCode.OUTCOME_UNKNOWN))
    stage.two.call(Open(1, "/a"), opened("/a"))
    stage.two.call(GetContentsAndStat(1), Contents(b"y", stat(generation=2, modified=105)))
    with pytest.raises(Violation, match="not linearizable"):
        stage.chronicle.check()
    assert stage.chronicle.searched == 1


def test_undecided_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """If even the search gives up, the seed fails: of the nodes, of what transactions tie together, of the locks."""
    stages = [Stage(), Stage(), Stage()]
    stages[0].one.call(SetContents(1, b"x"), refused(ErrorCode.OUTCOME_UNKNOWN))
    stages[0].one.call(GetContentsAndStat(1), Contents(b"y", stat(generation=2, modified=105)))
    stages[1].one.call(MOVE, transacted(2, 2))
    stages[2].one.call(Acquire(1), LockGranted(5, 1))
    given_up: Verdict[object, object] = Verdict(Judgement.UNDECIDED, why="given up")
    monkeypatch.setattr(linearizability, "check", lambda history, model, bound=0: given_up)
    for stage in stages:
        with pytest.raises(Violation, match="undecided: given up"):
            stage.chronicle.check()


@pytest.mark.parametrize(
    ("call", "answer", "seen"),
    [
        (Acquire(1), LockGranted(5, 1), [(locks.Acquire("c1/1"), Granted(5))]),
        (Acquire(1, LockMode.SHARED), LockGranted(5, 1), [(locks.Acquire("c1/1", Hold.SHARED), Granted(5))]),
        (Acquire(1), refused(ErrorCode.DEADLINE_EXCEEDED), []),
        (Acquire(1, wait=False), refused(ErrorCode.LOCK_CONFLICT), []),
        (
            Acquire(1),
            refused(ErrorCode.OUTCOME_UNKNOWN),
            [(locks.Acquire("c1/1"), UNKNOWN), (locks.Release("c1/1"), UNKNOWN)],
        ),
        (CancelAcquire(1), Done(), [(locks.Confirm("c1/1"), LockSaid.NOT_HELD)]),
        (CancelAcquire(1), LockGranted(5, 1), [(locks.Confirm("c1/1"), Granted(5))]),
        (Release(1), Done(), [(locks.Release("c1/1"), LockSaid.RELEASED)]),
        (Release(1), refused(ErrorCode.LOCK_NOT_HELD), [(locks.Release("c1/1"), LockSaid.NOT_HELD)]),
        (Release(1), refused(ErrorCode.OUTCOME_UNKNOWN), [(locks.Release("c1/1"), UNKNOWN)]),
        (Acquire(9), LockGranted(5, 1), []),
    ],
)
def test_what_is_seen_of_locks(call: Call, answer: Answer, seen: list[tuple[object, object]]) -> None:
    """Owners are handles."""
    stage = Stage()
    stage.one.call(call, answer)
    assert stage.lock_seen() == seen


def held_twice(stage: Stage) -> None:
    """c1 was granted the lock, and c2 was later."""
    stage.two.call(Open(1, "/a"), opened("/a"))
    stage.one.call(Acquire(1), LockGranted(5, 1))
    stage.two.call(Acquire(1), LockGranted(6, 2))


def test_two_holders_are_caught() -> None:
    """While both sessions last."""
    stage = Stage()
    held_twice(stage)
    with pytest.raises(Violation, match="lock of /a is not linearizable"):
        stage.chronicle.check()


def test_who_closes_its_handle_may_have_given_back() -> None:
    """At some time after that."""
    stage = Stage()
    stage.two.call(Open(1, "/a"), opened("/a"))
    stage.one.call(Acquire(1), LockGranted(5, 1))
    stage.one.call(Close(1), Done())
    stage.two.call(Acquire(1), LockGranted(6, 2))
    stage.chronicle.check()


@pytest.mark.parametrize("dead", [True, False])
def test_a_session_that_may_have_ended_may_have_given_back(dead: bool) -> None:
    """From the last instant on at which its lease was known to run, and not before."""
    stage = Stage()
    stage.two.call(Open(1, "/a"), opened("/a"))
    stage.one.call(Acquire(1), LockGranted(5, 1))
    if dead:
        stage.one.alive = False
    else:
        stage.one.fake.lasts = False
    stage.two.call(Acquire(1), LockGranted(6, 2))
    stage.chronicle.check()
    early = Stage()
    held_twice(early)
    early.one.call(GetStat(1), StatResult(stat()))
    early.one.alive = False
    with pytest.raises(Violation, match="lock of /a"):
        early.chronicle.check()


def test_instants_are_distinct_and_keep_to_true_time() -> None:
    """What happens at one instant of the simulation happened in some order."""
    stage = Stage()
    first, second = stage.chronicle.instant(), stage.chronicle.instant()
    assert second == first + 1
    stage.world.run(stage.world.now + SECOND)
    assert stage.chronicle.instant() == stage.world.now


def test_a_run_is_taken_down_whole() -> None:
    """Nodes and locks, reads and writes, of every client; the checkers saw something."""
    plan = draw(0, 10 * SECOND)
    scenario = Scenario(msgspec.structs.replace(plan, workloads=tuple(WORKLOADS), faults=(), rate=100))
    scenario.run()
    population = scenario.population
    operations = population.chronicle.nodes.history().operations
    tally = population.tally()
    looks = sum(isinstance(each.call, Look) for each in operations)
    writes = sum(isinstance(each.result, Wrote) for each in operations)
    assert looks >= tally["Contents"] > 50 and writes > 20
    grants = sum(isinstance(each.result, Granted) for each in population.chronicle.locks.history().operations)
    assert grants == tally["LockGranted"] > 10
    assert {each.client.partition(".")[0] for each in operations} >= {client.place for client in population.clients}
