"""What the simulated clients saw, taken down call by call and judged at the end of a run: is every node and every lock
linearizable, cached answers included?

Nothing is drawn and nothing is done here, so a seed's run is the same whether it is taken down or not. Instants are
true time, made distinct: what happens later in the simulation happens later. Each call counts as a client of its own,
since a simulated client makes several at a time. A listing is a look at each node that it could have named, of those
that were used of late. Answers that say nothing of the state (try again; no permission; the handle is of no use) leave
no trace; those that leave the outcome open leave it open.

What the cell may do by itself stands in the history as an operation of unknown outcome: an ephemeral node may go from
its creation on; what a session holds may be given back from the last instant on at which its client, awake, knew its
session lease to run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chubby import paths
from chubby.errors import ErrorCode, Failure
from chubby.types import calls
from chubby.types.calls import Call, CreateMode
from chubby.types.identity import HandleNumber, Token
from chubby.types.nodes import AclNames, Stat
from chubby.types.results import Answer, Contents, Done, Listing, Opened, StatResult, Transacted
from chubby.types.time import Instant
from tests.checking import linearizability, nodes, revisions
from tests.checking.history import History, HistoryBuilder, Keys
from tests.checking.locks import LockCall, LockModel, LockResult
from tests.checking.nodes import Look, Made, NodeCall, NodeModel, NodeResult, Restricted, Said, View, Wrote
from tests.checking.transactions import Failed, GroupModel, Results, as_group
from tests.checking.verdict import Judgement
from tests.simulation.clients import ClientHost
from tests.simulation.extracts import (
    AnyCall,
    AnyResult,
    NodeTransaction,
    changes_of_locks,
    changes_of_nodes,
    transaction_of,
    without_transactions,
)
from tests.simulation.lock_witness import LockWitness, leaves_open
from tests.simulation.violation import Violation
from tests.simulation.world import World

LISTED = 16
"""Of so many nodes, those that were used last, a listing counts as a look."""
MARK = "mark"
"""The only attribute that simulated clients set."""


class Chronicle:
    """Takes down what clients see, and judges it."""

    def __init__(self, world: World) -> None:
        self.nodes: HistoryBuilder[AnyCall, AnyResult] = HistoryBuilder()
        self.locks: HistoryBuilder[LockCall, LockResult] = HistoryBuilder()
        self.sequencers: dict[bytes, tuple[str, Token]] = {}
        """Of which lock's hold period each is."""
        self.bounded = world.bounded
        """If not, only what changed something is judged: the rest may be of the past (`World.bounded`)."""
        self.searched = 0
        """How many nodes' histories had to be searched, because their revisions alone did not decide."""
        self._world = world
        self._latest: Instant = 0
        self._count = 0
        self._witnesses: list[Witness] = []
        self._paths: dict[str, None] = {}

    def follow(self, client: ClientHost) -> None:
        """Take down whatever this client does from now on."""
        witness = Witness(self, client)
        self._witnesses.append(witness)
        client.on_call = witness.called

    def instant(self) -> Instant:
        """Now, and later than all before."""
        self._latest = max(self._latest + 1, self._world.now)
        return self._latest

    def begin(self, place: str, path: str, call: NodeCall, at: Instant) -> int:
        """Something that may change a node begins."""
        self._paths.pop(path, None)
        self._paths[path] = None
        return self.nodes.invoke(self._name(place), call, at, (path,))

    def begin_transaction(self, place: str, call: NodeTransaction, at: Instant) -> int:
        """Something that may change several nodes begins."""
        keys = (*(guard.key for guard in call.guards), *(each.key for each in call.then))
        return self.nodes.invoke(self._name(place), call, at, keys)

    def begin_lock(self, place: str, path: str, call: LockCall, at: Instant) -> int:
        """Something is done with a lock."""
        return self.locks.invoke(self._name(place), call, at, (path,))

    def look(self, place: str, path: str, begun: Instant, stat: Stat | None, contents: bytes | None = None) -> None:
        """Somebody was told what is there (None: nothing)."""
        if path == paths.ROOT:
            return
        number = self.begin(place, path, Look(), begun)
        if stat is None:
            self.nodes.answer(number, Said.ABSENT, self.instant())
        else:
            self.nodes.answer(number, view(stat, contents), self.instant(), saw=stat.modified)

    def look_all(self, place: str, directory: str, begun: Instant, listing: Listing) -> None:
        """Somebody was told all children of a directory."""
        found = {entry.name: entry.stat for entry in listing.entries}
        for path in list(self._paths)[-LISTED:]:
            if paths.parent(path) == directory:
                self.look(place, path, begun, found.get(path.rpartition("/")[2]))

    def _name(self, place: str) -> str:
        self._count += 1
        return f"{place}.{self._count}"

    def check(self) -> None:
        """Judge it all. Raises Violation, also if the checkers cannot decide."""
        for witness in self._witnesses:
            witness.close()
        seen, holds = self.nodes.history(), self.locks.history()
        if not self.bounded:
            seen, holds = changes_of_nodes(seen), changes_of_locks(holds)
        for keys, history in seen.partition().items():
            self._check_nodes(keys, history)
        for keys, verdict in linearizability.check_each(holds, lambda keys: LockModel()).items():
            if not verdict.passed:
                raise Violation(f"what clients saw of the lock of {keys[0]} is {verdict.explain()}")

    def _check_nodes(self, keys: Keys, history: History[AnyCall, AnyResult]) -> None:
        if (alone := without_transactions(history)) is None:
            group = linearizability.check(as_group(history), GroupModel(keys, NodeModel()))
            self.searched += 1
            if not group.passed:
                raise Violation(f"what clients saw of {' '.join(keys)} is {group.explain()}")
            return
        verdict = revisions.check(alone, NodeModel())
        if verdict.judgement is Judgement.UNDECIDED:
            self.searched += 1
            verdict = linearizability.check(alone, NodeModel())
        if not verdict.passed:
            raise Violation(f"what clients saw of {keys[0]} is {verdict.explain()}")


