"""Transcripts: whole conversations, word by word. `pytest tests/paxos --rewrite` rewrites the expected words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.paxos.transcript import replay

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, pytestconfig: pytest.Config) -> None:
    """Every message, record and chosen slot is as written down (DESIGN §3)."""
    text = path.read_text(encoding="utf-8")
    said = replay(text)
    if pytestconfig.getoption("--rewrite", default=False):
        path.write_text(said, encoding="utf-8")
    else:
        assert said == text


def test_there_are_transcripts() -> None:
    """A moved directory would otherwise pass for no conversation at all."""
    assert len(TRANSCRIPTS) >= 16
