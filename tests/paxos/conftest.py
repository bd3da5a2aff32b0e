"""`pytest tests/paxos --rewrite` writes what the core says now into the transcripts, to be read as a diff."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The switch."""
    parser.addoption("--rewrite", action="store_true", help="rewrite the expected output of the Paxos transcripts")
