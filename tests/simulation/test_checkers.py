"""The checkers themselves: good histories pass, each broken one is caught."""

from __future__ import annotations

import pytest

from tests.simulation.checkers import Access, LockChecker, RegisterChecker, Violation


def register(*accesses: tuple[str, int, int, int, bytes, bool]) -> RegisterChecker:
    """A checker that was told of these (client, begun, ended, generation, contents, wrote)."""
    checker = RegisterChecker("/a")
    for access in accesses:
        checker.add(Access(*access))
    return checker


def test_a_linearizable_history_passes() -> None:
    """Concurrent accesses may be seen in either order."""
    register(
        ("c1", 0, 10, 2, b"x", True),
        ("c2", 5, 12, 1, b"", False),
        ("c3", 11, 20, 2, b"x", False),
        ("c1", 11, 30, 3, b"y", True),
        ("c2", 21, 31, 3, b"y", False),
    )


@pytest.mark.parametrize(
    "second",
    [
        ("c2", 11, 20, 1, b"", False),
        ("c2", 11, 20, 2, b"z", True),
        ("c2", 11, 20, 2, b"z", False),
        ("c2", 5, 20, 2, b"z", True),
    ],
    ids=["stale read", "lost write", "another content", "two writes of one generation"],
)
def test_a_broken_history_is_caught(second: tuple[str, int, int, int, bytes, bool]) -> None:
    """After a write of generation 2 was known."""
    with pytest.raises(Violation):
        register(("c1", 0, 10, 2, b"x", True), second)


def test_a_lock_goes_from_hand_to_hand() -> None:
    """Release before the next grant; tokens grow."""
    checker = LockChecker("/l")
    checker.acquired("c1", 1, lambda: True)
    checker.left("c1")
    checker.acquired("c2", 2, lambda: True)


def test_a_second_holder_is_caught_unless_the_first_sleeps() -> None:
    """Mutual exclusion in real time between those who act."""
    checker = LockChecker("/l")
    acts = True
    checker.acquired("c1", 1, lambda: acts)
    with pytest.raises(Violation, match="acts upon"):
        checker.acquired("c2", 2, lambda: True)
    acts = False
    checker.acquired("c2", 2, lambda: True)


def test_tokens_never_go_back_nor_stand_still() -> None:
    """One token per hold period, growing for ever."""
    checker = LockChecker("/l")
    checker.acquired("c1", 5, lambda: True)
    checker.left("c1")
    for token in (4, 5):
        with pytest.raises(Violation, match="token"):
            checker.acquired("c2", token, lambda: True)


def test_who_is_told_to_be_safe_still_holds() -> None:
    """DESIGN §6: safe means that nothing was lost."""
    checker = LockChecker("/l")
    checker.acquired("c1", 1, lambda: False)
    checker.kept("c1")
    checker.acquired("c2", 2, lambda: True)
    with pytest.raises(Violation, match="kept"):
        checker.kept("c1")
