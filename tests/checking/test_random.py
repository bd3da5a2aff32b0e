"""Random histories: those that real objects gave are accepted; spoilt ones are judged as the definition judges them."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from typing import TypeVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checking import brute, linearizability, revisions
from tests.checking.atomic import Load, Play
from tests.checking.history import History, Operation
from tests.checking.locks import Granted, LockCall, LockModel, LockResult, LockSaid
from tests.checking.model import Model
from tests.checking.nodes import Made, NodeCall, NodeModel, NodeResult, Said, View, Wrote
from tests.checking.registers import RegisterCall, RegisterModel, RegisterResult, StringCall, StringModel
from tests.checking.things import Lock, Node, Register, Text
from tests.checking.verdict import Judgement

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S", bound=Hashable)

SEEDS = st.integers(0, 1 << 32)
LOADS = st.builds(Load, st.integers(1, 8), st.integers(1, 80), st.sampled_from((0.0, 0.0, 0.05, 0.2)))
TINY = st.builds(Load, st.integers(1, 4), st.integers(1, 5), st.sampled_from((0.0, 0.3)))


def registers(seed: int, load: Load) -> History[RegisterCall, RegisterResult]:
    """A history of a register."""
    thing = Register()
    return Play(random.Random(seed), thing, thing.next_call, load).run()


def strings(seed: int, load: Load) -> History[StringCall, str]:
    """A history of a string."""
    thing = Text()
    return Play(random.Random(seed), thing, thing.next_call, load).run()


def nodes(seed: int, load: Load) -> History[NodeCall, NodeResult]:
    """A history of a node."""
    chance = random.Random(seed)
    thing = Node(chance)
    return Play(chance, thing, thing.next_call, load).run()


def locks(seed: int, load: Load) -> History[LockCall, LockResult]:
    """A history of a lock."""
    chance = random.Random(seed)
    thing = Lock(chance)
    return Play(chance, thing, thing.next_call, load).run()


def spoil(history: History[C, R], seed: int, other: Callable[[random.Random], R]) -> History[C, R]:
    """The same history with one answer replaced by another one; its revision stays."""
    chance = random.Random(seed)
    answered = [number for number, each in enumerate(history.operations) if each.known]
    if not answered:
        return history
    operations: list[Operation[C, R]] = list(history.operations)
    number = chance.choice(answered)
    operations[number] = msgspec.structs.replace(operations[number], result=other(chance))
    return History(operations)


def agree(history: History[C, R], model: Model[C, R, S]) -> None:
    """The search judges as the definition does."""
    verdict = linearizability.check(history, model)
    assert verdict.judgement is not Judgement.UNDECIDED
    assert verdict.passed == brute.linearizable(history, model), verdict.explain()


def accepted(history: History[C, R], model: Model[C, R, S]) -> None:
    """It is linearizable, and the order that proves it does."""
    verdict = linearizability.check(history, model, bound=200_000)
    assert verdict.judgement is not Judgement.BROKEN, verdict.explain()
    if verdict.passed:
        assert brute.proves(verdict.order, history, model)


def any_node_answer(chance: random.Random) -> NodeResult:
    """Something that a node may say."""
    number = chance.randrange(1, 16)
    answers: list[NodeResult] = [View(number, 1 + number % 3), Made(number), Wrote(number % 4), *Said]
    return chance.choice(answers)


def any_lock_answer(chance: random.Random) -> LockResult:
    """Something that a lock may say."""
    answers: list[LockResult] = [Granted(chance.randrange(5, 12)), *LockSaid]
    return chance.choice(answers)


@settings(deadline=None, max_examples=80)
@given(SEEDS, LOADS)
def test_what_real_objects_gave_is_linearizable(seed: int, load: Load) -> None:
    """With latencies, lost answers, and calls that take effect long after their clients gave up."""
    accepted(registers(seed, load), RegisterModel())
    accepted(nodes(seed, load), NodeModel())
    accepted(locks(seed, load), LockModel())
    accepted(strings(seed, Load(min(load.clients, 3), load.operations, load.lost)), StringModel())


@settings(deadline=None, max_examples=100)
@given(SEEDS, LOADS)
def test_revisions_prove_what_real_nodes_gave(seed: int, load: Load) -> None:
    """Always, if every answer arrived; and never refute it."""
    verdict = revisions.check(nodes(seed, load), NodeModel())
    assert verdict.judgement is not Judgement.BROKEN, verdict.explain()
    assert verdict.passed or load.lost > 0, verdict.explain()


@settings(deadline=None, max_examples=100)
@given(SEEDS, TINY, SEEDS)
def test_spoilt_registers_and_strings(seed: int, load: Load, spoiling: int) -> None:
    """Any other value, any other text."""
    agree(spoil(registers(seed, load), spoiling, lambda chance: chance.randrange(-1, 4)), RegisterModel())
    texts = ("", "c0.1 ", "c1.2 c0.1 ", "c0.1 c0.1 ")
    agree(spoil(strings(seed, load), spoiling, lambda chance: chance.choice(texts)), StringModel())


@settings(deadline=None, max_examples=100)
@given(SEEDS, TINY, SEEDS)
def test_spoilt_nodes_and_locks(seed: int, load: Load, spoiling: int) -> None:
    """Any other answer."""
    agree(spoil(nodes(seed, load), spoiling, any_node_answer), NodeModel())
    agree(spoil(locks(seed, load), spoiling, any_lock_answer), LockModel())


@settings(deadline=None, max_examples=100)
@given(SEEDS, TINY, SEEDS)
def test_spoilt_nodes_by_revisions(seed: int, load: Load, spoiling: int) -> None:
    """A proof is a proof. (A refutation may rest on revisions, of which results alone say nothing.)"""
    history = spoil(nodes(seed, load), spoiling, any_node_answer)
    verdict = revisions.check(history, NodeModel())
    assert not verdict.passed or brute.linearizable(history, NodeModel()), verdict.explain()


@settings(deadline=None, max_examples=100)
@given(SEEDS, TINY)
def test_revisions_and_the_search_agree_on_what_real_nodes_gave(seed: int, load: Load) -> None:
    """Nothing that was not spoilt is ever refuted, on the least as on the greatest."""
    history = nodes(seed, load)
    agree(history, NodeModel())
    assert revisions.check(history, NodeModel()).judgement is not Judgement.BROKEN


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.builds(Load, st.integers(2, 8), st.integers(20, 60)))
def test_a_value_never_written_is_always_caught(seed: int, load: Load) -> None:
    """However long the history, if no answer was lost: by the search, and by the revisions."""
    history = nodes(seed, load)
    looks = [number for number, each in enumerate(history.operations) if isinstance(each.result, View)]
    if not looks:
        return
    operations = list(history.operations)
    number = looks[seed % len(looks)]
    view = operations[number].result
    assert isinstance(view, View)
    spoilt = msgspec.structs.replace(view, contents=b"never")
    operations[number] = msgspec.structs.replace(operations[number], result=spoilt)
    for check in (linearizability.check, revisions.check):
        verdict = check(History(operations), NodeModel())
        assert verdict.judgement is Judgement.BROKEN, verdict.explain()
