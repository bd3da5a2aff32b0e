"""Who may cache what, and what is uncachable (DESIGN §5 Invalidate first)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.master.footprints import children_key, node_key
from chubby.master.registry import Registry, Uncachable
from chubby.types.stream import CacheKey

A, B = node_key("/a"), node_key("/b")


def test_marks_tell_how_things_stand() -> None:
    """Filled by a call; then invalidated; then acknowledged and gone."""
    registry = Registry()
    registry.register(1, A, 5)
    registry.register(2, A, 7)
    assert registry.marks(A) == ((1, 5), (2, 7))
    registry.owe(1, A, 3)
    assert registry.marks(A) == ((1, -3), (2, 7))
    registry.acknowledged(1, [A], 2)
    assert registry.marks(A) == ((1, -3), (2, 7)), "an earlier acknowledgement settles nothing"
    registry.acknowledged(1, [A], 3)
    assert registry.marks(A) == ((2, 7),)


def test_a_newer_registration_survives_an_old_acknowledgement() -> None:
    """The session read again after the invalidation: what it caches now was not meant."""
    registry = Registry()
    registry.register(1, A, 5)
    registry.owe(1, A, 3)
    registry.register(1, A, 9)
    registry.acknowledged(1, [A], 3)
    assert registry.marks(A) == ((1, 9),)


def test_forget_one_session() -> None:
    """Resume comes with an empty cache: nothing of the session is left, everything of the others is."""
    registry = Registry()
    for key in (A, B, children_key("/")):
        registry.register(1, key, 1)
    registry.register(2, A, 1)
    registry.forget(1)
    registry.forget(1)
    assert len(registry) == 1 and registry.count_of(1) == 0 and registry.count_of(2) == 1
    assert registry.marks(B) == () and list(registry.sessions()) == [2]


def test_node_and_children_are_two_keys() -> None:
    """The names below a node are not its content."""
    registry = Registry()
    registry.register(1, node_key("/a"), 1)
    assert registry.marks(children_key("/a")) == ()


def test_uncachable_is_a_counter() -> None:
    """DESIGN §5: it rises before the first invalidation and falls when the change is applied or void."""
    uncachable = Uncachable()
    uncachable.rise(A)
    uncachable.rise(A)
    uncachable.fall(A)
    assert A in uncachable and B not in uncachable
    uncachable.fall(A)
    assert A not in uncachable and len(uncachable) == 0
    with pytest.raises(KeyError):
        uncachable.fall(A)


keys = st.sampled_from([A, B, children_key("/"), children_key("/a")])
verbs = st.sampled_from(["register", "drop", "forget", "owe"])
script = st.lists(st.tuples(verbs, st.integers(1, 3), keys), max_size=40)


@given(script)
def test_both_sides_agree(steps: list[tuple[str, int, CacheKey]]) -> None:
    """By key and by session the same pairs, however they came and went."""
    registry = Registry()
    model: dict[tuple[int, CacheKey], int] = {}
    for number, (verb, session, key) in enumerate(steps, 1):
        if verb == "register":
            registry.register(session, key, number)
            model[session, key] = number
        elif verb == "forget":
            registry.forget(session)
            model = {pair: mark for pair, mark in model.items() if pair[0] != session}
        elif (session, key) in model and verb == "drop":
            registry.drop(session, key)
            del model[session, key]
        elif (session, key) in model:
            registry.owe(session, key, number)
            model[session, key] = -number
        assert len(registry) == len(model)
        for name in (A, B, children_key("/"), children_key("/a")):
            assert dict(registry.marks(name)) == {who: mark for (who, what), mark in model.items() if what == name}
        for who in (1, 2, 3):
            assert registry.count_of(who) == sum(pair[0] == who for pair in model)
