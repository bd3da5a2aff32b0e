"""The machine and its twin do the same (DESIGN §4: "Deterministic").

This is the main proof of the room: any rule of the machine that differs from the plain one is found here, provided that
the workload gets there, which `test_the_workload_gets_everywhere` sees to.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chubby.errors import Failure
from chubby.namespace.commands import Command, Request, decode, encode
from chubby.namespace.machine import Machine
from chubby.namespace.outcomes import LockAnswer, Outcome, Transacted
from chubby.types.nodes import LockOwner
from tests.namespace.cell import GENESIS
from tests.namespace.picture import picture_of, picture_of_twin, wordless, wordless_reply
from tests.namespace.twin import Twin
from tests.namespace.workload import Workload


class Pair:
    """Machine and twin, given the same commands."""

    def __init__(self, chance: random.Random) -> None:
        """Both new, with a workload for both."""
        self.machine = Machine.genesis(GENESIS)
        self.twin = Twin(GENESIS)
        self.workload = Workload(chance)
        self.chance = chance

    def step(self) -> tuple[Command, Outcome]:
        """One command, by way of the bytes of the log; the outcomes must be equal."""
        command = self.workload.next(self.twin)
        slot = self.machine.applied + self.chance.randrange(2)
        outcome = self.machine.apply(slot, decode(encode(command)))
        expected = self.twin.apply(slot, command)
        assert wordless(outcome) == expected, command
        return command, outcome

    def compare(self) -> None:
        """All state must be equal, and what is read of it."""
        assert picture_of(self.machine) == picture_of_twin(self.twin)
        self._compare_reading()

    def _compare_reading(self) -> None:
        machine, twin = self.machine, self.twin
        assert machine.node_count == len(twin.nodes)
        assert machine.content_bytes == twin.bytes_used()
        assert machine.session_count == len(twin.sessions)
        assert list(machine.session_ids()) == sorted(twin.sessions)
        for path, node in twin.nodes.items():
            names = sorted(child.rsplit("/", 1)[1] for child in twin.children(path))
            assert [entry.name for entry in machine.children(path, "", 0)[0]] == names
            assert machine.open_count(path) == len(node.opens)
            lock = machine.lock(path)
            assert lock is not None
            assert lock.holders == tuple(LockOwner(*owner) for owner, _ in node.holders)
            assert lock.waiters == tuple((LockOwner(*owner), mode) for owner, mode, _ in node.waiters)
        for number, session in twin.sessions.items():
            view = machine.session(number)
            assert view is not None
            holding = sum(owner[0] == number for node in twin.nodes.values() for owner, _ in node.holders)
            waiting = sum(owner[0] == number for node in twin.nodes.values() for owner, _, _ in node.waiters)
            assert view.locks == holding + waiting
            opens = [owner for node in twin.nodes.values() for owner in node.opens]
            assert view.ephemerals == sum(owner[0] == number for owner in opens)
            for call in session.replies:
                reply = machine.reply(number, call)
                assert reply is not None
                assert wordless_reply(reply) == twin.remembered(number, call)
        for revision in range(max(twin.forgotten - 1, 0), twin.revision + 2):
            expected = tuple(change for change in twin.history if change.revision > revision)
            assert machine.history_since(revision) == (None if revision < twin.forgotten else expected)


@pytest.mark.parametrize("seed", range(12))
def test_long_runs(seed: int) -> None:
    """DESIGN §4: thousands of commands give the same outcomes and the same state, in every detail."""
    pair = Pair(random.Random(seed))
    for number in range(1_500):
        pair.step()
        if number % 25 == 0:
            pair.compare()
    pair.compare()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(chance=st.randoms(use_true_random=False), length=st.integers(1, 60))
def test_short_runs(chance: random.Random, length: int) -> None:
    """DESIGN §4: the same for short sequences, which hypothesis can shrink to the smallest that fails."""
    pair = Pair(chance)
    for _ in range(length):
        pair.step()
    pair.compare()


def test_the_workload_gets_everywhere() -> None:
    """The proof is worth what the workload reaches: every kind of command, answer, failure and fact, many times."""
    seen: Counter[str] = Counter()
    for seed in range(6):
        pair = Pair(random.Random(1_000 + seed))
        for _ in range(1_500):
            seen.update(_features(*pair.step()))
    expected = (
        "Request.Transaction Request.AcquireLock Request.ReleaseLock Request.CancelAcquire Request.CloseHandle "
        "BeginEpoch OpenSession CloseSession ExpireSession EndLockDelay RaiseCaps SetLimits RotateKey CheckDigest "
        "SetVersion changed unchanged refused otherwise deleted-by-end grants joint-grant conflicts delays orphaned "
        "delay-ended repeated repeated-held repeated-waiting repeated-none void.NOT_MASTER void.SESSION_EXPIRED "
        "void.CANCELLED void.GENERATION_MISMATCH standing.HELD standing.WAITING standing.NONE failure.BAD_ARGUMENT "
        "failure.LOCK_CONFLICT failure.LOCK_NOT_HELD failure.HANDLE_INVALID failure.QUOTA_EXCEEDED failure.TOO_LARGE "
        "operation.BAD_PATH operation.BAD_ARGUMENT operation.TOO_LARGE operation.NO_NODE operation.NODE_EXISTS "
        "operation.NOT_EMPTY operation.QUOTA_EXCEEDED operation.HANDLE_INVALID"
    )
    rare = {feature: seen[feature] for feature in expected.split() if seen[feature] < 3}
    assert not rare


def _features(command: Command, outcome: Outcome) -> list[str]:
    """What was remarkable about it."""
    body, reply = command.body, outcome.reply
    kind = type(body).__name__
    found = [f"{kind}.{type(body.action).__name__}" if isinstance(body, Request) else kind]
    found += [name for name in ("grants", "conflicts", "delays", "orphaned") if getattr(outcome, name)]
    if len(outcome.grants) > 1 and len({grant.token for grant in outcome.grants}) == 1:
        found.append("joint-grant")
    if outcome.ended_sessions and outcome.changes:
        found.append("deleted-by-end")
    if kind == "EndLockDelay" and not outcome.void:
        found.append("delay-ended")
    if outcome.repeated:
        found.append("repeated")
    if isinstance(reply, Failure):
        found.append(f"{'void' if outcome.void else 'failure'}.{reply.code.name}")
    if isinstance(reply, LockAnswer):
        found.append(f"standing.{reply.standing.name}")
        if outcome.repeated:
            found.append(f"repeated-{reply.standing.name.lower()}")
    if isinstance(reply, Transacted):
        result = reply.result
        if result.failure is not None:
            found += ["refused", f"operation.{result.failure.code.name}"]
        else:
            found.append("changed" if outcome.changes else "unchanged")
        if not result.succeeded:
            found.append("otherwise")
    return found
