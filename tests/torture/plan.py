"""What goes wrong, how long, in which order: drawn from a seed, for as long as one wants.

Three tracks run beside each other, each an endless line of *strikes* with calm between them: one for the network, one
for the replicas and their disks, one for clients and mounts. A track deals its kinds like cards: all of them in random
order, often ones several times, then all again. So a run that lasts misses none, and two runs of one seed strike alike.
Who is hit is drawn here too, as far as it can be: who is master at the time is known when the time comes.

Real machines take their own time, so the same seed is the same pattern of faults, never the same run.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator

import msgspec


class Kind(enum.Enum):
    """What can go wrong."""

    CUT = "replica cut off"
    CUT_MASTER = "master cut off"
    DEAF = "replica sends, hears nothing"
    MUTE = "replica hears, sends nothing"
    SPLIT = "replicas split in two"
    ONE_WAY = "one way between two replicas lost"
    UNPLUG = "card of a replica down and up"
    LOSSY = "frames lost and doubled everywhere"
    SLOW = "slow links to one replica"
    SLOW_ALL = "slow links everywhere"
    CUT_CLIENTS = "client machine cut off"

    KILL = "replica kill -9"
    KILL_MASTER = "master kill -9"
    KILL_TWO = "two replicas kill -9"
    KILL_ALL = "all five kill -9"
    STOP = "replica SIGSTOP"
    STOP_MASTER = "master SIGSTOP"
    HAND_OVER = "master told to step down"
    TERMINATE = "replica SIGTERM"
    ROLL = "rolling restart"
    FULL = "disk full"
    ROT = "bit flipped in the log"
    WIPE = "disk lost"
    REPLACE = "replica replaced by an operator"

    SLEEP = "client SIGSTOP"
    KILL_CLIENT = "client kill -9"
    SLEEP_MOUNT = "mount SIGSTOP"
    KILL_MOUNT = "mount kill -9"


class Track(enum.Enum):
    """Who is struck."""

    NETWORK = "network"
    REPLICAS = "replicas"
    CLIENTS = "clients"


class Card(msgspec.Struct, frozen=True):
    """A kind, how often it is among the cards, and for how long it lasts, in seconds."""

    kind: Kind
    times: int
    shortest: float
    longest: float


class Strike(msgspec.Struct, frozen=True):
    """After `calm` seconds of peace, `kind` for `lasts` seconds.

    `victims`: an order of all that could be hit, by index; who needs three takes the first three. `dice`: in [0, 1),
    for whatever else is left to chance.
    """

    calm: float
    kind: Kind
    lasts: float
    victims: tuple[int, ...]
    dice: tuple[float, ...]


DECKS = {
    Track.NETWORK: (
        Card(Kind.CUT, 2, 1, 12),
        Card(Kind.CUT_MASTER, 3, 1, 12),
        Card(Kind.DEAF, 2, 1, 10),
        Card(Kind.MUTE, 2, 1, 10),
        Card(Kind.SPLIT, 3, 1, 12),
        Card(Kind.ONE_WAY, 2, 2, 15),
        Card(Kind.UNPLUG, 2, 1, 8),
        Card(Kind.LOSSY, 2, 4, 15),
        Card(Kind.SLOW, 2, 4, 15),
        Card(Kind.SLOW_ALL, 1, 4, 10),
        Card(Kind.CUT_CLIENTS, 2, 1, 12),
    ),
    Track.REPLICAS: (
        Card(Kind.KILL, 2, 0, 5),
        Card(Kind.KILL_MASTER, 3, 0, 5),
        Card(Kind.KILL_TWO, 2, 0, 5),
        Card(Kind.KILL_ALL, 1, 0, 3),
        Card(Kind.STOP, 2, 0.5, 10),
        Card(Kind.STOP_MASTER, 3, 0.5, 10),
        Card(Kind.HAND_OVER, 1, 0, 0),
        Card(Kind.TERMINATE, 1, 0, 4),
        Card(Kind.ROLL, 1, 0, 0),
        Card(Kind.FULL, 2, 5, 15),
        Card(Kind.ROT, 2, 0, 3),
        Card(Kind.WIPE, 1, 0, 3),
        Card(Kind.REPLACE, 2, 0, 3),
    ),
    Track.CLIENTS: (
        Card(Kind.SLEEP, 4, 1, 14),
        Card(Kind.KILL_CLIENT, 3, 0, 2),
        Card(Kind.SLEEP_MOUNT, 2, 1, 12),
        Card(Kind.KILL_MOUNT, 1, 0, 2),
    ),
}
CALM = {Track.NETWORK: 5.0, Track.REPLICAS: 6.0, Track.CLIENTS: 4.0}
"""Seconds of peace between two strikes of a track, on average."""
LONGEST_CALM = 20.0
DICE = 4
MANY = 64
"""So many victims can be told apart."""


def kinds(track: Track) -> tuple[Kind, ...]:
    """What is among the cards of a track."""
    return tuple(card.kind for card in DECKS[track])


def strikes(seed: int, track: Track) -> Iterator[Strike]:
    """All strikes of a track, without end."""
    chance = random.Random(f"{seed} {track.value}")
    deck = [card for card in DECKS[track] for _ in range(card.times)]
    while True:
        chance.shuffle(deck)
        for card in deck:
            calm = min(chance.expovariate(1 / CALM[track]), LONGEST_CALM)
            lasts = chance.uniform(card.shortest, card.longest)
            victims = tuple(chance.sample(range(MANY), MANY))
            yield Strike(calm, card.kind, lasts, victims, tuple(chance.random() for _ in range(DICE)))


def chosen(strike: Strike, count: int) -> list[int]:
    """All of `count` victims, by index, in the order in which they are to be hit."""
    assert 0 < count <= MANY
    return [victim for victim in strike.victims if victim < count]
