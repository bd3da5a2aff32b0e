"""How every gRPC channel of ours is made, on whichever side of the tower: the client's, and the command line's own.

| option                     | why                                                                                     |
|----------------------------|-----------------------------------------------------------------------------------------|
| no HTTP proxy              | replicas are named by address; `http_proxy` is meant for the web, and a cell on loopback|
|                            | would not even be found where it is set                                                 |
| no retries by gRPC         | only the client knows what may be repeated, and where                                   |
| reconnect after 50..500 ms | a replica that was restarted is found at once, not after gRPC's minutes                 |
| a ping after 30 s          | a watch on a host that vanished without a word must not go on believing in it           |
"""

from __future__ import annotations

from typing import Final

from chubby.wire.limits import SERVER_PACKET_BYTES

CHANNEL_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", SERVER_PACKET_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
"""Channel arguments, by gRPC's names."""
