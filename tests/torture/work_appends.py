"""Clients that append to files by compare-and-set of their whole content.

A file that has enough entries is left alone: whoever sees that goes on to the next one.
"""

from __future__ import annotations

import hashlib

import chubby
from chubby.errors import GenerationMismatch
from tests.torture.work import ROOT_NAME, Worker

FILE = "/append-"
ENTRIES = 400
"""Of one file."""


def fingerprint(contents: bytes) -> str:
    """What stands for the contents in a history: few bytes, different for different ones."""
    return hashlib.blake2b(contents, digest_size=9).hexdigest()


class Appends(Worker):
    """Reads, most often from its cache, and writes what it read and one entry more."""

    pace = 0.1
    _serial = 0
    _file = 0

    def step(self, session: chubby.Session) -> None:
        """One attempt."""
        path = f"{FILE}{self._file}"
        if path not in self.handles:
            self._open(session, path)
        handle = self.handles[path]
        number = self.recorder.begin(self.client, "look", path)
        with self.recorded(number):
            before, stat = handle.get_contents_and_stat()
        generation, seen = stat.content_generation, fingerprint(before)
        self.recorder.end(
            number, "view", instance=stat.instance, generations=(generation,), contents=seen, saw=stat.modified
        )
        if before.count(b"\n") >= ENTRIES:
            self._file += 1
            return
        self._append(handle, path, before, generation)

    def _open(self, session: chubby.Session, path: str) -> None:
        number = self.recorder.begin(self.client, "may_create", path, contents=fingerprint(b""))
        with self.recorded(number):
            handle = session.open(ROOT_NAME + path, create=True)
        stat = handle.get_stat()  # without it nobody knows at which revision the file was made, if it was
        self.handles[path] = handle
        if handle.created:
            self.recorder.end(number, "made", instance=stat.instance, made=stat.created)
        else:
            generations = (stat.content_generation,)
            self.recorder.end(number, "stat", instance=stat.instance, generations=generations, saw=stat.modified)

    def _append(self, handle: chubby.Handle, path: str, before: bytes, generation: int) -> None:
        self._serial += 1
        entry = f"{self.client}/{self._serial}"
        after = before + entry.encode() + b"\n"
        number = self.recorder.begin(
            self.client,
            "append",
            path,
            contents=fingerprint(after),
            expected=(generation,),
            instance=handle.instance,
            owner=entry,
        )
        with self.recorded(number):
            try:
                stat = handle.set_contents(after, generation=generation)
            except GenerationMismatch:
                self.recorder.end(number, "mismatch")
                return
        self.recorder.end(number, "wrote", generations=(stat.content_generation,), made=stat.modified)
