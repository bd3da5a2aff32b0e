"""Same commands, same state: in any process, under any hash seed (DESIGN §4: "Deterministic")."""

from __future__ import annotations

import hashlib
import os
import pathlib
import random
import subprocess
import sys

from tests.namespace.test_twin import Pair

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = "from tests.namespace.test_determinism import fingerprint; print(fingerprint())"


def fingerprint() -> str:
    """What a long run leaves behind: every outcome, every digest, the snapshot to the byte."""
    pair = Pair(random.Random(99))
    seen = []
    for _ in range(1_200):
        _, outcome = pair.step()
        seen.append(f"{outcome} {pair.machine.digest():032x}")
    seen += [data.hex() for data in pair.machine.snapshot().slices(10_000)]
    return hashlib.blake2b("\n".join(seen).encode()).hexdigest()


def test_every_process_comes_to_the_same() -> None:
    """Sets and dicts of strings are in another order in each of these processes; nothing of it may show."""
    found = {fingerprint()}
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
        )
        found.add(done.stdout.strip())
    assert len(found) == 1
