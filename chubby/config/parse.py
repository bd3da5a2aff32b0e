"""From the text of a configuration file to a `CellConfig`: keys and values here, their agreement in `rules`.

Nothing here reads a file or the environment; relative directories are resolved against the folder of `source`, so a
cell keeps its data in the same place from wherever it is started.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import PurePath

from chubby import paths
from chubby.config import rules
from chubby.config.addresses import canonical
from chubby.config.cell import CellConfig, Limits, Network, ReplicaConfig, Storage, Timing
from chubby.config.table import Table, complaint
from chubby.config.units import parse_count, parse_duration, parse_ratio, parse_size
from chubby.errors import BadPath
from chubby.types.identity import ReplicaId

_DIRECTORY = "data/{cell}"
"""Default of `[storage] directory`, relative to the folder of the file."""
_LONG_KEY = re.compile(r"""(?:\.[ \t]*+(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+){32}""")
"""A key of so many parts makes the parser of TOML take memory by their square; ours have one, after a header of one."""
_LAST_REPLICA = 65_535
"""Every number a replica may have fits wherever one is written."""


def parse_cell(text: str, source: str) -> CellConfig:
    """The configuration that `text` spells out; `source` names its file. Raises ConfigError with file, key, remedy."""
    if (long := _LONG_KEY.search(text)) is not None:
        line = text.count("\n", 0, long.start()) + 1
        raise complaint(source, f"line {line}", "has a name of too many parts: write a key below a [header]")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside TOMLDecodeError: numbers too long, nestings too deep
        raise complaint(source, "", f"is not TOML: {error}; see production.example.toml for a file that is") from None
    top = Table(source, "", document)
    cell = top.table("cell")
    name = cell.required("name", _read_cell_name)
    config = CellConfig(
        name=name,
        replicas=tuple(_replica(replica) for replica in cell.tables("replicas")),
        admins=cell.optional("admins", _read_principals, ()),
        timing=_timing(top.table("timing")),
        limits=_limits(top.table("limits")),
        storage=_storage(top.table("storage"), name, PurePath(source).parent),
        network=_network(top.table("network")),
        source=source,
    )
    cell.close()
    top.close()
    rules.check(config)
    return config


def _replica(table: Table) -> ReplicaConfig:
    replica = ReplicaConfig(
        id=table.required("id", _read_replica_id),
        peer=table.required("peer", canonical),
        client=table.required("client", canonical),
    )
    table.close()
    return replica


def _timing(table: Table) -> Timing:
    default = Timing()
    timing = Timing(
        master_lease=table.optional("master_lease", parse_duration, default.master_lease),
        clock_drift=table.optional("clock_drift", parse_ratio, default.clock_drift),
        session_lease=table.optional("session_lease", parse_duration, default.session_lease),
        session_lease_maximum=table.optional("session_lease_maximum", parse_duration, default.session_lease_maximum),
        grace_period=table.optional("grace_period", parse_duration, default.grace_period),
        cache_lease=table.optional("cache_lease", parse_duration, default.cache_lease),
        cache_lease_maximum=table.optional("cache_lease_maximum", parse_duration, default.cache_lease_maximum),
        digest_interval=table.optional("digest_interval", parse_duration, default.digest_interval),
    )
    table.close()
    return timing


def _limits(table: Table) -> Limits:
    default = Limits()
    limits = Limits(
        content=table.optional("content", parse_size, default.content),
        nodes=table.optional("nodes", parse_count, default.nodes),
        children=table.optional("children", parse_count, default.children),
        total_bytes=table.optional("total_bytes", parse_size, default.total_bytes),
        sessions=table.optional("sessions", parse_count, default.sessions),
        history=table.optional("history", parse_count, default.history),
    )
    table.close()
    return limits


def _storage(table: Table, cell: str, folder: PurePath) -> Storage:
    directory = table.optional("directory", _read_directory, _DIRECTORY.format(cell=cell))
    snapshot_log_bytes = table.optional("snapshot_log_bytes", parse_size, Storage("").snapshot_log_bytes)
    table.close()
    return Storage(str(folder / directory), snapshot_log_bytes)


def _network(table: Table) -> Network:
    network = Network(table.optional("bind_beyond_loopback", _read_bool, Network().bind_beyond_loopback))
    table.close()
    return network


def _read_cell_name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is no name: write a string such as "local"')
    try:
        return paths.validate_cell(value)
    except BadPath as error:
        raise ValueError(str(error)) from None


def _read_replica_id(value: object) -> ReplicaId:
    number = parse_count(value)
    if not 1 <= number <= _LAST_REPLICA:
        raise ValueError(f"replicas are numbered from 1 to {_LAST_REPLICA}: write 1, 2, 3, ...")
    return number


def _read_directory(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f'{value!r} is no directory: write a string such as "/var/lib/chubby"')
    return value


def _read_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false: write one of the two, without quotes")
    return value


def _read_principals(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('is not a list: write for instance ["alice", "bob"]')
    for principal in value:
        if not isinstance(principal, str) or not principal.isprintable() or principal.split() != [principal]:
            raise ValueError(f"{principal!r} is no principal: write a string of one word")
    if len(set(value)) < len(value):
        raise ValueError("names a principal twice: write each once")
    return tuple(value)
