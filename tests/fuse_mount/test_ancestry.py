"""Who descends from whom: a chain in /proc that may change under the eyes of whoever reads it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fuse_mount.ancestry import Birth, birth_of, lineage


class Proc:
    """A /proc of one's own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, process: int, parent: int, start: int, name: str = "sh") -> None:
        """A process."""
        directory = self.root / str(process)
        directory.mkdir(exist_ok=True)
        after = ["S", str(parent), *(["0"] * 17), str(start), "4096", "0"]
        (directory / "stat").write_text(f"{process} ({name}) {' '.join(after)}\n")

    def end(self, process: int) -> None:
        """It is gone."""
        (self.root / str(process) / "stat").unlink()

    def of(self, process: int, limit: int = 64) -> list[int]:
        """Its lineage."""
        return list(lineage(process, self.root, limit))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    """Init, a login shell, a script, a command."""
    made = Proc(tmp_path)
    made.put(1, 0, 0, "init")
    made.put(10, 1, 100)
    made.put(20, 10, 200)
    made.put(30, 20, 300)
    return made


def test_a_process_and_those_it_descends_from(proc: Proc) -> None:
    """Up to init, which is everybody's ancestor and counts for nothing."""
    assert proc.of(30) == [30, 20, 10]
    assert proc.of(10) == [10]
    assert proc.of(1) == []


@pytest.mark.parametrize("process", [0, -1])
def test_nobody(proc: Proc, process: int) -> None:
    """Who is out of sight descends from nobody."""
    assert proc.of(process) == []


def test_a_process_that_is_gone_is_itself_at_least(proc: Proc) -> None:
    """It made the request."""
    assert proc.of(40) == [40]


def test_a_parent_that_is_gone_ends_the_chain(proc: Proc) -> None:
    """Whoever comes after it is not known."""
    proc.end(20)
    assert proc.of(30) == [30]


def test_a_parent_out_of_sight_ends_the_chain(proc: Proc) -> None:
    """As of a process that came into a container from outside: its parent is 0."""
    proc.put(10, 0, 100)
    assert proc.of(30) == [30, 20, 10]


def test_a_number_that_was_given_away(proc: Proc) -> None:
    """Nobody is younger than their child."""
    proc.put(20, 10, 301, "somebody else")
    assert proc.of(30) == [30]
    proc.put(20, 10, 300, "in the same tick")
    assert proc.of(30) == [30, 20, 10]


def test_a_parent_that_ends_while_it_is_looked_at(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child has another one then, and the number may be anybody's: what was read is not believed."""
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.parent.name == "20":
            proc.put(30, 1, 300)  # 20 has ended, 30 went to init
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    assert proc.of(30) == [30]


def test_the_child_itself_is_another_by_now(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, should its own number have been given away."""
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.parent.name == "20":
            proc.put(30, 20, 900)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    assert proc.of(30) == [30]


def test_a_long_chain_is_not_followed_for_ever(proc: Proc) -> None:
    """Nor a circle, should there be one."""
    for number in range(100, 200):
        proc.put(number, number - 1 if number > 100 else 1, number)
    assert len(proc.of(199)) == 65 and proc.of(199, limit=2) == [199, 198, 197]
    proc.put(50, 50, 1)
    assert set(proc.of(50)) == {50} and len(proc.of(50)) == 65


@pytest.mark.parametrize("name", ["a b", ") S 1 (", "x)", "(((", "1 2 3", "\n"])
def test_a_name_may_contain_anything(proc: Proc, name: str) -> None:
    """Parentheses and spaces too: any process may call itself so."""
    proc.put(20, 10, 200, name)
    assert birth_of(20, proc.root) == Birth(10, 200)
    assert proc.of(30) == [30, 20, 10]


@pytest.mark.parametrize("text", ["", "20", "20 (sh) S 10"])
def test_what_is_cut_short_says_nothing(proc: Proc, text: str) -> None:
    """As if it were not there."""
    (proc.root / "20" / "stat").write_text(text)
    assert birth_of(20, proc.root) is None and proc.of(30) == [30]


def test_real_processes() -> None:
    """This one descends from who started it; a child of it from this one."""
    own = list(lineage(os.getpid()))
    assert own[:2] == [os.getpid(), os.getppid()] or os.getppid() <= 1
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert list(lineage(child.pid))[: len(own) + 1] == [child.pid, *own]
        assert child.stdin is not None
        child.stdin.close()
    assert list(lineage(child.pid)) == [child.pid], "it has ended"
