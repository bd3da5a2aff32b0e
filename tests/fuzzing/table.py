"""All targets, by name."""

from __future__ import annotations

from typing import Final

from tests.fuzzing import disk, links, packets, seals, sessions, states, streams, texts
from tests.fuzzing.target import Target

_ALL: Final = (
    *links.TARGETS,
    *disk.TARGETS,
    *states.TARGETS,
    *packets.TARGETS,
    *streams.TARGETS,
    *sessions.TARGETS,
    *seals.TARGETS,
    *texts.TARGETS,
)
TARGETS: Final[dict[str, Target]] = {target.name: target for target in _ALL}
assert len(TARGETS) == len(_ALL), "a name is one target's"
