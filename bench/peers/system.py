"""What is known of a system before it runs."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Protocol

import msgspec


class Role(enum.Enum):
    """What a member that answers says of itself."""

    LEADER = "leader"
    FOLLOWER = "follower"


class Member(msgspec.Struct, frozen=True):
    """One of a cluster. `number` counts from 1; `endpoint` (host:port) is where clients ask; `directory` is all its
    data; `peer` are the ports on which it listens for the others.
    """

    number: int
    endpoint: str
    directory: Path
    peer: tuple[int, ...]

    @property
    def port(self) -> int:
        """That of `endpoint`."""
        return int(self.endpoint.rpartition(":")[2])


class System(Protocol):
    """A kind of cluster."""

    name: str
    """As reports have it."""

    def version(self) -> str:
        """What is installed here. Raises Unavailable."""
        ...

    def lay_out(self, directory: Path, members: int) -> list[Member]:
        """Write what so many new members need below `directory`, which is there and empty."""
        ...

    def command(self, member: Member) -> list[str]:
        """What starts a member, in the foreground."""
        ...

    def role(self, member: Member) -> Role | None:
        """What a member says it is; None if it does not answer, or does not take part yet."""
        ...


class Unavailable(Exception):
    """A system cannot be run on this machine; the message says why, and what would help."""
