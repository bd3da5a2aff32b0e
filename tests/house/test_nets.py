"""The nets of `test_house` catch what they are made for: each is shown a fish."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house import test_house as house
from tests.house.sources import imported, is_generated


def first(code: str) -> ast.FunctionDef:
    """The first function in `code`."""
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (house.POSTPONED, "# TO~DO: later"),
        (house.POSTPONED, "x = 1  # FIX~ME"),
        (house.EXEMPTED, "import x  # no~qa"),
        (house.EXEMPTED, "import x  # NO~QA: F401"),
        (house.EXEMPTED, "import x  # type: ig~nore"),
        (house.EXEMPTED, "import x  # type: ig~nore[import-untyped]"),
        (house.EXEMPTED, "if x:  # pra~gma: no cover"),
        (house.SKIPPED, "@pytest.mark.sk~ip(reason='x')"),
        (house.SKIPPED, "@pytest.mark.sk~ipif(True, reason='x')"),
        (house.SKIPPED, "pytest.importor~skip('x')"),
        (house.SKIPPED, "pytest.xf~ail('x')"),
        (house.SLEPT, "time.sle~ep(1)"),
    ],
)
def test_patterns_catch(pattern: re.Pattern[str], line: str) -> None:
    """Each forbidden form. (The tilde keeps this file from breaking the rule itself.)"""
    assert pattern.search(line.replace("~", ""))


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (house.EXEMPTED, "import x  # type: ig~nore[import-untyped]  # ships no types"),
        (house.POSTPONED, "to do or not to do"),
        (house.SKIPPED, "skipped = reader.skip(4)"),
        (house.SLEPT, "await clock.sleep_until(deadline)"),
    ],
)
def test_patterns_let_pass(pattern: re.Pattern[str], line: str) -> None:
    """What is allowed."""
    assert not pattern.search(line.replace("~", ""))


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("def f(a: int, *b: int, c: int, **d: int) -> None: ...", []),
        ("def f(self, cls: int) -> None: ...", []),
        ("def f(a, /, b, *c, d, **e) -> None: ...", ["a", "b", "d", "c", "e"]),
        ("def f(): ...", ["its result"]),
    ],
)
def test_untyped_parts_are_found(code: str, missing: list[str]) -> None:
    """Every kind of parameter, and the result."""
    assert list(house.untyped(first(code))) == missing


def test_public_definitions_are_found() -> None:
    """Classes, functions, methods; not what is private, overloaded or nested in a function."""
    code = """
class A:
    def shown(self): ...
    def _hidden(self): ...
    class Inner:
        def deep(self): ...
class _B:
    def unseen(self): ...
@overload
def twice(): ...
def plain():
    def nested(): ...
async def later(): ...
"""
    names = [node.name for node in house.public_definitions(ast.parse(code))]
    assert names == ["A", "shown", "Inner", "deep", "plain", "later"]


def test_imports_are_found_wherever_they_hide(tmp_path: Path) -> None:
    """At the top, under an alias, inside a function, from a package."""
    file = tmp_path / "x.py"
    file.write_text("import os.path as p\ndef f():\n    from time import monotonic\nfrom chubby import paths\n")
    names = {name for name, _ in imported(file)}
    assert names == {"os.path", "time", "time.monotonic", "chubby", "chubby.paths"}


def test_generated_stubs_are_known_by_their_names() -> None:
    """And nothing else is."""
    assert is_generated(Path("chubby/wire/chubby_pb2.py"))
    assert is_generated(Path("chubby/wire/chubby_pb2_grpc.py"))
    assert not is_generated(Path("chubby/wire/codec.py"))
