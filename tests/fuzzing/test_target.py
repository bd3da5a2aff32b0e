"""The harness itself: it sees what it is for, and measures what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing.mutation import spoilt
from tests.fuzzing.program import Program, block
from tests.fuzzing.target import KIB, MIB, Target, check_memory, cost_of, memory_of, steps_of


def door(data: bytes) -> None:
    """A door with a mistake behind it."""
    if not data:
        raise ValueError("nothing is refused")
    if data.startswith(b"\xff"):
        raise KeyError("a crash")
    if data.startswith(b"\x01"):
        bytearray(64 * MIB)


TARGET = Target(name="door", door="of the test", feed=door, refusals=(ValueError,), samples=lambda: [b"good"])


def test_sense_refusal_and_finding_are_told_apart() -> None:
    """A refusal is returned, anything else that is raised goes through."""
    assert TARGET.taste(b"good") is None
    assert isinstance(TARGET.taste(b""), ValueError)
    with pytest.raises(KeyError):
        TARGET.taste(b"\xff")


def test_a_refusal_that_says_too_much_is_a_finding() -> None:
    """A peer's bytes do not make us write a novel into the log."""

    def verbose(data: bytes) -> None:
        raise ValueError("x" * 10_000)

    with pytest.raises(AssertionError, match="a refusal of 10000 bytes"):
        Target(name="v", door="", feed=verbose, refusals=(ValueError,), samples=lambda: []).taste(b"")


def test_memory_is_held_against_the_bound() -> None:
    """The peak counts, though all is freed at the end."""
    check_memory(TARGET, b"good")
    with pytest.raises(AssertionError, match="of memory"):
        check_memory(TARGET, b"\x01")


def test_costs_are_counted() -> None:
    """Steps are the same each time; memory is about what was allocated."""
    assert steps_of(lambda: [abs(number) for number in range(100)]) >= 100
    first, second = (cost_of(TARGET, b"good").steps for _ in range(2))
    assert first == second
    assert 10 * MIB <= memory_of(lambda: bytes(10 * MIB)) <= 10 * MIB + 64 * KIB


def test_programs_take_what_they_need() -> None:
    """What is missing reads as zeros and nothing."""
    program = Program(b"\x05\x01\x00" + block(b"abc") + b"rest")
    assert (program.number(), program.number(2), program.block(), bool(program)) == (5, 1, b"abc", True)
    assert program.one_of("xyz") == "xyz"[ord("r") % 3]
    assert program.rest() == b"est" and not program
    assert (program.number(4), program.block(), program.rest()) == (0, b"", b"")


@given(st.binary(max_size=64))
def test_any_bytes_are_a_program(data: bytes) -> None:
    """Reading ends."""
    program = Program(data)
    while program:
        program.number()
        program.block()


@given(spoilt([b"abcdefgh" * 4, b"\x00\x01"]))
def test_near_misses_are_bounded(data: bytes) -> None:
    """A few changes make no monster."""
    assert len(data) <= 32 + 6 * 8 * 24
