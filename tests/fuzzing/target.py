"""A target: one door, as a function of bytes; and what one input may cost.

`taste` is what every engine calls: it gives the input to the door and returns the refusal, or None if the door made
sense of it. Anything else that is raised is a finding.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Final

import msgspec

KIB: Final = 1024
MIB: Final = 1024 * 1024


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One door. `feed` may raise `refusals` and nothing else.

    `samples` are good inputs that lead far in. `bombs` make inputs of about n bytes that could cost far more than they
    should. Memory: an input of n bytes may make the door allocate `memory` + `memory_per_byte` * n, and no more.
    `longest`: how long an input the fuzzer makes.
    """

    name: str
    door: str
    feed: Callable[[bytes], None]
    refusals: tuple[type[Exception], ...] = ()
    samples: Callable[[], Sequence[bytes]]
    bombs: Mapping[str, Callable[[int], bytes]] = {}
    longest: int = 4096
    memory: int = 4 * MIB
    memory_per_byte: int = 400

    def taste(self, data: bytes) -> Exception | None:
        """The refusal of `data`, None if it was made sense of. Raises what the door should not."""
        try:
            self.feed(data)
        except self.refusals as refusal:
            # A refusal is told to people and to peers: that must not fail, nor say far more than was refused.
            told = str(refusal).encode("utf-8", "surrogatepass")
            assert len(told) <= 4 * len(data) + 4096, f"a refusal of {len(told)} bytes"
            return refusal
        return None


class Cost(msgspec.Struct, frozen=True):
    """What one input came to: calls of functions, and the peak of memory beyond what there was, in bytes."""

    steps: int
    memory: int


def steps_of(work: Callable[[], object]) -> int:
    """How many functions `work` calls, those of C included: the same number wherever it runs."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def memory_of(work: Callable[[], object]) -> int:
    """The peak of what Python allocates while `work` runs, beyond what it had, in bytes."""
    gc.collect()
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not already:
            tracemalloc.stop()
    return peak - before


def cost_of(target: Target, data: bytes) -> Cost:
    """What `data` costs at the door, run once for steps and once for memory."""
    return Cost(steps_of(lambda: target.taste(data)), memory_of(lambda: target.taste(data)))


def check_memory(target: Target, data: bytes) -> None:
    """Fail if `data` makes the door allocate more than its target says."""
    allowed = target.memory + target.memory_per_byte * len(data)
    used = memory_of(lambda: target.taste(data))
    assert used <= allowed, f"{target.name}: {len(data)} bytes cost {used} bytes of memory; {allowed} are allowed"
