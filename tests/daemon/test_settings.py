"""What becomes of a configuration: no key of a cell's file is read and then forgotten."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chubby.config.cell import CellConfig, Limits, Storage, Timing
from chubby.config.load import load_cell
from chubby.daemon.founding import first_configuration
from chubby.daemon.settings import limits_of, settings_of

LOCAL = Path(__file__).parents[2] / "cell_config" / "local.toml"
CELL = 7


def effects_of(config: CellConfig) -> object:
    """All that a replica is ever told of its file, addresses and identities apart."""
    return (
        settings_of(config, 1),
        first_configuration(config, CELL).master_lease,
        first_configuration(config, CELL).drift_ppm,
        limits_of(config),
        config.replica_directory(1),
    )


@pytest.mark.parametrize(
    ("part", "key"),
    [
        (part, key)
        for part, kind in (("timing", Timing), ("limits", Limits), ("storage", Storage))
        for key in kind.__struct_fields__
    ],
)
def test_every_key_has_an_effect(part: str, key: str) -> None:
    """A key that changes nothing would be a lie to the operator."""
    config = load_cell(LOCAL)
    values = getattr(config, part)
    value = getattr(values, key)
    other = value + "/elsewhere" if isinstance(value, str) else value + 1
    changed = msgspec.structs.replace(config, **{part: msgspec.structs.replace(values, **{key: other})})
    assert effects_of(changed) != effects_of(config)


def test_quotas_arrive_under_their_own_names() -> None:
    """Six numbers of one kind are easily mixed up."""
    config = msgspec.structs.replace(load_cell(LOCAL), limits=Limits(1, 2, 3, 4, 5, 6))
    limits = limits_of(config)
    for name in Limits.__struct_fields__:
        assert getattr(limits, name) == getattr(config.limits, name)
