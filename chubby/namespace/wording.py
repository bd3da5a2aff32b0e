"""How refusals speak of what they were given.

The messages of failures are state: reply tables keep them, digests cover them. So they must be the same on every
replica, whatever its interpreter: no `repr` (what it escapes changes with each version of Unicode), and short.
"""

from __future__ import annotations

from typing import Final

__all__ = ["quoted"]

_SHOWN: Final = 120


def quoted(text: str) -> str:
    """The text in quotes and ASCII, cut if it is long."""
    return ascii(text) if len(text) <= _SHOWN else ascii(text[:_SHOWN]) + "..."
