"""A mutant lives in the process that tries it, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.sabotage import sabotage

ROOT = Path(__file__).resolve().parents[2]

TEMPLATE = """
import sys
sys.path.insert(0, {place!r})
from tests.mutants.mutant import Mutant
from tests.mutants.sabotage import sabotage
sabotage(Mutant("seven", "§", "product.inner", (("ANSWER = 42", "ANSWER = 7"),)))
import product.inner, product.other
print(product.inner.ANSWER, product.other.ANSWER, product.inner.__name__, product.inner.__file__)
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product of two modules, in a folder that Python keeps byte code in."""
    package = tmp_path / "product"
    package.mkdir()
    (package / "__init__.py").write_text('"""A product."""\n')
    (package / "inner.py").write_text("ANSWER = 42\n")
    (package / "other.py").write_text("from product.inner import ANSWER\n")
    return package


def run(script: str) -> str:
    """Run a program in a fresh process; what it says."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_the_module_is_changed_as_it_is_imported(product: Path) -> None:
    """Whoever imports it, by whichever way, gets the changed one, under its own name and from its own file."""
    said = run(TEMPLATE.format(place=str(product.parent)))
    assert said.split() == ["7", "7", "product.inner", str(product / "inner.py")]


def test_nothing_is_left_behind(product: Path) -> None:
    """The file is as it was, its byte code is not kept, and the next process has the product as it is."""
    before = (product / "inner.py").read_bytes()
    run(TEMPLATE.format(place=str(product.parent)))
    assert (product / "inner.py").read_bytes() == before
    kept = [file.name for file in product.rglob("*.pyc")]
    assert not any(name.startswith("inner.") for name in kept)
    script = f"import sys; sys.path.insert(0, {str(product.parent)!r}); import product.inner as p; print(p.ANSWER)"
    assert run(script).split() == ["42"]


def test_byte_code_of_the_product_is_not_taken_for_it(product: Path) -> None:
    """A module that was imported before, in another process, has byte code: it is the unchanged one."""
    run(f"import sys; sys.path.insert(0, {str(product.parent)!r}); import product.inner")
    assert any(file.name.startswith("inner.") for file in product.rglob("*.pyc"))
    assert run(TEMPLATE.format(place=str(product.parent))).split()[0] == "7"


def test_a_mutant_that_no_longer_fits_says_so(product: Path) -> None:
    """In place of a trial of the product as it is, which would survive."""
    (product / "inner.py").write_text("ANSWER = 41 + 1\n")
    assert "Misfit: seven: 0 places in product.inner" in run(TEMPLATE.format(place=str(product.parent)))


def test_a_module_that_is_gone_is_missed(product: Path) -> None:
    """It was renamed: the mutant has to follow."""
    (product / "inner.py").unlink()
    assert "there is no module product.inner" in run(TEMPLATE.format(place=str(product.parent)))


def test_too_late_is_refused() -> None:
    """Where the product is loaded already, as in this process, the mutant would have no effect."""
    __import__("chubby.types.time")
    with pytest.raises(AssertionError, match=r"too late for seven: chubby"):
        sabotage(Mutant("seven", "§", "chubby.types.time", (("a", "b"),)))
