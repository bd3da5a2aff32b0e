"""From text to `CellConfig`: what is read, and what is refused with file, key and remedy (DESIGN §2, §3)."""

from __future__ import annotations

import re

import pytest

from chubby.config import CellConfig, Limits, Network, ReplicaConfig, Timing, parse_cell
from chubby.errors import ConfigError
from chubby.types import limits
from chubby.types.time import SECOND
from tests.config.cells import REPLICAS, SOURCE, Parse


def refused(text: str, *parts: str) -> None:
    """`text` is refused by an error that names the file and each of `parts`."""
    with pytest.raises(ConfigError) as caught:
        parse_cell(text, SOURCE)
    message = str(caught.value)
    assert message.startswith(f"{SOURCE}: ")
    for part in parts:
        assert part in message


def test_a_small_file_gives_every_default(parse: Parse) -> None:
    """DESIGN §3-§5: what a file does not say has the figure of `chubby.types.limits`."""
    config = parse()
    assert config.name == "test"
    assert config.replicas[1] == ReplicaConfig(2, "127.0.0.1:7102", "127.0.0.1:7202")
    assert config.client_addresses == ("127.0.0.1:7201", "127.0.0.1:7202", "127.0.0.1:7203")
    assert config.timing == Timing()
    assert config.timing.master_lease == limits.MASTER_LEASE
    assert config.timing.clock_drift == limits.CLOCK_DRIFT_PPM
    assert config.timing.session_lease == limits.SESSION_LEASE
    assert config.timing.grace_period == limits.GRACE_PERIOD
    assert config.limits == Limits()
    assert config.limits.content == limits.CONTENT_LIMIT
    assert config.storage.snapshot_log_bytes == limits.SNAPSHOT_LOG_BYTES
    assert config.network == Network(bind_beyond_loopback=False)
    assert config.admins == ()
    assert config.source == SOURCE


def test_every_key_is_read(parse: Parse) -> None:
    """Each key reaches its own field, in its own unit."""
    config = parse(
        """
        admins = ["alice", "spiffe://example/bob"]
        [timing]
        master_lease = "2s"
        clock_drift = "0.5%"
        session_lease = "10s"
        session_lease_maximum = "30s"
        grace_period = "40s"
        cache_lease = "5s"
        cache_lease_maximum = "9s"
        digest_interval = "5m"
        [limits]
        content = "128KiB"
        nodes = 1
        children = 2
        total_bytes = "3MiB"
        sessions = 4
        history = 5
        [storage]
        directory = "/var/lib/chubby"
        snapshot_log_bytes = "16MiB"
        [network]
        bind_beyond_loopback = true
        """
    )
    assert config == CellConfig(
        name="test",
        replicas=parse().replicas,
        admins=("alice", "spiffe://example/bob"),
        timing=Timing(
            master_lease=2 * SECOND,
            clock_drift=5000,
            session_lease=10 * SECOND,
            session_lease_maximum=30 * SECOND,
            grace_period=40 * SECOND,
            cache_lease=5 * SECOND,
            cache_lease_maximum=9 * SECOND,
            digest_interval=300 * SECOND,
        ),
        limits=Limits(content=128 * 1024, nodes=1, children=2, total_bytes=3 << 20, sessions=4, history=5),
        storage=config.storage,
        network=Network(bind_beyond_loopback=True),
        source=SOURCE,
    )
    assert config.storage.directory == "/var/lib/chubby"
    assert config.storage.snapshot_log_bytes == 16 << 20


def test_a_relative_directory_belongs_to_the_file(parse: Parse) -> None:
    """A cell keeps its data in the same place from wherever it is started."""
    assert parse('[storage]\ndirectory = "state"').storage.directory == "cells/state"
    assert parse().storage.directory == "cells/data/test"
    assert parse('[storage]\ndirectory = "/d"').replica_directory(3) == "/d/replica-3"


def test_replicas_are_found_by_number(parse: Parse) -> None:
    """A number that is not there gives None."""
    config = parse()
    assert config.replica(2) == config.replicas[1]
    assert config.replica(9) is None


def test_what_is_no_toml_is_refused() -> None:
    """The place is named."""
    refused("[cell\n", "is not TOML", "line 1", "see production.example.toml")
    refused('[cell]\nname = "a"\nname = "b"\n', "is not TOML")
    refused(f"a = {'9' * 5000}", "is not TOML")
    refused(f"a = {'[' * 5000}", "is not TOML")


def test_missing_keys_are_named() -> None:
    """Only name, replicas and what a replica consists of have no default."""
    refused("", "[cell] name: is missing: add name = ...")
    refused('[cell]\nname = "test"', "[cell] replicas: is missing")
    for key in ("id", "peer", "client"):
        fields = {"id": "id = 1", "peer": 'peer = "127.0.0.1:1"', "client": 'client = "127.0.0.1:2"'}
        del fields[key]
        table = ", ".join(fields.values())
        refused(f'[cell]\nname = "test"\nreplicas = [{{{table}}}]', f"[cell] replicas[0] {key}: is missing")


