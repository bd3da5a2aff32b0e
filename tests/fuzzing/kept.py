"""Inputs on disk, each a file named by what is in it.

`corpus/<target>/` are ways into the code, found by atheris and few enough to be run each time. `regressions/<target>/`
are inputs that were once wrong: a crash, a hang, too much memory. Nothing is ever taken out of those.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
CORPUS: Final = HERE / "corpus"
REGRESSIONS: Final = HERE / "regressions"
CORPUS_INPUT: Final = 2048
"""The longest input of the corpus, in bytes."""
CORPUS_INPUTS: Final = 24
"""The most inputs of one target's corpus."""


def name_of(data: bytes) -> str:
    """What the file of `data` is called."""
    return hashlib.sha256(data).hexdigest()[:16]


def keep(folder: Path, target: str, data: bytes) -> Path:
    """The file that holds `data` for `target` below `folder`, made if it is not there."""
    file = folder / target / name_of(data)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def inputs(folder: Path, target: str) -> dict[str, bytes]:
    """What is kept for `target` below `folder`, by name, in order."""
    files = sorted((folder / target).glob("*"))
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def choose(found: list[bytes]) -> list[bytes]:
    """Which of `found` the corpus keeps: no long ones, and of too many those that come first by name."""
    short = sorted({data for data in found if 0 < len(data) <= CORPUS_INPUT}, key=name_of)
    return short[:CORPUS_INPUTS]
