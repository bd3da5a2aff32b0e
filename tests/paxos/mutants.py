"""Every safety rule of the log broken once, to see that some test fails ("Paxos Made Live" §6.2: seeded known bugs).

    .venv/bin/python -m tests.paxos.mutants [FIRST [LAST]]

copies the checkout's `chubby` and `tests/paxos` aside, breaks one rule at a time, runs the tests of this room, and
prints which test noticed first. `test_mutants.py` sees to it that each mutant still finds the line it breaks.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.paxos.rules import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


OWN_TESTS = {
    "station": "mastership",
    "office": "mastership",
    "learner": "peer",
    "configuration": "electorate",
    "belonging": "members",
}
"""Which tests to run first for a module without tests under its own name."""


def broken(mutant: Mutant, source: Path = ROOT) -> str:
    """The module with the rule broken."""
    text = (source / "chubby" / "paxos" / f"{mutant.module}.py").read_text(encoding="utf-8")
    assert text.count(mutant.before) == 1, f"{mutant.rule}: {text.count(mutant.before)} places in {mutant.module}.py"
    return text.replace(mutant.before, mutant.after)


def first_failure(mutant: Mutant) -> str:
    """The first test that notices, or an empty string."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        shutil.copytree(ROOT / "chubby", copy / "chubby")
        shutil.copytree(ROOT / "tests" / "paxos", copy / "tests" / "paxos")
        for name in ("tests/__init__.py", "setup.cfg"):
            shutil.copy(ROOT / name, copy / name)
        (copy / "chubby" / "paxos" / f"{mutant.module}.py").write_text(broken(mutant), encoding="utf-8")
        own = f"tests/paxos/test_{OWN_TESTS.get(mutant.module, mutant.module)}.py"
        return failing(copy, own) or failing(copy, "tests/paxos", "--deselect", "tests/paxos/test_mutants.py")


def failing(place: Path, *what: str) -> str:
    """Run these tests until one fails; its name. Raises RuntimeError if no test could be run."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *what]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"the tests could not be run:\n{done.stdout}{done.stderr}")
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0] if lines else ("" if done.returncode == 0 else done.stdout[-200:])


def main(arguments: list[str]) -> int:
    """Break them all, or some."""
    first, last = (*map(int, arguments), *(0, len(MUTANTS))[len(arguments) :])[:2]
    survivors = 0
    for number, mutant in enumerate(MUTANTS[first:last], first):
        noticed = first_failure(mutant)
        survivors += not noticed
        print(f"{number:3} {mutant.rule}: {noticed or 'SURVIVES'}", flush=True)
    print(f"{survivors} survive")
    return survivors > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
