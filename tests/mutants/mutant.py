"""What a mutant is."""

from __future__ import annotations

import re

import msgspec

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Misfit(Exception):
    """The text that a mutant changes is not in its module exactly once: the product has changed, so must the mutant."""


class Mutant(msgspec.Struct, frozen=True):
    """One rule, broken.

    `rule` says what holds without it, and where that is promised; `edits` are pairs of texts, each of which stands in
    the source of `module` exactly once before and is replaced by the other.
    """

    name: str
    rule: str
    module: str
    edits: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        """Refuse a mutant that could not be called by its name, or that changes nothing."""
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(f"{self.name!r} is no name")
        if not self.edits or any(before == after for before, after in self.edits):
            raise ValueError(f"{self.name} changes nothing")

    def applied(self, source: str) -> str:
        """The module's source with the rule broken. Raises Misfit."""
        for before, after in self.edits:
            found = source.count(before)
            if found != 1:
                raise Misfit(f"{self.name}: {found} places in {self.module} read {before.strip().splitlines()[0]!r}")
            source = source.replace(before, after)
        return source
