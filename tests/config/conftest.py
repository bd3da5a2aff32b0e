"""What the tests of this room share: a configuration that is right, and ways to make it wrong."""

from __future__ import annotations

import pytest

from chubby.config import CellConfig, parse_cell
from tests.config.cells import REPLICAS, SOURCE, Parse


@pytest.fixture
def parse() -> Parse:
    """Parse a legal cell of three replicas; `cell`, `replicas` and `rest` replace or add lines."""

    def run(rest: str = "", *, cell: str = 'name = "test"', replicas: str = REPLICAS) -> CellConfig:
        return parse_cell(f"[cell]\n{cell}\n{replicas}\n{rest}\n", SOURCE)

    return run
