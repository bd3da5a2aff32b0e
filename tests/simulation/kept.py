"""Plans that found a bug of the product, kept as they were: what their seeds draw changes with the simulator, they do
not. Their names say what was found; docs/testing.md says more.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.simulation.plan import Plan

PLACE = Path(__file__).parent / "regressions"


def kept() -> dict[str, Plan]:
    """All of them, by name."""
    return {path.stem: load(path) for path in sorted(PLACE.glob("*.json"))}


def load(path: Path) -> Plan:
    """The plan in that file. Raises OSError, msgspec.ValidationError, msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Plan)
