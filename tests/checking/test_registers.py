"""Hand-made histories of a register and of a string."""

from __future__ import annotations

from tests.checking.history import UNKNOWN
from tests.checking.registers import (
    NIL,
    Append,
    Get,
    Put,
    ReadRegister,
    RegisterCall,
    RegisterModel,
    RegisterResult,
    StringCall,
    StringModel,
    Swap,
    WriteRegister,
)
from tests.checking.stories import Line, holds, lost, story

READ = ReadRegister()


def good(*lines: Line[RegisterCall, RegisterResult]) -> bool:
    """Whether a register can have given these answers."""
    return holds(story(lines), RegisterModel())


def right(*lines: Line[StringCall, str]) -> bool:
    """Whether a string can have given these answers."""
    return holds(story(lines), StringModel())


def test_a_read_gives_what_was_written() -> None:
    """The whole of it, one client."""
    assert good(("c1", 0, 1, READ, NIL), ("c1", 2, 3, WriteRegister(4), True), ("c1", 4, 5, READ, 4))


def test_a_stale_read_is_caught() -> None:
    """A read after a write was answered gives what was before."""
    write = ("c1", 0, 1, WriteRegister(1), True), ("c1", 2, 3, WriteRegister(2), True)
    assert good(*write, ("c2", 3, 5, READ, 1))
    assert not good(*write, ("c2", 4, 5, READ, 1))


def test_two_readers_agree_on_the_order() -> None:
    """During one long write, once somebody was told the new value nobody later is told the old one."""
    write = ("c1", 0, 9, WriteRegister(1), True)
    assert good(write, ("c2", 1, 2, READ, NIL), ("c3", 3, 4, READ, 1))
    assert not good(write, ("c2", 1, 2, READ, 1), ("c3", 3, 4, READ, NIL))
    assert good(write, ("c2", 1, 3, READ, 1), ("c3", 3, 4, READ, NIL))


def test_a_value_never_written_is_caught() -> None:
    """Nobody makes values up."""
    assert not good(("c1", 0, 1, WriteRegister(1), True), ("c2", 0, 9, READ, 2))


def test_a_lost_update_is_caught() -> None:
    """Two compare-and-sets of the same value cannot both succeed; one that fails must have had a reason."""
    both = ("c1", 0, 1, WriteRegister(0), True), ("c2", 2, 5, Swap(0, 1), True)
    assert not good(*both, ("c3", 2, 5, Swap(0, 2), True))
    assert good(*both, ("c3", 2, 5, Swap(0, 2), False))
    assert not good(*both, ("c3", 6, 7, Swap(1, 2), False))


def test_an_unknown_write_may_come_at_any_later_time_or_never() -> None:
    """Not before it was invoked, and not twice."""
    unknown = lost("c1", 2, WriteRegister(7))
    other = ("c2", 10, 11, WriteRegister(1), True)
    assert good(unknown, other, ("c2", 12, 13, READ, 1))
    assert good(unknown, other, ("c2", 12, 13, READ, 7))
    assert not good(unknown, ("c2", 0, 1, READ, 7))
    again = ("c2", 14, 15, WriteRegister(2), True), ("c2", 16, 17, READ, 7)
    assert not good(unknown, other, ("c2", 12, 13, READ, 7), *again)


def test_an_unknown_swap_needs_its_old_value() -> None:
    """It cannot have taken effect where it would have failed."""
    unknown = lost("c1", 0, Swap(3, 4))
    assert not good(unknown, ("c2", 1, 2, READ, 4))
    assert good(unknown, ("c2", 1, 2, WriteRegister(3), True), ("c2", 3, 4, READ, 4))


def test_writing_what_is_there_is_not_reading() -> None:
    """A write that changes nothing where it stands may still have to be moved to where it does."""
    assert good(
        ("c1", 0, 1, WriteRegister(2), True),
        ("c2", 2, 20, WriteRegister(2), True),
        ("c3", 3, 4, WriteRegister(3), True),
        ("c3", 5, 6, READ, 2),
    )


def test_strings_grow_in_some_order() -> None:
    """Appends that ran together are in either order, for everybody the same one."""
    both = ("c1", 0, 5, Append("a"), ""), ("c2", 0, 5, Append("b"), "")
    assert right(*both, ("c3", 6, 7, Get(), "ba"), ("c3", 8, 9, Get(), "ba"))
    assert not right(*both, ("c3", 6, 7, Get(), "ba"), ("c3", 8, 9, Get(), "ab"))


def test_a_lost_and_a_repeated_append_are_caught() -> None:
    """An answered one is there, and once; an unknown one at most once."""
    known = ("c1", 0, 1, Append("a"), "")
    unknown = lost("c1", 2, Append("b"))
    assert not right(known, ("c2", 2, 3, Get(), ""))
    assert not right(known, ("c2", 2, 3, Get(), "aa"))
    assert right(known, unknown, ("c2", 3, 4, Get(), "ab"))
    assert not right(known, unknown, ("c2", 3, 4, Get(), "abb"))


def test_put_replaces() -> None:
    """Whatever was there."""
    assert right(("c1", 0, 1, Append("a"), ""), ("c1", 2, 3, Put("z"), ""), ("c1", 4, 5, Get(), "z"))


def test_equal_strings_are_one_state() -> None:
    """However they came about; and a state is shown as what it is."""
    model = StringModel()
    one = model.step(0, Put("ab"), "")
    first = model.step(0, Append("a"), "")
    assert one is not None and first is not None
    assert model.step(first, Append("b"), "") == one != first
    assert model.show(one) == "'ab'"
    assert (RegisterModel().show(NIL), RegisterModel().show(3)) == ("nil", "3")


def test_who_only_looks_is_known() -> None:
    """What never changes a state, whatever the state."""
    register, string = RegisterModel(), StringModel()
    assert register.observes(READ, 1) and register.observes(Swap(1, 2), False)
    assert not register.observes(Swap(1, 2), True) and not register.observes(WriteRegister(1), True)
    assert string.observes(Get(), "") and not string.observes(Put(""), "") and not string.observes(Append(""), "")
    assert register.step(1, READ, UNKNOWN) == 1