@pytest.mark.parametrize(
    ("rest", "where", "hint"),
    [
        ("[timing]\nmaster_leese = '1s'", "[timing] master_leese: is no known key", "did you mean master_lease?"),
        ("[timing]\nzzz = 1", "[timing] zzz: is no known key", "known here: master_lease, clock_drift"),
        ("[limits]\nnode = 1", "[limits] node: ", "did you mean nodes?"),
        ("[storage]\ndir = 'x'", "[storage] dir: ", "directory"),
        (
            "[network]\nbind_beyond_loopbak = true",
            "[network] bind_beyond_loopbak: ",
            "did you mean bind_beyond_loopback?",
        ),
        ("[timings]\n", "timings: is no known key", "did you mean timing?"),
        ("admin = []", "[cell] admin: ", "did you mean admins?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known(rest: str, where: str, hint: str) -> None:
    """A slip of the pen must not silently leave a default in force."""
    refused(f'[cell]\nname = "test"\n{REPLICAS}\n{rest}', where, hint)


def test_an_unknown_key_of_a_replica_is_refused() -> None:
    """The replica is named by its place in the list."""
    replicas = 'replicas = [{id = 1, peer = "127.0.0.1:1", client = "127.0.0.1:2", adress = "x"}]'
    refused(
        f'[cell]\nname = "t"\n{replicas}', "[cell] replicas[0] adress: is no known key", "known here: id, peer, client"
    )


@pytest.mark.parametrize(
    ("rest", "where", "trouble"),
    [
        ("[timing]\nmaster_lease = 1", "[timing] master_lease", 'for instance "12s" or "500ms"'),
        ("[timing]\nmaster_lease = '0s'", "[timing] master_lease", "longer than zero"),
        ("[timing]\ngrace_period = '45 sec'", "[timing] grace_period", "'45 sec' is not a duration"),
        ("[timing]\nclock_drift = 0.01", "[timing] clock_drift", '"1%"'),
        ("[limits]\ncontent = '256kB'", "[limits] content", "KiB"),
        ("[limits]\nnodes = '10'", "[limits] nodes", "no whole number"),
        ("[limits]\nnodes = 9223372036854775808", "[limits] nodes", "write a smaller number"),
        ("[limits]\ntotal_bytes = '8589934592GiB'", "[limits] total_bytes", "write a smaller number"),
        ("[limits]\nsessions = -1", "[limits] sessions", "negative"),
        ("[network]\nbind_beyond_loopback = 'no'", "[network] bind_beyond_loopback", "neither true nor false"),
        ("[storage]\ndirectory = ''", "[storage] directory", "no directory"),
        ("[storage]\ndirectory = 7", "[storage] directory", "no directory"),
        ("admins = 'alice'", "[cell] admins", "is not a list"),
        ("admins = ['al ice']", "[cell] admins", "'al ice' is no principal"),
        ("admins = ['']", "[cell] admins", "no principal"),
        ("admins = ['a\\nb']".replace("'", '"'), "[cell] admins", "no principal"),
        ("admins = ['a', 'a']", "[cell] admins", "write each once"),
    ],
)
def test_a_bad_value_is_refused_with_key_and_remedy(rest: str, where: str, trouble: str) -> None:
    """Each complaint names file, key and remedy."""
    refused(f'[cell]\nname = "test"\n{REPLICAS}\n{rest}', where + ": ", trouble)


@pytest.mark.parametrize(
    ("name", "trouble"),
    [('""', "is empty"), ("7", "no name"), ('"a/b"', "letters, digits"), (f'"{"c" * 64}"', "at most 63")],
)
def test_a_bad_cell_name_is_refused(name: str, trouble: str) -> None:
    """DESIGN §1: the name is a part of every full name and of the file's."""
    refused(f"[cell]\nname = {name}\n{REPLICAS}", "[cell] name: ", trouble)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("cell = 7", "[cell]: is not a table"),
        (f'[cell]\nname = "t"\n{REPLICAS}\n[[timing]]', "[timing]: is not a table"),
        ('[cell]\nname = "t"\nreplicas = 5', "[cell] replicas: is not a list"),
        ('[cell]\nname = "t"\nreplicas = ["a"]', "[cell] replicas[0]: is not a table"),
    ],
)
def test_values_where_tables_belong_are_refused(text: str, where: str) -> None:
    """Shape errors name the place too."""
    refused(text, where)


def test_messages_are_one_line() -> None:
    """A message is one sentence for a human's terminal."""
    with pytest.raises(ConfigError) as caught:
        parse_cell(f'[cell]\nname = "t"\n{REPLICAS}\n"new\\nline" = 1', SOURCE)
    assert re.search(r"[\r\n]", str(caught.value)) is None


@pytest.mark.parametrize(
    "key", ["a" + ".a" * 40, '"a" ' + ' . "b"' * 40, "[x" + ".'y'" * 40 + "]\nz", "t = {q" + ".q" * 40]
)
def test_a_key_of_very_many_parts_is_refused(key: str) -> None:
    """The parser of TOML takes memory by the square of their number: 50 kB of dots would be gigabytes."""
    with pytest.raises(ConfigError, match=r"line [23]: has a name of too many parts"):
        parse_cell(f"[cell]\n\n{key} = 1\n", SOURCE)


def test_an_address_of_many_labels_is_no_key() -> None:
    """Host names may have their dots."""
    host = ".".join(["a"] * 30)
    rows = f'{{id = 1, peer = "{host}:1", client = "{host}:2"}}'
    text = f'[cell]\nname = "t"\nreplicas = [{rows}]\n[network]\nbind_beyond_loopback = true\n'
    assert parse_cell(text, SOURCE).replicas[0].peer == f"{host}:1"
