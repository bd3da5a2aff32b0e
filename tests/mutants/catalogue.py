"""All mutants, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.mutants import client, log, machine, master, storage
from tests.mutants.mutant import Mutant

ROOMS: Final = {
    "log": log.MUTANTS,
    "storage": storage.MUTANTS,
    "machine": machine.MUTANTS,
    "master": master.MUTANTS,
    "client": client.MUTANTS,
}
"""In the order in which the table tells them."""

MUTANTS: Final[Mapping[str, Mutant]] = MappingProxyType(
    {mutant.name: mutant for mutants in ROOMS.values() for mutant in mutants}
)
