"""What the checkers of `tests/checking` say of what the clients wrote down. PURE but for the reading of files.

Each node by itself, by revisions, and by search where those do not decide; the two nodes that transactions tie together
as one object; each lock, by search. Calls that failed for certain are not in a history; calls of unknown outcome, and
those of clients that were killed, are open.

What the cell may do by itself stands in the history of a lock as an operation of unknown outcome: what an owner holds
may be given back from the last instant on at which its client knew its session lease to run.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import msgspec

from tests.checking import linearizability, revisions
from tests.checking import locks as lock_calls
from tests.checking import nodes as node_calls
from tests.checking.history import History, HistoryBuilder, Keys
from tests.checking.locks import Granted, Hold, LockCall, LockModel, LockResult, LockSaid
from tests.checking.nodes import Look, Made, NodeCall, NodeModel, NodeResult, Said, View, Wrote
from tests.checking.transactions import At, Failed, GroupModel, Guard, Results, Transaction, as_group
from tests.checking.verdict import Judgement
from tests.torture.recording import OPEN_OUTCOMES, Begun, Ended, Line, Sure
from tests.torture.work_files import PAIR

NodeTransaction = Transaction[NodeCall, NodeResult]
AnyCall = NodeCall | NodeTransaction
AnyResult = NodeResult | Results[NodeResult] | Failed

NODE_VERBS = frozenset({"look", "create", "may_create", "write", "append", "delete", "pair"})
LOCK_VERBS = frozenset({"acquire", "try", "validate", "release", "let_go"})
HOLDS = {"exclusive": Hold.EXCLUSIVE, "shared": Hold.SHARED}
NODE_WORDS = {"absent": Said.ABSENT, "exists": Said.EXISTS, "mismatch": Said.MISMATCH, "deleted": Said.DELETED}
LOCK_WORDS = {
    "released": LockSaid.RELEASED,
    "not_held": LockSaid.NOT_HELD,
    "valid": LockSaid.VALID,
    "invalid": LockSaid.INVALID,
}
BOUND = 10 * linearizability.BOUND
"""Histories are longer here than in the simulator, and judged once."""


class Judged(msgspec.Struct, frozen=True):
    """What one object was found to be. `reasons` is empty if it passed."""

    name: str
    operations: int
    judgement: Judgement
    reasons: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was proved right."""
        return self.judgement is Judgement.LINEARIZABLE


class Histories:
    """The histories of all files of a run."""

    def __init__(self) -> None:
        """Empty."""
        self.nodes: HistoryBuilder[NodeCall, NodeResult] = HistoryBuilder()
        self.pair: HistoryBuilder[AnyCall, AnyResult] = HistoryBuilder()
        self.locks: HistoryBuilder[LockCall, LockResult] = HistoryBuilder()
        self._owners: dict[tuple[str, str], tuple[str, int]] = {}
        self._sure: dict[str, int] = {}

    def add(self, lines: Iterable[Line]) -> None:
        """What one process wrote down."""
        begun: dict[int, tuple[Begun, int]] = {}
        for line in lines:
            match line:
                case Begun(verb=verb) if verb in NODE_VERBS:
                    begun[line.number] = line, self._begin_node(line)
                case Begun(verb=verb) if verb in LOCK_VERBS:
                    begun[line.number] = line, self._begin_lock(line)
                case Ended(number=number) if number in begun:
                    self._end(line, *begun.pop(number))
                case Sure(client, at):
                    self._sure[client] = at

    # --------------------------------------------------------------------------------------------------------- nodes

    def _begin_node(self, line: Begun) -> int:
        if line.paths[0] in PAIR:
            return self.pair.invoke(line.client, _any_call(line), line.at, line.paths)
        return self.nodes.invoke(line.client, _node_call(line), line.at, line.paths)

    def _end(self, end: Ended, begun: Begun, number: int) -> None:
        builder: HistoryBuilder[NodeCall, NodeResult] | HistoryBuilder[AnyCall, AnyResult]
        builder = self.pair if begun.paths[0] in PAIR else self.nodes
        if end.said[:1].isupper():
            if end.said not in OPEN_OUTCOMES:
                (self.locks if begun.verb in LOCK_VERBS else builder).fail(number)
        elif begun.verb in LOCK_VERBS:
            said = Granted(end.token) if end.said == "granted" else LOCK_WORDS[end.said]
            self.locks.answer(number, said, end.at)
        elif begun.verb == "pair":
            self.pair.answer(number, _pair_result(end), end.at, made=end.made or None)
        else:
            builder.answer(number, _node_result(end), end.at, made=end.made or None, saw=end.saw or None)

    # --------------------------------------------------------------------------------------------------------- locks

    def _begin_lock(self, line: Begun) -> int:
        if line.owner:
            self._owners.setdefault((line.owner, line.paths[0]), (line.client, line.at))
        client = f"{line.client} lets go {line.number}" if line.verb == "let_go" else line.client
        return self.locks.invoke(client, _lock_call(line), line.at, line.paths)

    def lock_history(self) -> History[LockCall, LockResult]:
        """With what the cell may do by itself. Once."""
        for number, ((owner, path), (client, first)) in zip(count(), self._owners.items()):
            at = max(self._sure.get(client, first), first)
            self.locks.invoke(f"cell {number}", lock_calls.Release(owner), at, (path,))
        return self.locks.history()


