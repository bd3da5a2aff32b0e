"""What was hunted so far: seeds and simulated hours, for each state of the product's source.

A hunt is worth what it ran against: as soon as the product changes, its hours begin anew. The simulator is part of it,
since a seed means nothing without what it draws.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".hunt" / "ledger.json"
FIRST_SEED = 1_000_000
"""Hunts begin here: the seeds below are for everybody's hands."""
SOURCES = ("chubby", "tests/simulation", "tests/checking", "tests/storage")


class Hunt(msgspec.Struct, frozen=True):
    """What was done with one state of the source. Seeds are handed out in order, each only once in all."""

    source: str
    """The hash of the source."""
    seeds: int = 0
    """How many runs were over."""
    simulated: float = 0.0
    """Hours."""
    processor: float = 0.0
    """Hours."""
    failed: tuple[int, ...] = ()
    """The seeds that did."""


class Ledger(msgspec.Struct, frozen=True):
    """All hunts, oldest first, and the seed that comes next."""

    next_seed: int = FIRST_SEED
    hunts: tuple[Hunt, ...] = ()

    def hunt(self, source: str) -> Hunt:
        """What was done with this state of the source."""
        return next((each for each in self.hunts if each.source == source), Hunt(source))

    def noted(self, hunt: Hunt, next_seed: int) -> Ledger:
        """With this hunt as it stands now."""
        others = tuple(each for each in self.hunts if each.source != hunt.source)
        return Ledger(max(self.next_seed, next_seed), (*others, hunt))


def load(place: Path = PLACE) -> Ledger:
    """The ledger; an empty one where none is. Raises msgspec.ValidationError or DecodeError if it is none."""
    try:
        return msgspec.json.decode(place.read_bytes(), type=Ledger)
    except FileNotFoundError:
        return Ledger()


def save(ledger: Ledger, place: Path = PLACE) -> None:
    """Put it in place as a whole."""
    place.parent.mkdir(exist_ok=True)
    beside = place.with_suffix(f".{os.getpid()}")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(ledger), indent=2) + b"\n")
    beside.replace(place)


def source_hash(root: Path = ROOT) -> str:
    """Names the product and its simulator as they are on disk now."""
    digest = hashlib.blake2b(digest_size=8)
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(data)}\n".encode() + data)
    return digest.hexdigest()
