"""Sockets of links: one that listens, and the options of those that carry messages."""

from __future__ import annotations

import asyncio
import socket

from chubby.config.addresses import parse_address
from chubby.errors import ConfigError
from chubby.transport.settings import BACKLOG
from chubby.types.time import MILLISECOND, SECOND, Duration


async def listen(address: str) -> socket.socket:
    """A non-blocking socket listening on the first of the host's addresses that can be bound.

    Whether that is loopback was decided by whoever wrote `address`. Raises `ConfigError` if none can be bound.
    """
    try:
        host, port = parse_address(address)
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (ValueError, OSError) as error:
        raise ConfigError(f"cannot listen for replicas at {address}: {error}") from error
    problem: OSError | None = None
    for family, kind, protocol, _, where in found:
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind(where)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            problem = error
        else:
            return listener
    reason = problem.strerror if problem is not None else "the name has no address"
    raise ConfigError(f"cannot listen for replicas at {address}: {reason}")


def tune(connection: socket.socket, dead: Duration) -> None:
    """Set the options of a link: no delay for small writes, and a peer silent for `dead` is given up by the kernel.

    TCP_USER_TIMEOUT covers bytes under way; keepalive covers the accepted side, which hardly ever sends any.
    """
    seconds = max(1, dead // SECOND)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, dead // MILLISECOND))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