def _node_call(line: Begun) -> NodeCall:
    contents = line.contents.encode()
    match line.verb:
        case "look":
            return Look()
        case "create" | "may_create":
            return node_calls.Create(contents, may_exist=line.verb == "may_create")
        case "write" | "append":
            return node_calls.Write(line.instance, contents, line.expected[0] if line.expected else None)
        case "delete":
            return node_calls.Delete(line.instance)
    raise ValueError(f"no call on a node: {line}")


def _any_call(line: Begun) -> AnyCall:
    if line.verb != "pair":
        return _node_call(line)
    guards = (
        Guard[NodeCall, NodeResult](path, Look(), View(None, generation))
        for path, generation in zip(line.paths, line.expected, strict=True)
    )
    contents = line.contents.encode()
    return Transaction(tuple(guards), tuple(At(path, node_calls.Write(None, contents)) for path in line.paths))


def _node_result(end: Ended) -> NodeResult:
    match end.said:
        case "view":
            return View(end.instance, end.generations[0], end.contents.encode())
        case "stat":
            return View(end.instance, end.generations[0])
        case "made":
            return Made(end.instance)
        case "wrote":
            return Wrote(end.generations[0])
    return NODE_WORDS[end.said]


def _pair_result(end: Ended) -> AnyResult:
    if end.said == "guard_failed":
        return Failed()
    return Results(tuple(Wrote(generation) for generation in end.generations))


def _lock_call(line: Begun) -> LockCall:
    match line.verb:
        case "acquire":
            return lock_calls.Acquire(line.owner, HOLDS[line.contents])
        case "try":
            return lock_calls.TryAcquire(line.owner, HOLDS[line.contents])
        case "validate":
            return lock_calls.Validate(line.token)
    return lock_calls.Release(line.owner)


def judge(histories: Histories, bound: int = BOUND) -> list[Judged]:
    """Every node, the pair, every lock."""
    found: list[Judged] = []
    for keys, history in histories.nodes.history().partition().items():
        verdict = revisions.check(history, NodeModel())
        if verdict.judgement is Judgement.UNDECIDED:
            verdict = linearizability.check(history, NodeModel(), bound)
        found.append(_judged(keys, len(history), verdict.judgement, verdict.explain()))
    pair = histories.pair.history()
    if len(pair):
        group = linearizability.check(as_group(pair), GroupModel(PAIR, NodeModel()), bound)
        found.append(_judged(PAIR, len(pair), group.judgement, group.explain()))
    for keys, locks in histories.lock_history().partition().items():
        held = linearizability.check(locks, LockModel(), bound)
        found.append(_judged(keys, len(locks), held.judgement, held.explain()))
    return found


def _judged(keys: Keys, operations: int, judgement: Judgement, reasons: str) -> Judged:
    return Judged(" ".join(keys), operations, judgement, "" if judgement is Judgement.LINEARIZABLE else reasons)
