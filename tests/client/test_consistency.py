"""Whole sessions in a misbehaving world: random calls, latencies, clock rates, partitions, stops, fail-overs.

Judged against the truth: no read is ever stale, no two clients believe that they hold a lock, every call is answered
once, every event is told once, and after an expiry nothing succeeds any more.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.client.state import SessionState
from chubby.errors import ErrorCode, Failure
from chubby.paths import parent
from chubby.types.calls import (
    Acquire,
    Call,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetContents,
    Watch,
)
from chubby.types.events import EventKind
from chubby.types.identity import CallNumber, HandleNumber
from chubby.types.nodes import NodeKind
from chubby.types.results import Answer, Contents, Done, Listing, LockGranted, Opened, StatResult
from chubby.types.time import MILLISECOND, SECOND, Duration, Instant
from tests.client.fake_cell import FakeCell
from tests.client.world import SimClient, World

PATHS = ("/d/a", "/d/b", "/d/c", "/d/a/x")


class Actor:
    """A client that makes random calls and checks every answer it gets."""

    def __init__(self, world: World, name: int, caching: bool, rate: int) -> None:
        self.world = world
        self.name = name
        self.client = SimClient(world, caching, rate)
        self.open: dict[HandleNumber, str] = {}
        self.holding: dict[HandleNumber, int] = {}
        self.pending: dict[CallNumber, tuple[Call, Instant]] = {}
        self.hits = 0
        self.kinds: dict[NodeKind, None] = {}
        self.count = 0
        self.watch = 0
        self.watched_from: int | None = None

    @property
    def believes(self) -> set[int]:
        """The nodes (instances) it would act upon as lock holder now: granted, its own clock says the lease lasts."""
        core = self.client.core
        live = core.state.live and core.statistics(self.client.clock).session_lease_left > 0
        return set(self.holding.values()) if live and not self.client.paused else set()

    def act(self) -> None:
        """Make one random call, unless the process stands still."""
        self.settle()
        if self.client.paused or self.client.core.state is SessionState.OPENING:
            return
        call = self._choose()
        now = self.client.clock
        hit = self.client.core.cached(call, now)
        if hit is not None:
            self.hits += 1
            self._judge(call, hit, self.world.now)
            return
        if isinstance(call, Close | Release):
            self.holding.pop(call.handle, None)
        if isinstance(call, Close):
            self.open.pop(call.handle, None)
        if isinstance(call, Watch):
            self.watch = call.watch
        timeout = self.world.random.choice([None, 2 * SECOND, 30 * SECOND])
        self.pending[self.client.call(call, timeout)] = (call, self.world.now)

    def _choose(self) -> Call:
        rng = self.world.random
        if not self.open or rng.random() < 0.15:
            handle = self.client.core.desk.handles.fresh_number()
            create = rng.choice([CreateMode.NEVER, CreateMode.NEVER, CreateMode.MAY])
            path = rng.choice([*PATHS, "/d"])
            kind = rng.choice(list(NodeKind))
            return Open(handle, path, Mode.READ | Mode.WRITE, create=create, kind=kind, contents=self._fresh())
        if not self.watch and rng.random() < 0.1:
            return Watch(self.client.core.desk.subscriptions.fresh_number(), "/d", recursive=True)
        handle = rng.choice(list(self.open))
        reads: list[Call] = [GetContentsAndStat(handle), GetContentsAndStat(handle), GetStat(handle), ReadDir(handle)]
        changes: list[Call] = [SetContents(handle, self._fresh()), SetContents(handle, self._fresh()), Delete(handle)]
        locks: list[Call] = [Acquire(handle), Acquire(handle, wait=False), Release(handle), Close(handle)]
        busy = any(isinstance(call, Acquire | Release) and call.handle == handle for call, _ in self.pending.values())
        return rng.choice(reads if rng.random() < 0.75 else changes if busy else changes + locks)

    def _fresh(self) -> bytes:
        self.count += 1
        return b"%d:%d" % (self.name, self.count)

    def settle(self) -> None:
        """Look at the answers that came."""
        for number in [number for number in self.pending if number in self.client.answers]:
            call, begun = self.pending.pop(number)
            self._judge(call, self.client.answers[number], begun)

    def _judge(self, call: Call, answer: Answer, begun: Instant) -> None:
        if isinstance(answer, Opened) and isinstance(call, Open):
            self.open[call.handle] = answer.path
        elif isinstance(answer, LockGranted) and isinstance(call, Acquire):
            record = self.client.core.desk.handles.get(call.handle)
            if call.handle in self.open and record is not None:
                self.holding[call.handle] = record.instance
        elif isinstance(answer, Contents | StatResult | Listing):
            assert isinstance(call, GetContentsAndStat | GetStat | ReadDir | SetContents)
            path = self.open.get(call.handle)
            if path is not None:
                self._judge_read(path, answer, begun)
        elif isinstance(answer, Failure) and isinstance(call, Open) and answer.code is ErrorCode.NO_NODE:
            absent = call.path if call.create is CreateMode.NEVER else parent(call.path)
            assert None in self.world.held_between(absent, begun, self.world.now), absent

    def _judge_read(self, path: str, answer: Contents | StatResult | Listing, begun: Instant) -> None:
        """What was read was so at some instant between the question and the answer, kinds included."""
        if isinstance(answer, Contents):
            held = self.world.held_between(path, begun, self.world.now)
            assert answer.contents in held, (path, answer.contents, held)
        if isinstance(answer, Listing):
            stats = {f"{path}/{entry.name}": entry.stat for entry in answer.entries}
        else:
            stats = {path: answer.stat}
        for name, stat in stats.items():
            kinds = self.world.kinds_between(name, begun, self.world.now)
            assert stat.kind in kinds, (name, stat.kind, kinds)
            self.kinds[stat.kind] = None


class Mischief:
    """Breaks things at random; `heal` stops it."""

    def __init__(self, world: World, actors: list[Actor]) -> None:
        self.world = world
        self.actors = actors
        self.on = True

    def act(self) -> None:
        """Do one bad thing, now and then."""
        rng = self.world.random
        if not self.on or rng.random() > 0.08:
            return
        actor = rng.choice(self.actors)
        lasting = round(rng.choice([0.3, 1, 5, 15, 70]) * SECOND)
        what = rng.random()
        if what < 0.35:
            actor.client.reachable = False
            self.world.at(self.world.now + lasting, lambda: setattr(actor.client, "reachable", True))
        elif what < 0.7:
            actor.client.pause()
            self.world.at(self.world.now + lasting, lambda: self._wake(actor))
        else:
            self.world.cell.fail_over(self.world.now)

    def _wake(self, actor: Actor) -> None:
        if actor.client.paused:
            actor.client.wake()

    def heal(self) -> None:
        """Everything works again."""
        self.on = False
        for actor in self.actors:
            actor.client.reachable = True
            self._wake(actor)


def live_through(seed: int, duration: Duration) -> tuple[World, list[Actor]]:
    """Run one random history, then let it heal and come to rest."""
    world = World(seed, FakeCell())
    rng = world.random
    slow = rng.random() < 0.5
    world.latency = lambda: round(rng.expovariate(1 / (0.2 if slow else 0.003)) * SECOND)
    rates = [0, 4_000, -4_000]
    actors = [Actor(world, index, caching=index < 2 or rng.random() < 0.5, rate=rates[index]) for index in range(3)]
    mischief = Mischief(world, actors)
    for actor in actors:
        actor.client.start()
    until = world.now + duration
    while world.now < until:
        world.run(round(rng.expovariate(1 / 0.1) * SECOND))
        rng.choice(actors).act()
        mischief.act()
        check_locks(actors)
    mischief.heal()
    for actor in actors:
        actor.settle()
        for handle in list(actor.open):
            actor.pending[actor.client.call(Close(handle))] = (Close(handle), world.now)
        actor.holding.clear()
    for _ in range(400):
        world.run(500 * MILLISECOND)
        for actor in actors:
            actor.settle()
        if all(not actor.pending for actor in actors):
            break
    return world, actors


def check_locks(actors: list[Actor]) -> None:
    """No two clients would act upon the same lock."""
    for actor in actors:
        actor.settle()
    for instance in {instance for actor in actors for instance in actor.believes}:
        believers = [actor.name for actor in actors if instance in actor.believes]
        assert len(believers) <= 1, f"the lock of instance {instance} is held by {believers}"


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_reads_locks_calls_and_events_stand_up_to_everything(seed: int) -> None:
    """DESIGN §5 "A hit needs both", §6 "No lock is lost in silence": judged at every step of a random history."""
    _, actors = live_through(seed, 60 * SECOND)
    for actor in actors:
        if not actor.client.core.state.final:
            assert not actor.pending, f"never answered: {actor.pending}"
        check_suffix(actor)
        check_events(actor)


def check_suffix(actor: Actor) -> None:
    """Once a session has ended, each call fails at once; Close alone never fails."""
    for number in actor.client.begun_too_late:
        assert _is_expiry(actor.client.answers[number]) or isinstance(actor.client.answers[number], Done)


def _is_expiry(answer: Answer) -> bool:
    return isinstance(answer, Failure) and answer.code is ErrorCode.SESSION_EXPIRED


def check_events(actor: Actor) -> None:
    """A watcher is told every change once, in order, unless its session ended."""
    core = actor.client.core
    if not actor.watch:
        return
    told = [(event.revision, event.path, event.kind) for event in actor.client.events if event.watch == actor.watch]
    assert len(told) == len(set(told)), "an event was told twice"
    assert [revision for revision, _, _ in told] == sorted(revision for revision, _, _ in told)
    if core.state.final or core.desk.subscriptions.claims() == ():
        return
    floor = min((revision for revision, _, _ in told), default=core.desk.subscriptions.cursor)
    happened = [
        (change.revision, change.path, change.kind)
        for change in actor.world.cell.tree.history
        if floor <= change.revision <= core.desk.subscriptions.cursor and change.path.startswith("/d")
    ]
    if told:
        first = told[0]
        assert told == happened[happened.index(first) :], "an event was lost"


def test_the_cache_is_used_at_all() -> None:
    """The histories above would prove nothing if no read were ever answered from the cache, or all of one kind."""
    actors = [actor for seed in range(5) for actor in live_through(seed, 30 * SECOND)[1]]
    assert sum(actor.hits for actor in actors) > 50
    assert {kind for actor in actors for kind in actor.kinds} == set(NodeKind)


@pytest.mark.parametrize("rate", [-10_000, 0, 10_000])
def test_the_local_lease_ends_before_the_masters(rate: int) -> None:
    """DESIGN §5 KeepAlive: send + lease × (1−ε)/(1+ε), for every clock whose rate is within ε."""
    world = World(3)
    client = SimClient(world, rate=rate).opened()
    ended: list[Instant] = []
    session = next(iter(world.cell.sessions.values()))
    client.reachable = False
    world.run_until(lambda: client.core.state is SessionState.JEOPARDY)
    ended.append(world.now)
    assert session.deadline >= world.now, "the master's lease was over first"
    world.run_until(lambda: session.id not in world.cell.sessions)
    assert ended[0] < world.now


def wake_after(world: World, client: SimClient, duration: Duration, then: Callable[[], None]) -> None:
    """Stop the process, let time pass, let it go on with `then` before anything else."""
    client.pause()
    world.run(duration)
    client.paused = False
    then()


def test_a_process_that_slept_through_its_lease_is_told_by_its_very_next_call() -> None:
    """DESIGN §6: one that slept through it gets an error from its very next call, before any timer or frame."""
    world = World(4)
    client = SimClient(world).opened()
    handle = client.open("/x", CreateMode.MAY)
    answers: list[Answer] = []

    def next_call() -> None:
        answers.append(client.answers[client.call(SetContents(handle, b"late"))])

    wake_after(world, client, 70 * SECOND, next_call)
    assert [_is_expiry(answer) for answer in answers] == [True]
    assert [state for _, state in client.states] == [SessionState.NORMAL, SessionState.JEOPARDY, SessionState.EXPIRED]


def test_a_process_that_slept_less_than_the_grace_finds_out_from_the_master() -> None:
    """Its next call waits in jeopardy; the master has ended the session, so the call fails and nothing is sent."""
    world = World(5)
    client = SimClient(world).opened()
    other = SimClient(world).opened()
    handle = client.open("/x", CreateMode.MAY)
    assert isinstance(client.do(Acquire(handle)), LockGranted)
    numbers: list[CallNumber] = []
    wake_after(world, client, 20 * SECOND, lambda: numbers.append(client.call(SetContents(handle, b"late"))))
    assert client.core.state is SessionState.JEOPARDY
    assert numbers[0] not in client.answers
    theirs = other.open("/x")
    assert isinstance(other.do(Acquire(theirs)), LockGranted)
    assert _is_expiry(client.wait(numbers[0]))
    assert world.cell.tree.nodes["/x"].contents == b""


def test_a_short_sleep_costs_nothing() -> None:
    """Stopped for less than its lease: no jeopardy, the lock is still held, frames that waited are read."""
    world = World(6)
    client = SimClient(world).opened()
    handle = client.open("/x", CreateMode.MAY)
    client.do(Acquire(handle))
    client.pause()
    world.run(9 * SECOND)
    client.wake()
    assert isinstance(client.do(SetContents(handle, b"on time")), StatResult)
    assert [state for _, state in client.states] == [SessionState.NORMAL]


def test_the_master_forgets_nothing_that_matters_in_a_fail_over() -> None:
    """DESIGN §1: locks, handles and queued lock requests survive; the handle invalid event tells of a lost node."""
    world = World(7)
    holder, waiter = SimClient(world).opened(), SimClient(world).opened()
    held = holder.open("/x", CreateMode.MAY)
    gone = holder.open("/y", CreateMode.MAY)
    holder.do(Acquire(held))
    wanted = waiter.open("/x")
    number = waiter.call(Acquire(wanted))
    world.run(SECOND)
    world.cell.tree.remove("/y")
    world.cell.fail_over(world.now)
    world.run(SECOND)
    assert [(event.kind, event.handle) for event in holder.events] == [(EventKind.HANDLE_INVALID, gone)]
    assert number not in waiter.answers
    holder.do(Release(held))
    assert isinstance(waiter.wait(number), LockGranted)
    answer = holder.do(GetStat(gone))
    assert isinstance(answer, Failure) and answer.code is ErrorCode.HANDLE_INVALID
