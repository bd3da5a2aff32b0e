"""How the values of a configuration must agree (DESIGN §3, §4, §5): each rule, at its edge and beyond."""

from __future__ import annotations

import pytest

from chubby.config import check_bootstrap
from chubby.errors import ConfigError
from tests.config.cells import SOURCE, Parse, local, replicas


def refused(parse: Parse, rest: str = "", *, line: str | None = None) -> str:
    """The complaint, less the file's name, about a cell with these lines."""
    with pytest.raises(ConfigError) as caught:
        if line is None:
            parse(rest)
        else:
            parse(rest, replicas=line)
    source, colon, message = str(caught.value).partition(": ")
    assert (source, colon) == (SOURCE, ": ")
    return message


@pytest.mark.parametrize("count", [1, 3, 5, 7])
def test_odd_numbers_of_replicas(parse: Parse, count: int) -> None:
    """DESIGN §1: five replicas; any odd number will do."""
    config = parse(replicas=local(count))
    check_bootstrap(config)
    assert len(config.replicas) == count


@pytest.mark.parametrize(("count", "remedy"), [(2, "1 or 3"), (4, "3 or 5"), (6, "5 or 7")])
def test_even_numbers_of_replicas_are_refused(parse: Parse, count: int, remedy: str) -> None:
    """An even number bears no more failures than one replica less: no cell begins so. A cell that runs may be so for a
    while, as its members change one at a time (DESIGN §3 Membership).
    """
    config = parse(replicas=local(count))
    with pytest.raises(ConfigError) as caught:
        check_bootstrap(config)
    trouble = f"{count} replicas bear no more failures than {count - 1}: name an odd number, {remedy}"
    assert str(caught.value) == f"{SOURCE}: [cell] replicas: {trouble}"


def test_a_cell_without_replicas_is_refused(parse: Parse) -> None:
    """Zero is even too, but has a remedy of its own."""
    assert "is empty: name one, three or five" in refused(parse, line="replicas = []")


def test_ids_are_different_and_from_one(parse: Parse) -> None:
    """Two replicas of one number would vote as one."""
    line = local(3).replace("id = 3", "id = 1")
    assert (
        refused(parse, line=line) == "[cell] replicas[2] id: 1 is the id of [cell] replicas[0] too: give each its own"
    )
    for number in (0, 65_536):
        assert "numbered from 1 to 65535" in refused(parse, line=local(1).replace("id = 1", f"id = {number}"))
    assert parse(replicas=local(1).replace("id = 1", "id = 65535"))


@pytest.mark.parametrize(
    ("old", "new", "where", "other"),
    [
        ("127.0.0.1:7102", "127.0.0.1:7101", "[cell] replicas[1] peer", "[cell] replicas[0] peer"),
        ("127.0.0.1:7203", "127.0.0.1:7201", "[cell] replicas[2] client", "[cell] replicas[0] client"),
        ("127.0.0.1:7201", "127.0.0.1:7101", "[cell] replicas[0] client", "[cell] replicas[0] peer"),
        ("127.0.0.1:7203", "localhost:7101", "[cell] replicas[2] client", "[cell] replicas[0] peer"),
    ],
)
def test_no_address_is_given_twice(parse: Parse, old: str, new: str, where: str, other: str) -> None:
    """No two doors at one address, whatever they are for and however it is spelled."""
    message = refused(parse, line=local(3).replace(old, new))
    assert message == f"{where}: {new} is the address of {other} too: give each its own port"


def test_one_port_on_two_machines_is_two_addresses(parse: Parse) -> None:
    """Only the pair of host and port must differ."""
    line = replicas(*((n, f"chubby{n}.example:7101", f"chubby{n}.example:7201") for n in (1, 2, 3)))
    assert len(parse("[network]\nbind_beyond_loopback = true", replicas=line).replicas) == 3


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "[::]", "chubby1.example"])
@pytest.mark.parametrize("key", ["peer", "client"])
def test_addresses_beyond_loopback_must_be_meant(parse: Parse, host: str, key: str) -> None:
    """DESIGN §2 [network]: refused unless the file says so in so many words."""
    address = f"{host}:7999"
    line = local(3).replace("127.0.0.1:7102" if key == "peer" else "127.0.0.1:7202", address)
    message = refused(parse, line=line)
    assert message.startswith(f"[cell] replicas[1] {key}: {address} can be reached from other machines")
    assert "bind_beyond_loopback = true below [network]" in message
    assert refused(parse, "[network]\nbind_beyond_loopback = false", line=line) == message
    assert parse("[network]\nbind_beyond_loopback = true", replicas=line).network.bind_beyond_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "[::1]"])
