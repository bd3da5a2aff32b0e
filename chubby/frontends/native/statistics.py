"""What the native front end counts."""

from __future__ import annotations

import msgspec


class Statistics(msgspec.Struct, frozen=True):
    """A picture of the front end at one moment. The first block are levels, the rest count since the start."""

    streams: int
    """Session streams attached to the door, or ending."""
    handshakes: int
    """Session streams without their first packet."""
    followers: int
    """Follow streams."""
    exports: int
    """Export streams."""
    waiting_bytes: int
    """What waits for all clients together."""

    attached: int
    """Session streams that reached the door."""
    packets_in: int
    packets_out: int
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    bad_packets: int
    """Packets and requests that broke the protocol; each ended its RPC."""
    silent: int
    """RPCs let go without a first message in time."""
    turned_away: int
    """RPCs refused because a limit was reached."""
    congested: int
    """Streams cut because their client did not read."""


class Counters(msgspec.Struct):
    """The counting half of `Statistics`, while it counts; all but `handshakes`, a level, only grow."""

    handshakes: int = 0
    attached: int = 0
    packets_in: int = 0
    packets_out: int = 0
    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    bad_packets: int = 0
    silent: int = 0
    turned_away: int = 0
    congested: int = 0
