"""Every limit of the native front end, and the gRPC channel arguments that follow from them."""

from __future__ import annotations

import msgspec

from chubby.types.time import MILLISECOND, SECOND, Duration
from chubby.wire.limits import CLIENT_PACKET_BYTES


class NativeSettings(msgspec.Struct, frozen=True):
    """What a front end bounds. The defaults serve a cell with tens of thousands of clients.

    Beyond a limit a newcomer is turned away with OVERLOADED; those who are in stay.
    """

    streams: int = 50_000
    """Session streams at once, those that have not said who they are included."""
    handshakes: int = 10_000
    """Session streams at once that have not sent their first packet."""
    followers: int = 50_000
    """Follow streams at once: each client keeps one, at a replica other than the master."""
    exports: int = 4
    """Export streams at once: each pins a snapshot."""
    outbox_bytes: int = 8 * 1024 * 1024
    """What may wait for one client; one that lets more pile up does not read, and is cut."""
    handshake: Duration = 10 * SECOND
    """How long an RPC may take to send its first message, and a connection to become HTTP/2."""
    farewell: Duration = 5 * SECOND
    """How long an ending stream may take to read its last frames."""
    idle: Duration = 300 * SECOND
    """How long a connection without any stream is kept."""
    ping_interval: Duration = 30 * SECOND
    """How often a silent connection is pinged."""
    ping_timeout: Duration = 20 * SECOND
    """How long it may take to answer a ping before it counts as dead."""
    ping_minimum: Duration = 5 * SECOND
    """Clients that ping a silent connection more often than this are told to go away."""


def channel_arguments(settings: NativeSettings) -> list[tuple[str, int]]:
    """The gRPC server options."""
    return [
        # Two daemons on one address must be an error, not a lottery.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", CLIENT_PACKET_BYTES),
        ("grpc.max_send_message_length", -1),
        # Per connection. Sessions of one process share a connection, and a stream beyond this number would wait
        # unheard; the limits that count are those of the settings, which answer.
        ("grpc.max_concurrent_streams", settings.streams + settings.followers),
        ("grpc.server_handshake_timeout_ms", _milliseconds(settings.handshake)),
        ("grpc.max_connection_idle_ms", _milliseconds(settings.idle)),
        ("grpc.keepalive_time_ms", _milliseconds(settings.ping_interval)),
        ("grpc.keepalive_timeout_ms", _milliseconds(settings.ping_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(settings.ping_minimum)),
    ]


def _milliseconds(duration: Duration) -> int:
    return max(1, duration // MILLISECOND)