def test_loopback_needs_no_permission(parse: Parse, host: str) -> None:
    """A cell at a desk exposes nothing."""
    assert parse(replicas=replicas((1, f"{host}:1", f"{host}:2"))).replicas


@pytest.mark.parametrize(
    ("legal", "illegal", "complaint"),
    [
        (
            "master_lease = '300ms'",
            "master_lease = '299ms'",
            "[timing] master_lease: has no room for three heartbeats: write at least 300ms",
        ),
        (
            "clock_drift = '1ppm'",
            "clock_drift = '0%'",
            "[timing] clock_drift: 0ppm is out of bounds: write 1ppm to 10%",
        ),
        (
            "clock_drift = '10%'",
            "clock_drift = '100001ppm'",
            "[timing] clock_drift: 100001ppm is out of bounds: write 1ppm to 10%",
        ),
        (
            "master_lease = '11s'\nsession_lease = '11001ms'",
            "master_lease = '11s'\nsession_lease = '11s'",
            "[timing] session_lease: is not longer than master_lease: write more than 11s",
        ),
        (
            "session_lease = '20s'\nsession_lease_maximum = '20s'",
            "session_lease = '20s'\nsession_lease_maximum = '19s'",
            "[timing] session_lease_maximum: is below session_lease: write at least 20s",
        ),
        (
            "cache_lease = '5s'\ncache_lease_maximum = '5s'",
            "cache_lease = '5s'\ncache_lease_maximum = '4s'",
            "[timing] cache_lease_maximum: is below cache_lease: write at least 5s",
        ),
    ],
)
def test_times_must_agree(parse: Parse, legal: str, illegal: str, complaint: str) -> None:
    """DESIGN §3 master lease, §5 leases: at the edge it passes, beyond it does not."""
    assert parse(f"[timing]\n{legal}")
    assert refused(parse, f"[timing]\n{illegal}") == complaint


@pytest.mark.parametrize(
    ("legal", "illegal", "complaint"),
    [
        (
            "[limits]\ncontent = '1MiB'",
            "[limits]\ncontent = 1_048_577",
            "[limits] content: 1048577B is out of bounds: write 1B to 1MiB, one slot of the log",
        ),
        (
            "[limits]\ncontent = 1",
            "[limits]\ncontent = 0",
            "[limits] content: 0B is out of bounds: write 1B to 1MiB, one slot of the log",
        ),
        (
            "[storage]\nsnapshot_log_bytes = '8MiB'",
            "[storage]\nsnapshot_log_bytes = '7MiB'",
            "[storage] snapshot_log_bytes: is less than what may be in flight: write at least 8MiB",
        ),
        ("[limits]\nnodes = 0\nchildren = 0\nsessions = 0\ntotal_bytes = 0\nhistory = 0", "[limits]\nnodes = -1", ""),
    ],
)
def test_sizes_must_fit(parse: Parse, legal: str, illegal: str, complaint: str) -> None:
    """DESIGN §3 slot and window, §4 content; quotas may be 0: none."""
    assert parse(legal)
    assert refused(parse, illegal).startswith(complaint)


def test_anyone_administers_only_a_cell_that_no_other_machine_reaches(parse: Parse) -> None:
    """Until callers prove who they are each is `anyone`: fine at one's desk, an open door beyond it."""
    admins = 'admins = ["anyone"]'
    assert parse(admins).admins == ("anyone",)
    message = refused(parse, admins + "\n[network]\nbind_beyond_loopback = true")
    assert message.startswith("[cell] admins: ") and "one by one" in message
