"""The rules of the house: what review would otherwise have to say again and again.

| rule                                                              | why                                             |
|-------------------------------------------------------------------|-------------------------------------------------|
| a module has at most 400 lines, a function at most 70             | what fits into a head can be checked by one     |
| every module and package opens with a docstring                   | the first question is what it is for            |
| every function says what it takes and gives                       | `mypy --strict` sees nothing it is not told     |
| nothing postponed, exempted, skipped or slept over                | a rule with an escape is none                   |
| pure rooms import neither clock nor disk nor network nor chance   | the simulator runs the production code          |
| every room has its tests, in a folder of its name                 | one knows where to look, and that they exist    |

`ruff`, `mypy` and the import contracts hold most of these too, each from its own side; this is the net below them. Each
test lists every place that breaks its rule.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import (
    PACKAGE,
    ROOT,
    TESTS,
    Function,
    everything,
    functions,
    imported,
    is_generated,
    lines,
    place,
    product,
    proofs,
    tree,
)

MODULE_LINES = 400
FUNCTION_LINES = 70

PURE = (
    "chubby.paxos",
    "chubby.namespace",
    "chubby.master",
    "chubby.replica",
    "chubby.client.state",
    "chubby.client.cache",
    "chubby.client.session_core",
    "fuse_mount.attributes",
    "fuse_mount.claims",
    "fuse_mount.contents",
    "fuse_mount.errnos",
    "fuse_mount.grips",
    "fuse_mount.names",
    "fuse_mount.obstacles",
    "fuse_mount.ranges",
    "fuse_mount.xattrs",
)
"""What DESIGN §2 calls pure. Of the client, the core; whatever of the client it imports is pure with it. Of the mount,
what decides: which errno, which lock, which bytes.
"""
IMPURE = {"asyncio", "datetime", "grpc", "logging", "os", "random", "socket", "threading", "time", "uuid"}
"""What DESIGN §2 forbids in pure rooms; setup.cfg forbids the same."""
IMPURE_TOO = {
    "concurrent",
    "contextvars",
    "io",
    "multiprocessing",
    "pathlib",
    "queue",
    "secrets",
    "select",
    "selectors",
}
IMPURE_TOO |= {"shutil", "signal", "ssl", "subprocess", "tempfile", "uvloop"}
"""Other ways to the same clock, disk, network and chance."""
IMPURE_BUILTINS = {"breakpoint", "eval", "exec", "globals", "id", "input", "open", "print", "__import__"}
"""`id` is an address: whatever depends on it differs from run to run."""

# A letter of each word stands in brackets, so that this file does not break its own rule.
POSTPONED = re.compile(r"\b(TO[D]O|FI[X]ME|X[X]X|HA[C]K)\b")
EXEMPTED = re.compile(r"#\s*(no[q]a\b|type:\s*i[g]nore(?!\[[a-z-]+(, ?[a-z-]+)*\]\s+#\s+\w)|pragma:\s*no\b)", re.I)
SKIPPED = re.compile(r"\b(mark\.(sk[i]p|xf[a]il)|pytest\.(sk[i]p|xf[a]il|importorsk[i]p)|unittest\.sk[i]p)")
SLEPT = re.compile(r"\btime\.sle[e]p\b")


def breaches(found: Iterator[str]) -> None:
    """Fail with all that was found, if anything was."""
    together = "\n".join(found)
    assert not together, f"\n{together}"


def matches(pattern: re.Pattern[str], files: tuple[Path, ...]) -> Iterator[str]:
    """Each line of `files` in which `pattern` is found."""
    for file in files:
        for number, line in enumerate(lines(file), 1):
            if pattern.search(line):
                yield f"{place(file, number)}: {line.strip()}"


def module_file(module: str) -> Path:
    """The file or folder of a module by its dotted name."""
    path = ROOT.joinpath(*module.split("."))
    return path if path.is_dir() else path.with_suffix(".py")


def pure_files() -> Iterator[Path]:
    """Every file of the pure rooms, and what they import of a room that is pure only in part."""
    waiting = [*PURE]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop(0)
        path = module_file(module)
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        if module in seen or not path.exists():
            continue
        seen.add(module)
        yield from files
        if module.startswith("chubby.client."):
            names = (name for file in files for name, _ in imported(file))
            waiting += [name for name in names if name.startswith("chubby.client.") and module_file(name).exists()]


def test_modules_are_short() -> None:
    """None over 400 lines."""
    long = ((file, len(lines(file))) for file in everything())
    breaches(f"{place(file)} has {count} lines" for file, count in long if count > MODULE_LINES)


def test_functions_are_short() -> None:
    """None over 70 lines, docstring included, decorators not."""

    def found() -> Iterator[str]:
        for file in everything():
            for function in functions(file):
                length = (function.end_lineno or function.lineno) - function.lineno + 1
                if length > FUNCTION_LINES:
                    yield f"{place(file, function.lineno)}: {function.name} has {length} lines"

    breaches(found())


def test_every_module_opens_with_a_docstring() -> None:
    """And no package is without its `__init__`, the chapter that explains it."""
    breaches(f"{place(file)} has no docstring" for file in everything() if not ast.get_docstring(tree(file)))
    folders = {file.parent for file in everything()}
    breaches(
        f"{place(folder)} has no __init__.py" for folder in sorted(folders) if not (folder / "__init__.py").exists()
    )


def test_every_public_class_and_function_of_the_product_has_a_docstring() -> None:
    """Methods too; what begins with an underscore explains itself by its use."""

    def found() -> Iterator[str]:
        for file in product():
            for node in public_definitions(tree(file)):
                if not ast.get_docstring(node):
                    yield f"{place(file, node.lineno)}: {node.name} has no docstring"

    breaches(found())


def public_definitions(scope: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | Function]:
    """Classes, functions and methods that others may use; overloads and what is nested in functions left out."""
    for node in scope.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            if not any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


def test_every_function_is_typed() -> None:
    """Each parameter but self and cls, and each result."""

    def found() -> Iterator[str]:
        for file in everything():
            for function in functions(file):
                for missing in untyped(function):
                    yield f"{place(file, function.lineno)}: {function.name} does not type {missing}"

    breaches(found())


def untyped(function: Function) -> Iterator[str]:
    """What of the function's signature has no annotation."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if positional and positional[0].arg in {"self", "cls"}:
        positional = positional[1:]
    for argument in [*positional, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if argument is not None and argument.annotation is None:
            yield argument.arg
    if function.returns is None:
        yield "its result"


def test_nothing_is_postponed() -> None:
    """A note to oneself is no code."""
    breaches(matches(POSTPONED, everything()))


def test_nothing_is_exempted_without_a_reason() -> None:
    """No blanket exemptions: an ignored type error names its code and, in a comment after it, the reason."""
    breaches(matches(EXEMPTED, everything()))


def test_no_test_is_skipped() -> None:
    """A test that does not run proves nothing."""
    breaches(matches(SKIPPED, proofs()))


def test_nobody_sleeps() -> None:
    """Product code never blocks a loop; tests wait for conditions."""
    breaches(matches(SLEPT, everything()))


def test_pure_rooms_import_nothing_impure() -> None:
    """DESIGN §2 "Pure means sans-IO", read off the syntax trees."""

    def found() -> Iterator[str]:
        for file in pure_files():
            for module, line in imported(file):
                if module.partition(".")[0] in IMPURE | IMPURE_TOO:
                    yield f"{place(file, line)}: a pure room imports {module}"

    breaches(found())


def test_pure_rooms_call_nothing_impure() -> None:
    """What needs no import: files, terminals, addresses of objects, code made at run time."""

    def found() -> Iterator[str]:
        for file in pure_files():
            for node in ast.walk(tree(file)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_BUILTINS:
                    yield f"{place(file, node.lineno)}: a pure room calls {node.func.id}"

    breaches(found())


def test_the_import_contract_says_the_same_about_purity() -> None:
    """Both nets hang at the same rooms and catch the same modules."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    contract = config["importlinter:contract:purity"]
    assert set(contract["source_modules"].split()) == set(PURE)
    assert set(contract["forbidden_modules"].split()) == IMPURE


@pytest.mark.parametrize("module", ["pickle", "marshal", "shelve"])
def test_nothing_that_executes_what_it_reads(module: str) -> None:
    """Bytes from a disk or a wire are data."""
    breaches(
        f"{place(file, line)}: imports {name}"
        for file in product()
        for name, line in imported(file)
        if name.partition(".")[0] == module
    )


def test_every_room_has_its_tests() -> None:
    """`chubby/x` and `chubby/x.py` are tested in `tests/x/test_*.py`, the mount in `tests/fuse_mount/test_*.py`."""

    def found() -> Iterator[str]:
        for path in [*sorted(PACKAGE.iterdir()), ROOT / "fuse_mount"]:
            is_room = path.is_dir() and any(path.glob("*.py"))
            is_module = path.suffix == ".py" and path.stem != "__init__" and not is_generated(path)
            if (is_room or is_module) and not any((TESTS / path.stem).rglob("test_*.py")):
                yield f"{place(path)} has no tests/{path.stem}/test_*.py"

    breaches(found())
