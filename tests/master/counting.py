"""What something costs, whatever else the machine is doing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


def count_calls(action: Callable[[], object]) -> int:
    """How many Python functions `action` calls."""
    count = 0

    def tracer(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(tracer)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count
