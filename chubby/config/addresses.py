"""Addresses as humans write them: `host:port`, an IPv6 host in brackets (`[::1]:7201`).

An address is text everywhere in the project (configuration, status, redirects); only the shell that opens a socket
takes it apart. `canonical` makes text comparable: two addresses are the same door if and only if it is the same text.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?\Z", re.ASCII)
_EXAMPLE: Final = '"127.0.0.1:7201"'
_LAST_PORT: Final = 65_535


class Address(NamedTuple):
    """A host (name or number, without brackets) and a port from 1 to 65,535."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than `localhost` is taken to lead elsewhere."""
        if self.host == "localhost":
            return True
        number = _number(self.host)
        return number is not None and number.is_loopback


def parse_address(value: object) -> Address:
    """The address that `value` writes, its host in canonical spelling; ValueError names trouble and remedy."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no address: write a string such as {_EXAMPLE}")
    host, colon, digits = value.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{value!r} is no address: write host:port, such as {_EXAMPLE}")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 1 <= int(digits) <= _LAST_PORT):
        raise ValueError(f"{value!r} has no port from 1 to {_LAST_PORT}: write host:port, such as {_EXAMPLE}")
    return Address(_canonical_host(host, value), int(digits))


def canonical(value: object) -> str:
    """`parse_address`, as text again."""
    return str(parse_address(value))


def parse_addresses(text: str) -> tuple[str, ...]:
    """The canonical addresses in `text`, separated by commas; at least one, none twice; else ValueError."""
    addresses = tuple(canonical(part.strip()) for part in text.split(","))
    if len(set(addresses)) < len(addresses):
        raise ValueError(f"{text!r} names an address twice: write each once")
    return addresses


def _canonical_host(host: str, whole: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        number = _number(host[1:-1])
        if not isinstance(number, ipaddress.IPv6Address):
            raise ValueError(f"{whole!r} has no IPv6 number in its brackets: write for instance [::1]:7201")
        return str(number)
    if ":" in host:
        raise ValueError(f"{whole!r} is ambiguous: write an IPv6 number in brackets, for instance [::1]:7201")
    number = _number(host)
    if number is not None:
        return str(number)
    name = host.removesuffix(".")
    if _HOST_NAME.match(host) is None or name.rpartition(".")[2].isdigit():
        raise ValueError(f"{whole!r} has no legal host: write host:port, such as {_EXAMPLE}")
    return name.lower()


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
