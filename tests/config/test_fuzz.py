"""Whatever a file holds, the answer is a configuration or a complaint; and what can be written down reads back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.config import CellConfig, Limits, Network, ReplicaConfig, Storage, Timing, parse_cell
from chubby.config.units import format_duration, format_size
from chubby.errors import ConfigError
from chubby.types.limits import BATCH_BYTES, HEARTBEAT_INTERVAL, WINDOW_BYTES
from chubby.types.time import MILLISECOND
from tests.config.cells import SOURCE, local

SECTIONS = {
    "cell": ("name", "replicas", "admins"),
    "timing": Timing.__struct_fields__,
    "limits": Limits.__struct_fields__,
    "storage": Storage.__struct_fields__,
    "network": Network.__struct_fields__,
}
VALUES = st.sampled_from(
    [
        "1",
        "-1",
        "0",
        "true",
        "1.5",
        '""',
        '"1s"',
        '"64MiB"',
        '"1%"',
        '"test"',
        "[]",
        '["a"]',
        "{}",
        "[{}]",
        "1979-05-27",
    ]
)
KEYS = st.sampled_from(sorted({key for keys in SECTIONS.values() for key in keys} | {"", "nmae", "_"}))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML with tables of the right names, or nearly, and keys and values at random."""
    text = []
    for section in draw(st.lists(st.sampled_from([*SECTIONS, "celll"]), unique=True)):
        text.append(f"[{section}]")
        if section == "cell" and draw(st.booleans()):
            text += ['name = "test"', local(3)]
            continue
        keys = draw(st.lists(KEYS, unique=True, max_size=4))
        text += [f'"{key}" = {draw(VALUES)}' for key in keys]
    return "\n".join(text)


@st.composite
def configurations(draw: st.DrawFn) -> CellConfig:
    """A configuration that breaks no rule."""
    times = st.integers(1, 40_000).map(lambda count: count * MILLISECOND)
    master_lease = 3 * HEARTBEAT_INTERVAL + draw(times)
    session_lease = master_lease + draw(times)
    cache_lease = draw(times)
    timing = Timing(
        master_lease=master_lease,
        clock_drift=draw(st.integers(1, 100_000)),
        session_lease=session_lease,
        session_lease_maximum=session_lease + draw(times),
        grace_period=draw(times),
        cache_lease=cache_lease,
        cache_lease_maximum=cache_lease + draw(times),
        digest_interval=draw(times),
    )
    counts = st.integers(0, 1 << 40)
    limits = Limits(draw(st.integers(1, BATCH_BYTES)), *(draw(counts) for _ in range(5)))
    beyond = draw(st.booleans())
    hosts = draw(
        st.sampled_from([["127.0.0.1"], ["::1"], ["localhost"]] + ([["a.example", "b.example"]] if beyond else []))
    )
    ports = iter(draw(st.lists(st.integers(1, 65535), unique=True, min_size=10, max_size=10)))

    def address() -> str:
        host = draw(st.sampled_from(hosts))
        return f"[{host}]:{next(ports)}" if ":" in host else f"{host}:{next(ports)}"

    ids = draw(st.lists(st.integers(1, 100), unique=True, min_size=1, max_size=5).filter(lambda ids: len(ids) % 2 == 1))
    return CellConfig(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)),
        replicas=tuple(ReplicaConfig(number, address(), address()) for number in ids),
        storage=Storage("/var/lib/chubby", draw(st.integers(WINDOW_BYTES, 1 << 40))),
        admins=tuple(draw(st.lists(st.sampled_from(["alice", "bob", "spiffe://x/y", "É"]), unique=True))),
        timing=timing,
        limits=limits,
        network=Network(beyond),
        source=SOURCE,
    )


def written(config: CellConfig) -> str:
    """`config` as a file."""
    rows = [f'{{id = {r.id}, peer = "{r.peer}", client = "{r.client}"}}' for r in config.replicas]
    admins = ", ".join(f'"{admin}"' for admin in config.admins)
    text = ["[cell]", f'name = "{config.name}"', f"replicas = [{', '.join(rows)}]", f"admins = [{admins}]", "[timing]"]
    for key in Timing.__struct_fields__:
        value = getattr(config.timing, key)
        text.append(f'{key} = "{value}ppm"' if key == "clock_drift" else f'{key} = "{format_duration(value)}"')
    text.append("[limits]")
    for key in Limits.__struct_fields__:
        value = getattr(config.limits, key)
        text.append(f'{key} = "{format_size(value)}"' if key in {"content", "total_bytes"} else f"{key} = {value}")
    text += ["[storage]", f'directory = "{config.storage.directory}"']
    text += [f'snapshot_log_bytes = "{format_size(config.storage.snapshot_log_bytes)}"']
    text += ["[network]", f"bind_beyond_loopback = {str(config.network.bind_beyond_loopback).lower()}"]
    return "\n".join(text)


def parse_or_complain(text: str) -> None:
    """Nothing but a configuration or a one-line complaint about this file comes of `text`."""
    try:
        assert parse_cell(text, SOURCE).source == SOURCE
    except ConfigError as error:
        assert str(error).startswith(f"{SOURCE}: ")
        assert "\n" not in str(error)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """Noise is refused in good order."""
    parse_or_complain(text)


@given(documents())
def test_nearly_right_documents(text: str) -> None:
    """Tables and keys of the right names with values of any kind."""
    parse_or_complain(text)


@given(configurations())
def test_what_is_written_reads_back(config: CellConfig) -> None:
    """Every configuration within the rules can be written, and no rule refuses it."""
    assert parse_cell(written(config), SOURCE) == config


@given(configurations(), st.data())
def test_a_letter_too_many_is_never_overlooked(config: CellConfig, data: st.DataObject) -> None:
    """A key misspelled is refused, whichever it is: no default stays in force by accident."""
    text = written(config).split("\n")
    index = data.draw(st.sampled_from([index for index, line in enumerate(text) if " = " in line]))
    key, _, value = text[index].partition(" = ")
    text[index] = f"{key}x = {value}"
    try:
        parse_cell("\n".join(text), SOURCE)
    except ConfigError as error:
        assert key in str(error)
    else:
        raise AssertionError(f"{key}x was accepted")
