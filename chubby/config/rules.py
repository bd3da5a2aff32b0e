"""How the values of one configuration must agree with each other; each rule with its reason and its remedy.

| rule                                                        | reason                                              |
|-------------------------------------------------------------|-----------------------------------------------------|
| replicas: at least one, different ids, different addresses  | two of one number would vote as one                 |
| replicas: an odd number, where a cell *begins*              | an even number bears no more failures than one less |
| loopback only, unless `bind_beyond_loopback`                | nobody exposes a cell by a slip                     |
| 3 heartbeats ≤ master_lease                                 | one lost heartbeat must not cost the mastership     |
| clock_drift in 1 ppm .. 10 %                                | 0 is a clock nobody has, more breaks every lease    |
| master_lease < session_lease ≤ its maximum                  | sessions outlive an election                        |
| cache_lease ≤ its maximum                                   |                                                     |
| content in 1 B .. one slot of the log                       | a write is one command                              |
| snapshot_log_bytes ≥ one slot window                        | else every burst of writes would end in a snapshot  |
"""

from __future__ import annotations

from collections.abc import Iterator

from chubby.config.addresses import parse_address
from chubby.config.cell import CellConfig
from chubby.config.table import complaint
from chubby.config.units import format_duration, format_size
from chubby.types.limits import BATCH_BYTES, HEARTBEAT_INTERVAL, WINDOW_BYTES
from chubby.types.nodes import ANYONE
from chubby.types.time import Duration

_DRIFT_MAXIMUM = 100_000
"""Parts per million."""
_MASTER_LEASE_MINIMUM: Duration = 3 * HEARTBEAT_INTERVAL


def check(config: CellConfig) -> None:
    """Raise ConfigError for the first rule that `config` breaks."""
    _check_replicas(config)
    _check_loopback(config)
    _check_timing(config)
    _check_sizes(config)


def check_bootstrap(config: CellConfig) -> None:
    """Raise ConfigError if `config` is not fit to begin a cell with: its number of replicas is even.

    While a cell runs its membership changes one replica at a time, so the files of those who join and of clients may
    well name an even number.
    """
    count = len(config.replicas)
    if count % 2 == 0:
        remedy = f"name an odd number, {count - 1} or {count + 1}"
        trouble = f"{count} replicas bear no more failures than {count - 1}: {remedy}"
        raise complaint(config.source, "[cell] replicas", trouble)


def _check_replicas(config: CellConfig) -> None:
    where = "[cell] replicas"
    if not config.replicas:
        raise complaint(config.source, where, "is empty: name one, three or five replicas")
    ids: dict[int, str] = {}
    doors: dict[str, str] = {}
    for index, replica in enumerate(config.replicas):
        here = f"{where}[{index}]"
        if replica.id in ids:
            raise complaint(
                config.source, f"{here} id", f"{replica.id} is the id of {ids[replica.id]} too: give each its own"
            )
        ids[replica.id] = here
        for key, text in (("peer", replica.peer), ("client", replica.client)):
            door = _door(text)
            if door in doors:
                trouble = f"{text} is the address of {doors[door]} too: give each its own port"
                raise complaint(config.source, f"{here} {key}", trouble)
            doors[door] = f"{here} {key}"


def _door(text: str) -> str:
    """What two addresses share if they cannot be open at the same time: `localhost` is a name of 127.0.0.1."""
    address = parse_address(text)
    return str(address._replace(host="127.0.0.1") if address.host == "localhost" else address)


def _check_loopback(config: CellConfig) -> None:
    if config.network.bind_beyond_loopback:
        if ANYONE in config.admins:
            trouble = f"{ANYONE} would be whoever reaches this cell: name the administrators one by one"
            raise complaint(config.source, "[cell] admins", trouble)
        return
    for index, replica in enumerate(config.replicas):
        for key, text in (("peer", replica.peer), ("client", replica.client)):
            if not parse_address(text).loopback:
                raise complaint(
                    config.source,
                    f"[cell] replicas[{index}] {key}",
                    f"{text} can be reached from other machines: use 127.0.0.1, or, if it is meant, write "
                    "bind_beyond_loopback = true below [network]",
                )


def _check_timing(config: CellConfig) -> None:
    for key, trouble in _timing_troubles(config):
        raise complaint(config.source, f"[timing] {key}", trouble)


def _timing_troubles(config: CellConfig) -> Iterator[tuple[str, str]]:
    """Each timing key that breaks a rule, with trouble and remedy."""
    timing = config.timing
    show = format_duration
    if timing.master_lease < _MASTER_LEASE_MINIMUM:
        yield "master_lease", f"has no room for three heartbeats: write at least {show(_MASTER_LEASE_MINIMUM)}"
    if not 1 <= timing.clock_drift <= _DRIFT_MAXIMUM:
        yield "clock_drift", f"{timing.clock_drift}ppm is out of bounds: write 1ppm to 10%"
    if timing.session_lease <= timing.master_lease:
        yield "session_lease", f"is not longer than master_lease: write more than {show(timing.master_lease)}"
    if timing.session_lease_maximum < timing.session_lease:
        yield "session_lease_maximum", f"is below session_lease: write at least {show(timing.session_lease)}"
    if timing.cache_lease_maximum < timing.cache_lease:
        yield "cache_lease_maximum", f"is below cache_lease: write at least {show(timing.cache_lease)}"


def _check_sizes(config: CellConfig) -> None:
    content = config.limits.content
    if not 1 <= content <= BATCH_BYTES:
        raise complaint(
            config.source,
            "[limits] content",
            f"{format_size(content)} is out of bounds: write 1B to {format_size(BATCH_BYTES)}, one slot of the log",
        )
    if config.storage.snapshot_log_bytes < WINDOW_BYTES:
        raise complaint(
            config.source,
            "[storage] snapshot_log_bytes",
            f"is less than what may be in flight: write at least {format_size(WINDOW_BYTES)}",
        )
