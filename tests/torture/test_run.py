"""One short run of the real thing, and the ends of runs that are not let be: nothing is left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chubby.cli import exits
from tests.integration.cells import PATIENCE, ROOT, alive, bound_to_us, wait_for
from tests.torture.__main__ import INTERRUPTED
from tests.torture.recording import Begun, read
from tests.torture.test_machines import descendants

pytestmark = [pytest.mark.machines, pytest.mark.fuse, pytest.mark.timeout(6 * PATIENCE)]


@contextmanager
def torture(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m tests.torture`."""
    command = bound_to_us("-m", "tests.torture", *options, "--keep", str(folder))
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_short_run_is_green(tmp_path: Path) -> None:
    """Faults of all three tracks; everybody worked; every verdict is there, and right."""
    with torture(tmp_path / "run", "--seconds", "15", "--seed", "4") as process:
        said, _ = process.communicate(timeout=5 * PATIENCE)
    assert process.returncode == 0, said
    assert said.rstrip().endswith("GREEN")
    assert said.startswith("seed 4; logs and histories go to")
    assert (tmp_path / "run/report.txt").read_text().strip() in said
    for track in ("network", "replicas", "clients"):
        found = re.search(rf"^{track}: (\d+) faults", said, re.M)
        assert found is not None and int(found[1]) > 0, said
    histories = sorted((tmp_path / "run/history").glob("*.jsonl"))
    verbs = {line.verb for file in histories for line in read(file) if isinstance(line, Begun)}
    assert {"look", "write", "append", "pair", "acquire", "add", "line", "count"} <= verbs


def test_ctrl_c_cleans_up(tmp_path: Path) -> None:
    """In the midst of it: every process is gone, and the exit code says so."""
    with torture(tmp_path / "run", "--minutes", "5", "--seed", "5") as process:
        below = started(process, "starting clients and mounts")
        process.send_signal(signal.SIGINT)
        assert process.wait(2 * PATIENCE) == INTERRUPTED
    assert not [pid for pid in below if alive(pid)]
    assert (tmp_path / "run/history").is_dir(), "what there is of it is kept"
    assert nothing_mounted(tmp_path)


def test_kill_9_leaves_nothing_behind(tmp_path: Path) -> None:
    """No process, no mount; namespaces go with them."""
    with torture(tmp_path / "run", "--minutes", "5", "--seed", "6") as process:
        below = started(process, "calls answered")
        assert len(below) > 20, "replicas, clients, mounts"
        process.kill()
        process.wait()
        wait_for(lambda: not any(map(alive, below)), "the end of all processes")
    assert nothing_mounted(tmp_path)


def started(process: subprocess.Popen[str], word: str) -> list[int]:
    """All its processes, once it has said this."""
    assert process.stdout is not None
    while word not in (line := process.stdout.readline()):
        assert line, "it ended"
    return descendants(process.pid)


def nothing_mounted(folder: Path) -> bool:
    """Whether nothing is mounted below the folder."""
    return str(folder) not in Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["--minutes", "many"], exits.USAGE), (["--nonsense"], exits.USAGE)]
)
def test_exit_codes(arguments: list[str], code: int) -> None:
    """As everywhere in the project."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.torture", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == code, ended.stderr


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """What an older run kept is not written over."""
    (tmp_path / "kept").touch()
    with torture(tmp_path) as process:
        assert process.wait(PATIENCE) == exits.USAGE
