"""The source files that the house rules speak of, read and parsed once."""

from __future__ import annotations

import ast
import functools
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "chubby"
TESTS = ROOT / "tests"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_generated(file: Path) -> bool:
    """Whether `make proto` wrote the file."""
    return file.stem.endswith(("_pb2", "_pb2_grpc"))


@functools.cache
def product() -> tuple[Path, ...]:
    """Every module that is installed or run: the package, the mount, the benchmarks."""
    folders = [PACKAGE, ROOT / "fuse_mount", ROOT / "bench"]
    return tuple(file for folder in folders for file in sorted(folder.rglob("*.py")) if not is_generated(file))


@functools.cache
def proofs() -> tuple[Path, ...]:
    """Every module below `tests/`."""
    return tuple(sorted(TESTS.rglob("*.py")))


def everything() -> tuple[Path, ...]:
    """Every module that somebody wrote."""
    return product() + proofs()


@functools.cache
def tree(file: Path) -> ast.Module:
    """The syntax tree of `file`."""
    with tokenize.open(file) as stream:
        return ast.parse(stream.read(), str(file))


def lines(file: Path) -> list[str]:
    """The lines of `file`."""
    return file.read_text().splitlines()


def functions(file: Path) -> Iterator[Function]:
    """Every function and method of `file`, nested ones included."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """Every absolute module name that `file` imports, at any depth of its code, with the line."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def place(file: Path, line: int = 0) -> str:
    """How a message calls a line of a file."""
    name = str(file.relative_to(ROOT))
    return f"{name}:{line}" if line else name
