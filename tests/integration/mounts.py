"""Mounts of a cell by the command itself, and programs that work on them. Nothing survives its test, nor these tests.

A mount's process gets SIGTERM when this one dies, however it dies, and unmounts then. Programs have a process group of
their own and are killed with all of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from chubby.cli import launch
from fuse_mount import mount_table
from fuse_mount.mount_table import Life
from tests.integration import mounted
from tests.integration.cells import PATIENCE, ROOT, Cell, bound_to_us, wait_for
from tests.integration.programs import Program

COMMAND = (sys.executable, "-m", "chubby.cli")
MOUNTED = "is mounted at"
"""What a mount logs when it is there."""
WORKER = (*launch.PYTHON, str(Path(mounted.__file__)))
"""How a program of `mounted` is run: it begins in milliseconds."""


class Mount:
    """`chubby mount DIRECTORY --foreground`, in a process."""

    def __init__(self, directory: Path, *options: str, **environment: str) -> None:
        """Not started. `options` are those of the command, with what names the cell; `environment` is added to ours."""
        self.directory = directory
        self.options = options
        self.environment = environment
        self.log_file = directory.with_name(f"{directory.name}.log")
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def __truediv__(self, name: str) -> Path:
        """Something in it."""
        return self.directory / name

    def command(self) -> list[str]:
        """What mounts."""
        return bound_to_us("-m", "chubby.cli", "mount", *self.options, "--foreground", str(self.directory))

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it, and do not wait until it is mounted."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def start(self) -> None:
        """Start it, and wait until it is mounted."""
        before = self.log().count(MOUNTED)
        process = self.launch()

        def mounted() -> bool:
            assert process.poll() is None, f"it has not mounted: {self.log()}"
            return self.log().count(MOUNTED) > before

        wait_for(mounted, f"the mount at {self.directory}")

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send its process a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Have it end in good order; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def log(self) -> str:
        """What it has said."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def session(self) -> dict[str, str]:
        """What `.chubby/session` says."""
        lines = run("cat", str(self / ".chubby/session")).splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def heal(self) -> None:
        """Mounted and served again, whatever has happened to it."""
        if self.process is None or self.process.poll() is not None:
            self.clear()
            self.start()

    def clear(self) -> None:
        """No process and no mount any more, by whatever force it takes."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(PATIENCE)
        while mount_table.at(str(self.directory)) is not None:
            subprocess.run(["fusermount3", "-u", "-z", str(self.directory)], check=True, timeout=PATIENCE)


def mounts(cell: Cell, *directories: Path, options: Sequence[str] = ()) -> AbstractContextManager[tuple[Mount, ...]]:
    """The cell mounted at each of these, while one is within; see `mounting`."""
    return mounting(*(Mount(directory, "--config", str(cell.file), *options) for directory in directories))


@contextlib.contextmanager
def mounting(*all_of_them: Mount, start: bool = True) -> Iterator[tuple[Mount, ...]]:
    """Start them. When all goes well they end in good order; else what they logged is printed."""
    try:
        for each in all_of_them if start else ():
            each.start()
        yield all_of_them
        for each in all_of_them:
            if each.process is not None and each.process.poll() is None:
                assert each.stop() == 0, f"it did not end in good order: {each.log()}"
    except BaseException:
        for each in all_of_them:
            print(f"--- mount at {each.directory}\n{each.log()[-4000:]}")
        raise
    finally:
        for each in all_of_them:
            each.clear()


def stale(mount: Mount) -> bool:
    """Whether it is in the table of mounts and nobody serves it."""
    there = mount_table.at(str(mount.directory)) is not None
    return there and mount_table.probe(str(mount.directory)) is Life.STALE


class Tool(Program):
    """A program that runs for a while, of any kind; with it ends whatever it has started."""

    def __init__(self, *command: str) -> None:
        """Run it."""
        super().__init__("--", *command)

    def end(self) -> None:
        """Kill it and its children, and forget it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        super().end()


def run(*command: str, cwd: Path | None = None, code: int | None = 0, patience: float = PATIENCE) -> str:
    """Run a program to its end: what it said. Fails the test if it exits with another code (None: any is right)."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=patience)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert code is None or process.returncode == code, f"{command} ended with {process.returncode}: {said}"
    return said


def sh(script: str, cwd: Path, code: int | None = 0) -> str:
    """Run a script that ends at its first failing command: what it said."""
    return run("sh", "-euc", script, cwd=cwd, code=code)


def chubby(*arguments: str, code: int = 0) -> str:
    """Run a command of this project: what it said."""
    return run(*COMMAND, *arguments, cwd=ROOT, code=code)


def python(script: str, cwd: Path, code: int | None = 0) -> str:
    """Run a Python program, which knows nothing of this project: what it said."""
    return run(*launch.PYTHON, "-c", script, cwd=cwd, code=code)
