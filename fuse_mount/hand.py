"""Another process, for what has to be done to a mount from within it.

Its own process must not touch it. Killed at such a moment, it could not die: the kernel waits for the answer to a
request that its own threads would have to give, and as long as it waits the mount is not over, and everybody who uses
it hangs. Another process in its place gets an error as soon as this one is gone, and then finds its input at an end.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

WORKER: Final = Path(__file__).with_name("hand_worker.py")
LIMIT: Final = 10.0
"""Seconds that it has to end when it is not needed any more."""


class Hand:
    """See the module. Started when it is first needed, and again if it was killed. For one thread, but `process`."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[str] | None = None
        self._guard = threading.Lock()
        self._closed = False

    @property
    def process(self) -> int:
        """Its process id; 0 while there is none."""
        worker = self._worker
        return 0 if worker is None else worker.pid

    def do(self, what: str, path: str, directory: str = "", proof: int = 0) -> None:
        """Have it done (`hand_worker.ACTS`). Raises OSError: what came of it; BrokenPipeError, it is gone.

        With a `directory` to the path in it, and only if the mount there is the one that gives that `proof`.
        """
        worker = self._begin()
        assert worker.stdin is not None and worker.stdout is not None, "both are pipes"
        try:
            worker.stdin.write(json.dumps([what, path, directory, proof]) + "\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except ValueError:
            raise BrokenPipeError("it was closed") from None
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._dismiss()
            raise BrokenPipeError("it was killed")
        number = int(answer)
        if number:
            raise OSError(number, os.strerror(number), path)

    def close(self) -> None:
        """It is not needed any more; what it is doing fails. From any thread, idempotent."""
        with self._guard:
            self._closed = True
            worker = self._worker
        if worker is not None:
            _end(worker)

    def _begin(self) -> subprocess.Popen[str]:
        with self._guard:
            if self._closed:
                raise BrokenPipeError("it was closed")
            if self._worker is None:
                self._worker = _started()
            return self._worker

    def _dismiss(self) -> None:
        """Take note that it ended; the next one begins anew."""
        with self._guard:
            worker, self._worker = self._worker, None
        if worker is not None:
            _end(worker)


def look(directory: str) -> None:
    """Have another process ask what is at `directory`, once. Never fails, and waits a while at most."""
    with suppress(OSError, subprocess.TimeoutExpired):
        worker = _started()
        try:
            worker.communicate(json.dumps(["look", directory]) + "\n", timeout=LIMIT)
        finally:
            _end(worker)


def _started() -> subprocess.Popen[str]:
    # In a session of its own: a terminal's Ctrl-C is for the mount, which ends it in its turn.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-X", "utf8", str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        start_new_session=True,
    )


def _end(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    for pipe in (worker.stdin, worker.stdout):
        with suppress(OSError, ValueError):
            if pipe is not None:
                pipe.close()
    with suppress(subprocess.TimeoutExpired):
        worker.wait(LIMIT)
