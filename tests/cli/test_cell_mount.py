"""`chubby cell start --mount DIR`: the cell as a directory for as long as it runs; never in its way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fuse_mount import mount_table
from fuse_mount.users import server_of
from tests.cli.configured import configured
from tests.cli.mounts import nothing_left_in
from tests.cli.test_cell import LIMIT, lines_until
from tests.integration.cells import alive, wait_for


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A cell of one replica."""
    return configured(tmp_path / "single.toml", 1, tmp_path / "data")


@contextmanager
def started(config: Path, *options: str, within: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """`chubby cell start --mount ls/local` in the directory of its configuration; ended in the end."""
    command = [*within, sys.executable, "-m", "chubby.cli", "cell", "start", "--config", config.name, *options]
    with (
        nothing_left_in(config.parent),
        subprocess.Popen(
            [*command, "--mount", "ls/local"],
            cwd=config.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(LIMIT)
            finally:
                process.kill()


def place_of(config: Path) -> Path:
    """Where it is mounted."""
    return config.parent / "ls" / "local"


def server_at(place: Path) -> int:
    """The process that serves it."""
    mount = mount_table.at(str(place))
    assert mount is not None
    server = server_of(mount.device)
    assert server is not None
    return server


@pytest.mark.fuse
def test_the_cell_as_a_directory(config: Path) -> None:
    """From the first master to Ctrl-C; then the directories are gone that it has made, and so is its session."""
    place = place_of(config)
    with started(config) as process:
        assert "mounted at ls/local\n" in lines_until(process, "mounted at ls/local")
        (place / "addr").write_text("10.0.0.7:80")
        assert (place / "addr").read_text() == "10.0.0.7:80"
        server = server_at(place)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert output.splitlines()[-1] == "stopping all replicas"
        assert not alive(server) and not (config.parent / "ls").exists()
    log = (config.parent / "data" / "mount.log").read_text()
    assert "single is mounted at" in log and log.rstrip().endswith("is unmounted")


@pytest.mark.fuse
def test_what_was_there_stays(config: Path) -> None:
    """A directory that it has not made is not removed; and one in which something lies is not mounted over."""
    place = place_of(config)
    place.mkdir(parents=True)
    with started(config) as process:
        lines_until(process, "mounted at ls/local")
    assert place.exists()
    (place / "note").write_text("x")
    with started(config) as process:
        line = lines_until(process, "not mounted at ls/local: ")[-1]
        assert "is not empty (note, ...)" in line
        lines_until(process, ": master\n")
    assert (place / "note").read_text() == "x"


@pytest.mark.fuse
def test_somebody_unmounts_it(config: Path) -> None:
    """That is told; the cell runs on."""
    with started(config, "--json") as process:
        assert json.loads(lines_until(process, '"mounted"')[-1]) == {"mounted": str(place_of(config))}
        subprocess.run(["umount", place_of(config)], check=True)
        assert json.loads(lines_until(process, '"mounted"')[-1]) == {"mounted": None}
        assert process.poll() is None


@pytest.mark.fuse
def test_it_does_not_outlive_a_killed_parent(config: Path) -> None:
    """Unmounted and ended, however its parent is killed; the next start has a clean place."""
    place = place_of(config)
    with started(config) as process:
        lines_until(process, "mounted at ls/local")
        server = server_at(place)
        process.kill()
        wait_for(lambda: not alive(server), "the end of the mount's process")
        assert mount_table.at(str(place)) is None


@pytest.mark.fuse
def test_what_a_killed_one_left_is_cleared(config: Path) -> None:
    """A stale mount at the place is taken away first."""
    place = place_of(config)
    with started(config) as process:
        lines_until(process, "mounted at ls/local")
        for killed in (helper_at(place), server_at(place)):
            os.kill(killed, signal.SIGKILL)
        lines_until(process, "the mount at ls/local has ended; its log is ")
        assert mount_table.probe(str(place)) is mount_table.Life.STALE
        process.kill()
        process.wait(LIMIT)
        with started(config) as another:
            lines_until(another, "mounted at ls/local")


def helper_at(place: Path) -> int:
    """libfuse's helper, which would clear it."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"fusermount3") and os.fsencode(place) in words:
                return int(process.name)
    raise AssertionError("there is no helper")


@pytest.mark.fuse
def test_a_machine_without_fuse_has_a_cell_nevertheless(config: Path) -> None:
    """One line says why nothing is mounted; nothing is left of the place."""
    (config.parent / "dev").mkdir()
    devices = "mount -t tmpfs none dev && mknod dev/null c 1 3 && mknod dev/urandom c 1 9 && mount --move dev /dev"
    with started(config, within=("unshare", "--mount", "sh", "-c", f'{devices} && exec "$@"', "sh")) as process:
        line = lines_until(process, "not mounted at ls/local: ")[-1]
        assert "/dev/fuse is not there: " in line
        lines_until(process, ": master\n")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0 and "not mounted" not in output
    assert not (config.parent / "ls").exists()


def test_a_place_that_cannot_be_made(config: Path) -> None:
    """The same, without any FUSE."""
    (config.parent / "ls").write_text("a file")
    with started(config) as process:
        line = lines_until(process, "not mounted at ls/local: ")[-1]
        assert "Not a directory" in line
        lines_until(process, ": master\n")
    assert (config.parent / "ls").read_text() == "a file"


@pytest.mark.fuse
def test_it_is_stopped_before_the_cell_has_a_master(config: Path) -> None:
    """The mount's process still waits for the cell then, and ends with the rest."""
    with started(config) as process:
        lines_until(process, "starting")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert not (config.parent / "ls").exists()


def test_make_cell_mounts_unless_told_otherwise() -> None:
    """At ./ls/local, which git does not see."""
    root = Path(__file__).resolve().parents[2]

    def recipe(*words: str) -> str:
        """The command that `make cell` would run."""
        shown = subprocess.run(["make", "-n", "cell", *words], cwd=root, capture_output=True, text=True, check=True)
        return shown.stdout.splitlines()[-1]

    assert recipe().split()[-4:] == ["cell", "start", "--mount", "ls/local"]
    assert recipe("MOUNT=").split()[-2:] == ["cell", "start"]
    assert recipe("MOUNT=/mnt", "ARGS=--json").split()[-3:] == ["--mount", "/mnt", "--json"]
    assert "/ls/" in (root / ".gitignore").read_text().splitlines()
