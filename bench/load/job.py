"""What a generator is told: words `key=value` on its command line, which a compiled one reads as easily."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Job(msgspec.Struct, frozen=True):
    """One piece of work. `in_flight` operations go over `connections`; `seconds` are measured after `warm` seconds that
    are not; `size` are the bytes of a value; `rounds` is for work that is counted and not timed; `nodes` are there
    before, and `depth` directories above the nodes that are worked on.
    """

    workload: str
    endpoints: tuple[str, ...]
    in_flight: int = 1
    connections: int = 1
    seconds: float = 5.0
    warm: float = 1.0
    size: int = 100
    rounds: int = 10
    nodes: int = 0
    depth: int = 0

    def arguments(self) -> list[str]:
        """The command line that says so."""
        words = msgspec.structs.asdict(self) | {"endpoints": ",".join(self.endpoints)}
        return [f"{key}={value}" for key, value in words.items()]

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Job:
        """The job of a command line. Raises ValidationError of msgspec."""
        words: dict[str, object] = {key: value for key, _, value in (word.partition("=") for word in arguments)}
        words["endpoints"] = str(words.get("endpoints", "")).split(",")
        return msgspec.convert(words, cls, strict=False)

    @property
    def value(self) -> bytes:
        """What is written."""
        return b"v" * self.size