class Witness:
    """Sees the calls of one client, and what they are answered."""

    def __init__(self, chronicle: Chronicle, client: ClientHost) -> None:
        self._chronicle = chronicle
        self._client = client
        self._handles: dict[HandleNumber, tuple[str, int]] = {}
        self._locks = LockWitness(chronicle, client.place)
        self._certain: Instant = 0

    def called(self, call: Call, done: Callable[[Answer], None]) -> Callable[[Answer], None]:
        """The client makes a call; what is returned is to get the answer."""
        note = self._begin(call, self._chronicle.instant())
        self._look_at_lease()

        def answered(answer: Answer) -> None:
            self._look_at_lease()
            if note is not None:
                note(answer)
            done(answer)

        return answered

    def _look_at_lease(self) -> None:
        if self._client.core.certain(self._client.clock.now()):
            self._certain = self._chronicle.instant()

    def close(self) -> None:
        """The run is over: a session that may have ended may have given back its locks. Without bounded clocks nobody
        knows when.
        """
        client = self._client
        if not self._chronicle.bounded:
            self._certain = 0
        elif client.alive and client.core.certain(client.clock.now()):
            return
        self._locks.over(self._certain)

    def _begin(self, call: Call, at: Instant) -> Callable[[Answer], None] | None:
        """Take down that the call was made; what is to be done with the answer (None: it is of no interest)."""
        match call:
            case calls.Open():
                return self._open(call, at)
            case calls.ReadDir():
                return partial(self._listed, call, at)
            case calls.GetStat(handle) | calls.GetContentsAndStat(handle) if handle in self._handles:
                return partial(self._read, self._handles[handle][0], at)
            case calls.SetContents(handle) if handle in self._handles:
                return self._write(call, at)
            case calls.SetAttributes() | calls.SetAcl() if call.handle in self._handles:
                return self._describe(call, at)
            case calls.Delete(handle) if handle in self._handles:
                return self._delete(handle, at)
            case calls.Acquire() | calls.CancelAcquire() | calls.Release() if call.handle in self._handles:
                return self._locks.called(self._handles[call.handle][0], call, at)
            case calls.GetSequencer() | calls.CheckSequencer():
                return self._locks.asked(call, at)
            case calls.Transact():
                return self._transact(call, at)
            case calls.Close(handle) if self._locks.owns(handle):
                self._locks.give_back(handle, at)
        return None

    # --- nodes ---------------------------------------------------------------------------------------------------

    def _open(self, call: calls.Open, at: Instant) -> Callable[[Answer], None]:
        chronicle, place = self._chronicle, self._client.place
        if call.sequential:
            return partial(self._named, call, at)
        number = vanish = 0
        if call.create is not CreateMode.NEVER and call.path != paths.ROOT:
            create = nodes.Create(call.contents, call.create is CreateMode.MAY, call.ephemeral)
            number = chronicle.begin(place, call.path, create, at)
            if call.ephemeral:
                vanish = chronicle.begin("cell", call.path, nodes.Vanish(), at)

        def opened(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handles[call.handle] = call.path, answer.stat.instance
            if not number:
                self._read(call.path, at, answer)
                return
            if isinstance(answer, Opened) and answer.created:
                chronicle.nodes.answer(
                    number, Made(answer.stat.instance), chronicle.instant(), made=answer.stat.created
                )
                return
            if isinstance(answer, Opened):
                seen = view(answer.stat, None)
                chronicle.nodes.answer(number, seen, chronicle.instant(), saw=answer.stat.modified)
            else:
                self._refused(number, answer, {ErrorCode.NODE_EXISTS: Said.EXISTS})
            if vanish and not leaves_open(answer):
                chronicle.nodes.fail(vanish)

        return opened

    def _named(self, call: calls.Open, at: Instant, answer: Answer) -> None:
        """The cell gave the name. If nobody was told which, nobody speaks of it."""
        if isinstance(answer, Opened):
            chronicle = self._chronicle
            self._handles[call.handle] = answer.path, answer.stat.instance
            create = nodes.Create(call.contents, ephemeral=call.ephemeral)
            number = chronicle.begin(self._client.place, answer.path, create, at)
            chronicle.nodes.answer(number, Made(answer.stat.instance), chronicle.instant(), made=answer.stat.created)
            if call.ephemeral:
                chronicle.begin("cell", answer.path, nodes.Vanish(), at)

    def _read(self, path: str, at: Instant, answer: Answer) -> None:
        look = partial(self._chronicle.look, self._client.place, path, at)
        match answer:
            case Contents(contents, stat):
                look(stat, contents)
            case StatResult(stat) | Opened(stat=stat):
                look(stat)
            case Failure(ErrorCode.NO_NODE):
                look(None)

    def _listed(self, call: calls.ReadDir, at: Instant, answer: Answer) -> None:
        directory = self._handles.get(call.handle)
        if directory is not None and isinstance(answer, Listing) and not call.after and not answer.more:
            self._chronicle.look_all(self._client.place, directory[0], at, answer)

    def _write(self, call: calls.SetContents, at: Instant) -> Callable[[Answer], None]:
        chronicle = self._chronicle
        path, instance = self._handles[call.handle]
        write = nodes.Write(instance, call.contents, call.generation)
        number = chronicle.begin(self._client.place, path, write, at)

        def written(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                wrote = Wrote(answer.stat.content_generation)
                chronicle.nodes.answer(number, wrote, chronicle.instant(), made=answer.revision)
            else:
                self._refused(number, answer, {ErrorCode.GENERATION_MISMATCH: Said.MISMATCH})

        return written

    def _describe(self, call: calls.SetAttributes | calls.SetAcl, at: Instant) -> Callable[[Answer], None]:
        """Metadata is changed."""
        chronicle = self._chronicle
        path, instance = self._handles[call.handle]
        change: NodeCall
        if isinstance(call, calls.SetAcl):
            change = nodes.Restrict(instance, names_of(call.acl), call.generation)
        else:
            assert set(call.attributes) == {MARK}, "no simulated client sets another attribute"
            change = nodes.Mark(instance, call.attributes[MARK])
        number = chronicle.begin(self._client.place, path, change, at)

        def described(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                is_acl = isinstance(call, calls.SetAcl)
                result: NodeResult = Restricted(answer.stat.acl_generation) if is_acl else Said.MARKED
                chronicle.nodes.answer(number, result, chronicle.instant(), made=answer.revision)
            else:
                self._refused(number, answer, {ErrorCode.GENERATION_MISMATCH: Said.MISMATCH})

        return described

    def _delete(self, handle: HandleNumber, at: Instant) -> Callable[[Answer], None]:
        chronicle = self._chronicle
        path, instance = self._handles[handle]
        number = chronicle.begin(self._client.place, path, nodes.Delete(instance), at)

        def deleted(answer: Answer) -> None:
            if isinstance(answer, Done):
                chronicle.nodes.answer(number, Said.DELETED, chronicle.instant(), made=answer.revision)
            else:
                self._refused(number, answer, {})

        return deleted

    def _transact(self, call: calls.Transact, at: Instant) -> Callable[[Answer], None]:
        chronicle = self._chronicle
        number = chronicle.begin_transaction(self._client.place, transaction_of(call), at)

        def done(answer: Answer) -> None:
            if not isinstance(answer, Transacted):
                self._refused(number, answer, {})
            elif answer.result.failure is not None:
                self._refused(number, answer.result.failure, {})
            elif answer.result.succeeded:
                stats = [each.stat for each in answer.result.results if each.stat is not None]
                wrote: tuple[NodeResult, ...] = tuple(Wrote(stat.content_generation) for stat in stats)
                made = answer.result.revision
                chronicle.nodes.answer(number, Results(wrote), chronicle.instant(), made=made)
            else:
                chronicle.nodes.answer(number, Failed(), chronicle.instant())

        return done

    def _refused(self, number: int, answer: Answer, told: dict[ErrorCode, NodeResult]) -> None:
        """A refusal that says something, or nothing, or leaves it open."""
        assert isinstance(answer, Failure), f"an answer of the wrong kind: {answer}"
        if answer.code in told:
            self._chronicle.nodes.answer(number, told[answer.code], self._chronicle.instant())
        elif not leaves_open(answer):
            self._chronicle.nodes.fail(number)


def view(stat: Stat, contents: bytes | None) -> View:
    """A node as its metadata, and its contents if they were read, show it."""
    acl = ("" if stat.acl_generation == 1 else names_of(stat.acl), stat.acl_generation)
    return View(stat.instance, stat.content_generation, contents, stat.attributes.get(MARK, b""), acl)


def names_of(acl: AclNames) -> str:
    """Three names of ACLs in one."""
    return f"{acl.read} {acl.write} {acl.change}"
