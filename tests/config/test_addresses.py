"""Addresses as humans write them (DESIGN §2 `cell_config/`)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.config.addresses import Address, canonical, parse_address, parse_addresses

HOSTS = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(["localhost", "chubby1.example", "a", "x-1.y-2.example"]),
)


@pytest.mark.parametrize(
    ("text", "address", "again"),
    [
        ("127.0.0.1:7101", Address("127.0.0.1", 7101), "127.0.0.1:7101"),
        ("localhost:1", Address("localhost", 1), "localhost:1"),
        ("Chubby1.Example.:65535", Address("chubby1.example", 65535), "chubby1.example:65535"),
        ("[::1]:7201", Address("::1", 7201), "[::1]:7201"),
        ("[0:0:0:0:0:0:0:1]:7201", Address("::1", 7201), "[::1]:7201"),
    ],
)
def test_addresses(text: str, address: Address, again: str) -> None:
    """host:port, and one spelling for each."""
    assert parse_address(text) == address
    assert canonical(text) == again


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        (7101, "write a string"),
        ("localhost", "write host:port"),
        (":7101", "write host:port"),
        ("", "write host:port"),
        ("localhost:", "no port from 1 to 65535"),
        ("localhost:0", "no port from 1 to 65535"),
        ("localhost:65536", "no port from 1 to 65535"),
        ("localhost:99999999999999999999", "no port"),
        ("localhost:0000809999", "no port"),
        ("localhost:http", "no port"),
        ("localhost:-1", "no port"),
        ("localhost:７", "no port"),
        ("::1:7201", "in brackets"),
        ("[127.0.0.1]:7201", "no IPv6 number in its brackets"),
        ("[nonsense]:7201", "no IPv6 number in its brackets"),
        ("256.0.0.1:7201", "no legal host"),
        ("127.0.0.1.7:7201", "no legal host"),
        ("a b:7201", "no legal host"),
        ("-a.example:7201", "no legal host"),
        ("a..b:7201", "no legal host"),
        ("127.0.01.:7201", "no legal host"),
        ("10.0.0.1.:7201", "no legal host"),
        ("http://localhost:7201", "in brackets"),
    ],
)
def test_bad_addresses_say_what_to_write(value: object, trouble: str) -> None:
    """A bad address names the remedy."""
    with pytest.raises(ValueError, match=re.escape(trouble)):
        parse_address(value)


@given(HOSTS, st.integers(1, 65535))
def test_an_address_reads_back(host: str, port: int) -> None:
    """Text and parts are two spellings of the same thing."""
    address = Address(host, port)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.8.7:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("[fe80::1]:1", False),
        ("chubby1.example:1", False),
        ("localhost.example:1", False),
    ],
)
def test_loopback(text: str, loopback: bool) -> None:
    """The wildcard and every name but localhost lead beyond this machine."""
    assert parse_address(text).loopback is loopback


def test_lists_of_addresses() -> None:
    """Commas separate; spaces do not matter; doubles and gaps do."""
    assert parse_addresses(" 127.0.0.1:1, LOCALHOST:2 ,[::1]:3") == ("127.0.0.1:1", "localhost:2", "[::1]:3")
    for bad in ("", "127.0.0.1:1,", ",", "127.0.0.1:1,,127.0.0.1:2", "127.0.0.1:1,127.0.0.1:1"):
        with pytest.raises(ValueError, match="write"):
            parse_addresses(bad)
