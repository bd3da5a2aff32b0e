"""What holds between any two commands (the chapter of `chubby.namespace`, "Invariants between commands")."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from chubby import paths
from chubby.namespace.machine import Machine
from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.nodes import LockInfo, LockMode, NodeKind
from tests.namespace.test_twin import Pair


def check(machine: Machine) -> None:
    """All invariants of the chapter."""
    check_tree(machine)
    check_locks(machine)
    check_sessions(machine)
    history = machine.history_since(machine.forgotten)
    assert history is not None
    assert len(history) <= machine.limits.history
    assert [change.revision for change in history] == sorted(change.revision for change in history)


def check_tree(machine: Machine) -> None:
    """1 and 2: nobody floats, what has children is a directory, nothing abandoned stays; instances are unique."""
    nodes = machine._state.tree.nodes.rows
    assert {"/", "/acl"} <= set(nodes)
    instances = [node.instance for node in nodes.values()]
    assert len(set(instances)) == len(instances)
    assert max(instances) <= machine._state.register.instance
    seen = set()
    for path, node in nodes.items():
        assert path == "/" or paths.parent(path) in seen, "parents come first, also in the order of rows"
        seen.add(path)
        has_children = bool(machine.children(path, "", 1)[0])
        assert not has_children or node.stat.kind is NodeKind.DIRECTORY
        assert not node.ephemeral or has_children or machine.open_count(path) > 0


def check_locks(machine: Machine) -> None:
    """3 and 4: who holds, who waits, under which numbers."""
    live = set(machine.session_ids())
    tokens = Counter(info.token for info in machine.locks("", 0)[0])
    for info in machine.locks("", 0)[0]:
        owners = [*info.holders, *(owner for owner, _ in info.waiters)]
        assert len(set(owners)) == len(owners)
        assert {owner.session for owner in owners} <= live
        assert info.holders or info.waiters or info.delayed
        assert (info.mode is None) == (not info.holders)
        assert info.mode is not LockMode.EXCLUSIVE or len(info.holders) == 1
        assert not (info.delayed and info.holders)
        assert not grantable(info)
        assert info.token <= machine._state.register.token
        assert tokens[info.token] == 1, "no two locks share a token"
    for session in live:
        for path, _ in machine.locks_of(session):
            assert machine.node(path) is not None


def grantable(info: LockInfo) -> bool:
    """Whether the head of the queue could be granted."""
    if not info.waiters or info.delayed:
        return False
    return not info.holders or (info.mode is info.waiters[0][1] is LockMode.SHARED)


def check_sessions(machine: Machine) -> None:
    """5: reply tables; members of open-sets are alive."""
    sessions = machine._state.sessions
    counts = Counter(session for session, _ in sessions.replies.rows)
    assert all(count <= REPLY_TABLE_LIMIT for count in counts.values())
    for session, number in sessions.replies.rows:
        assert number > machine.acknowledged(session)
    live = set(machine.session_ids())
    assert {session for _, session, _ in machine._state.tree.opens.rows} <= live
    assert max(live, default=0) <= machine._state.register.session


@pytest.mark.parametrize("seed", range(5))
def test_invariants_hold_after_every_command(seed: int) -> None:
    """Whatever comes, in whatever order."""
    pair = Pair(random.Random(seed * 31 + 7))
    revision = token = instance = session = epoch = 0
    for _ in range(700):
        pair.step()
        check(pair.machine)
        register = pair.machine._state.register
        assert register.revision >= revision
        assert register.token >= token
        assert register.instance >= instance
        assert register.session >= session
        assert register.epoch >= epoch
        revision, token, instance = register.revision, register.token, register.instance
        session, epoch = register.session, register.epoch


@pytest.mark.parametrize("seed", range(2))
def test_numbers_are_given_once(seed: int) -> None:
    """No token for two hold periods, no instance for two nodes, no id for two sessions."""
    pair = Pair(random.Random(seed + 500))
    periods: dict[int, tuple[str, int, int]] = {}
    nodes: dict[int, tuple[str, int]] = {}
    for _ in range(1_500):
        _, outcome = pair.step()
        for grant in outcome.grants:
            period = (grant.path, grant.instance, grant.generation)
            assert periods.setdefault(grant.token, period) == period
        for path, node in pair.machine._state.tree.nodes.rows.items():
            birth = (path, node.stat.created)
            assert nodes.setdefault(node.instance, birth) == birth
    assert len(periods) > 20
    assert sorted(periods) == list(range(1, len(periods) + 1))
