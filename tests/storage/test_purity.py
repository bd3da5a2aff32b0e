"""Nothing of this room depends on wall time, chance or threads, and only `files` asks anything of the system."""

from __future__ import annotations

import ast
from pathlib import Path

import chubby.storage

ROOM = Path(chubby.storage.__file__).parent
FORBIDDEN = {
    "asyncio",
    "datetime",
    "logging",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
}
SYSTEM = {"os", "fcntl", "pathlib", "io", "mmap"}


def imported(file: Path) -> set[str]:
    """The top-level modules a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_room_reads_no_clock_and_throws_no_dice() -> None:
    """So a simulator runs all of it, the same way every time."""
    assert {file.name: imported(file) & FORBIDDEN for file in ROOM.glob("*.py") if imported(file) & FORBIDDEN} == {}


def test_only_one_module_touches_the_system() -> None:
    """All file access goes through the Protocol `Files`."""
    assert [file.name for file in sorted(ROOM.glob("*.py")) if imported(file) & SYSTEM] == ["files.py"]


def test_nobody_opens_a_file_by_the_way() -> None:
    """Neither by the builtin."""
    for file in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"open", "print", "input", "exec", "eval"}, f"{file.name}:{node.lineno}"
