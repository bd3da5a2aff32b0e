"""Faults that wait for the moment at which few votes decide what is chosen (DESIGN §3).

Paxos is safe whoever votes in whatever order; a rule of it that is broken shows only where votes are as few and as far
apart as they may be. Chance seldom brings that about, for it takes several things in a row within a few milliseconds.
So each of these watches the replicas, and does the next thing when the one before has happened.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from chubby.paxos.messages import Entry
from chubby.paxos.ready import Role
from chubby.types.identity import Slot
from chubby.types.limits import MASTER_LEASE, WINDOW_SLOTS
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.faults.field import Field, Way
from tests.simulation.hosts import ReplicaHost

IN_FLIGHT: Duration = 2 * MILLISECOND
"""What was said before a link was cut has mostly arrived by then."""
ELECTION: Duration = 5 * SECOND
"""An election that comes at all has come by then."""


def leave_a_hole(field: Field) -> None:
    """The master's words are lost until it has proposed something; it dies when what it said next has been heard.

    Then some hold what comes after a slot of which nobody left knows anything: whoever is elected has to fill it.
    """
    if (master := field.reigning()) is None:
        return
    mend = field.sever(_ways_from(field, master))

    def die() -> None:
        field.hits["leave_a_hole"] += 1
        field.world.trace(f"{master.place} leaves a hole")
        _down(field, master)

    def heard_again() -> None:
        mend()
        field.when(partial(_hole, field, master), die, SECOND // 2)

    _when_alone(field, master, heard_again, mend)


def rival(field: Field) -> None:
    """A master is cut off with something that nobody else has. Another one has something else chosen in its place by
    as few as it takes, and dies knowing that, alone; then the first one is needed.

    Of the two values that are found for that slot the later one counts.
    """
    if (first := field.reigning()) is None:
        return
    mend = field.sever(_ways_between(field, first))

    def succeed() -> None:
        slot = _alone_with(field, first)
        if slot is None:
            mend()
        else:
            field.when(lambda: _successor(field, first, slot) is not None, partial(silence, slot), ELECTION, mend)

    def silence(slot: Slot) -> None:
        second = _successor(field, first, slot)
        if second is None:
            mend()
        else:
            speak = field.sever(_ways_from(field, second))
            die = partial(_die_for_a_rival, field, first, second, (mend, speak))
            field.when(lambda: _knows_chosen(field, second, slot), die, SECOND // 4, partial(_all, mend, speak))

    _when_alone(field, first, succeed, mend)


def _die_for_a_rival(
    field: Field, first: ReplicaHost, second: ReplicaHost, mends: tuple[Callable[[], None], ...]
) -> None:
    field.hits["rival"] += 1
    field.world.trace(f"{second.place} dies, and what it has chosen has a rival at {first.place}")
    spare = [host for host in field.others(first) if host is not second]
    for host in (second, *field.chance.sample(spare, len(field.hosts) // 2 - 1)):
        _down(field, host)
    _all(*mends)


def last_words(field: Field) -> None:
    """A master stalls, and the last of what it said is long under way: it arrives when others have just promised
    themselves to a candidate, before that one, which does not hear it, says a word as master.
    """
    if (first := field.reigning()) is None:
        return
    tapes = [field.network.record(first.place, other.place, through=False) for other in field.others(first)]

    def play() -> None:
        for tape in tapes:
            field.network.play(tape)

    def arrive() -> None:
        second = _promised(field, first)
        for tape in tapes:
            if second is not None and tape.target == second.place:
                field.network.stop(tape)
            else:
                field.network.play(tape)
        if second is not None:
            field.hits["last_words"] += 1
            field.world.trace(f"the last words of {first.place} arrive, and {second.place} is about to be master")
            for other in field.others(second):
                tape = field.network.record(second.place, other.place, through=False)
                field.world.after(field.later(2, 40), partial(field.network.play, tape))

    def stall() -> None:
        first.pause(field.later(1300, 3000))
        field.when(lambda: _promised(field, first) is not None, arrive, ELECTION, play)

    _when_alone(field, first, stall, play)


def amnesia(field: Field) -> None:
    """Something is chosen by as few as it takes. One of these loses its disk, the others die: those who are left know
    nothing of it, and are a majority only if the one that forgot counts as what it was.
    """
    if (master := field.reigning()) is None:
        return
    others = field.others(master)
    field.chance.shuffle(others)
    strangers = others[: len(others) // 2]
    mend = field.sever((master.place, stranger.place) for stranger in strangers)

    def forget() -> None:
        mend()
        forgetful, *rest = others[len(strangers) :]
        if not forgetful.running or not field.may_lose_a_disk(forgetful):
            return
        field.hits["amnesia"] += 1
        for host in (forgetful, master, *rest):
            if host.running:
                host.crash()
        forgetful.wipe()
        field.soon(field.later(1, 100), partial(field.up, forgetful))
        field.when(lambda: any(_is_master(field, each) for each in strangers), back, ELECTION, back)

    def back() -> None:
        for host in (master, *others):
            field.world.after(field.later(1, 300), partial(field.up, host))

    def wait() -> None:
        field.when(partial(_unknown_to, field, master, strangers), forget, MASTER_LEASE, mend)

    field.soon(IN_FLIGHT, wait)


# --- what they wait for --------------------------------------------------------------------------------------------


def _when_alone(field: Field, host: ReplicaHost, act: Callable[[], None], in_vain: Callable[[], None]) -> None:
    """As soon as it holds something that nobody else will have, now that it was cut off."""

    def wait() -> None:
        field.when(lambda: _alone_with(field, host) is not None, act, MASTER_LEASE, in_vain)

    field.soon(IN_FLIGHT, wait)


def _alone_with(field: Field, host: ReplicaHost) -> Slot | None:
    """A slot at which this replica has accepted something that no other one has, as far as they run."""
    standing = field.standing(host)
    if host.replica is None or standing is None:
        return None
    for slot in range(standing.chosen + 1, standing.chosen + 1 + WINDOW_SLOTS):
        entry = host.replica.entry(slot)
        if entry is None:
            return None
        if not any(other.ballot == entry.ballot for other in _held(field.others(host), slot)):
            return slot
    return None


def _hole(field: Field, master: ReplicaHost) -> bool:
    """Whether others hold something above a slot at which none of them does, and which none knows to be chosen."""
    others = field.others(master)
    chosen = max((standing.chosen for other in others if (standing := field.standing(other)) is not None), default=0)
    held = [bool(_held(others, slot)) for slot in range(chosen + 1, chosen + 1 + WINDOW_SLOTS)]
    return any(later and not before for before, later in pairwise(held))


def _successor(field: Field, first: ReplicaHost, slot: Slot) -> ReplicaHost | None:
    """Another master, whose proposal for this slot a majority has accepted."""
    for host in field.others(first):
        entry = host.replica.entry(slot) if host.replica is not None else None
        if entry is None or entry.ballot.replica != host.number or not _is_master(field, host):
            continue
        if sum(other.ballot == entry.ballot for other in _held(field.hosts, slot)) > len(field.hosts) // 2:
            return host
    return None


def _knows_chosen(field: Field, host: ReplicaHost, slot: Slot) -> bool:
    standing = field.standing(host)
    return standing is not None and standing.chosen >= slot


def _promised(field: Field, first: ReplicaHost) -> ReplicaHost | None:
    """Another candidate, to which a majority has promised itself, and which is not master yet."""
    others = field.others(first)
    promises = [standing.promised for other in others if (standing := field.standing(other)) is not None]
    for host in others:
        ballots = [ballot for ballot in promises if ballot.replica == host.number]
        if ballots and ballots.count(max(ballots)) > len(field.hosts) // 2 and not _is_master(field, host):
            return host
    return None


def _unknown_to(field: Field, master: ReplicaHost, strangers: list[ReplicaHost]) -> bool:
    """Whether the master has something chosen that none of these has heard of."""
    standing = field.standing(master)
    if standing is None or standing.role is not Role.MASTER:
        return False
    return all(each.running for each in strangers) and not _held(strangers, standing.chosen)


def _held(hosts: list[ReplicaHost], slot: Slot) -> list[Entry]:
    """What these hold at this slot, as far as they run."""
    found = [host.replica.entry(slot) for host in hosts if host.replica is not None]
    return [entry for entry in found if entry is not None]


def _is_master(field: Field, host: ReplicaHost) -> bool:
    standing = field.standing(host)
    return standing is not None and standing.role is Role.MASTER


# --- what they do --------------------------------------------------------------------------------------------------


def _ways_from(field: Field, host: ReplicaHost) -> list[Way]:
    return [(host.place, other.place) for other in field.others(host)]


def _ways_between(field: Field, host: ReplicaHost) -> list[Way]:
    return [way for here, there in _ways_from(field, host) for way in ((here, there), (there, here))]


def _all(*acts: Callable[[], None]) -> None:
    for act in acts:
        act()


def _down(field: Field, host: ReplicaHost) -> None:
    """It dies, for longer than an election takes."""
    if host.running:
        host.crash()
        field.world.after(field.later(1500, 4000), partial(field.up, host))
