"""The story of a run: every command of the log that was chosen, in order, and what it brought about.

It is told twice, by the production machine and by its naive twin (`tests.namespace.twin`), which must agree on every
outcome. Both begin at genesis and never see a snapshot, so replicas that were restored, sent a snapshot or rebuilt must
have come to the same state by another way (DESIGN §4: "Deterministic").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from chubby.config.cell import CellConfig
from chubby.daemon.settings import limits_of
from chubby.namespace.commands import Command, LeaseCaps, decode
from chubby.namespace.machine import Genesis, Machine
from chubby.namespace.outcomes import Outcome
from chubby.paxos.messages import ValueKind
from chubby.types.identity import CellId, Slot
from chubby.types.time import Instant
from tests.namespace.picture import Picture, picture_of, picture_of_twin, wordless
from tests.namespace.twin import Twin
from tests.simulation.invariants import Chosen
from tests.simulation.violation import Violation

MOST = 20_000
"""The twin walks through everything it has for each command: a log with more commands is told by the machine alone."""


class Told(NamedTuple):
    """One command, where it stands in the log, the true time when a replica first applied it, and its outcome."""

    slot: Slot
    at: Instant
    command: Command
    outcome: Outcome


class Story(NamedTuple):
    """All commands, the machine that has applied them, and the whole state as its twin sees it (None: not asked)."""

    told: Sequence[Told]
    machine: Machine
    picture: Picture | None


def genesis_of(config: CellConfig, cell: CellId) -> Genesis:
    """What the simulated cell is born with."""
    timing = config.timing
    caps = LeaseCaps(timing.session_lease, timing.cache_lease)
    return Genesis(cell, config.name, config.admins, limits_of(config), caps, b"", 0)


def tell(log: Sequence[Chosen], genesis: Genesis, digests: Mapping[Slot, int]) -> Story:
    """The story of this log, slots 1 and up without a gap.

    Raises Violation where machine and twin part, or the machine's digest is not the one that replicas had at that slot.
    """
    machine = Machine.genesis(genesis)
    twin = Twin(genesis) if sum(len(each.value.payloads) for each in log) <= MOST else None
    told: list[Told] = []
    for slot, (value, at) in enumerate(log, 1):
        if value.kind is not ValueKind.COMMANDS:
            machine.apply_noop(slot)
            if twin is not None:
                twin.begin(slot, 0)
            continue
        for payload in value.payloads:
            command = decode(payload)
            outcome = machine.apply(slot, command)
            if twin is not None and wordless(outcome) != (expected := twin.apply(slot, command)):
                raise Violation(f"slot {slot}: {command}\nmachine {outcome}\ntwin    {expected}")
            told.append(Told(slot, at, command, outcome))
        if digests.get(slot, 0) not in (0, machine.digest()):
            raise Violation(f"at slot {slot} replicas had another state than the log makes of an empty cell")
    picture = picture_of_twin(twin) if twin is not None else None
    if picture is not None:
        compare(machine, picture, "the machine that read the log")
    return Story(told, machine, picture)


def compare(machine: Machine, expected: Picture, who: str) -> None:
    """This machine holds exactly that state."""
    picture = picture_of(machine)
    for table in ("register", "nodes", "opens", "locks", "sessions", "replies", "history"):
        if getattr(picture, table) != getattr(expected, table):
            found, wanted = getattr(picture, table), getattr(expected, table)
            if isinstance(found, dict):
                keys = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
                raise Violation(f"{who} has {table} {keys[0]}: {found.get(keys[0])} and not {wanted.get(keys[0])}")
            raise Violation(f"{who} has {table} {found} and not {wanted}")


def judge(story: Story, machines: Iterable[tuple[str, Machine]]) -> None:
    """All replicas that have applied as much as the story tells end as it does.

    Digests are compared always; of the replicas one is looked at in every detail, since a digest may forget something.
    """
    looked = False
    for who, machine in machines:
        if machine.applied != story.machine.applied:
            continue
        if machine.digest() != story.machine.digest():
            raise Violation(f"{who} at slot {machine.applied} is not what its log makes of an empty cell")
        if story.picture is not None and not looked:
            compare(machine, story.picture, who)
            looked = True
