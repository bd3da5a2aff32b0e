"""Clients that read, write, compare and set, make and delete nodes, and change two of them at once."""

from __future__ import annotations

import chubby
from chubby.errors import GenerationMismatch, NodeExists, NoNode
from chubby.types.nodes import Stat
from chubby.types.transaction import Create, GenerationIs, Write
from tests.torture.recording import Recorder
from tests.torture.work import ROOT_NAME, Worker

KEPT = ("/kept-0", "/kept-1")
"""Made before, and never deleted."""
FLEETING = ("/fleeting-0", "/fleeting-1")
"""Made and deleted again and again."""
PAIR = ("/pair-0", "/pair-1")
"""Changed together."""


def make(recorder: Recorder, client: str, session: chubby.Session, path: str, contents: str) -> None:
    """Make a node that is not there, and write that down. Raises ChubbyError."""
    number = recorder.begin(client, "create", path, contents=contents)
    result = session.transaction(then=[Create(ROOT_NAME + path, contents.encode())])
    stat = result.results[0].stat
    assert stat is not None, "what was made has metadata"
    recorder.end(number, "made", instance=stat.instance, made=result.revision)


class Files(Worker):
    """Reads half of the time, mostly what its cache knows."""

    pace = 0.04
    _serial = 0

    def begin(self, session: chubby.Session) -> None:
        """No generation is known yet."""
        super().begin(session)
        self._known: dict[str, int] = {}

    def step(self, session: chubby.Session) -> None:
        """One call on one node, or two nodes."""
        dice = self.chance.random()
        kept, fleeting = self.chance.choice(KEPT), self.chance.choice(FLEETING)
        if dice < 0.4:
            self._look(self.handle(session, self.chance.choice((*KEPT, *PAIR))))
        elif dice < 0.5:
            self._write(self.handle(session, kept), swap=False)
        elif dice < 0.6:
            self._write(self.handle(session, kept), swap=True)
        elif dice < 0.7:
            self._change_pair(session)
        elif dice < 0.85:
            self._look_by_name(session, fleeting)
        elif dice < 0.95:
            self._make(session, fleeting)
        else:
            self._delete(session, fleeting)

    def _contents(self) -> str:
        self._serial += 1
        return f"{self.client}/{self._serial}"

    def _path(self, handle: chubby.Handle) -> str:
        return handle.name.removeprefix(ROOT_NAME)

    def _view(self, number: int, path: str, contents: bytes, stat: Stat) -> None:
        self._known[path] = stat.content_generation
        generations = (stat.content_generation,)
        text = contents.decode()
        self.recorder.end(
            number, "view", instance=stat.instance, generations=generations, contents=text, saw=stat.modified
        )

    def _look(self, handle: chubby.Handle) -> None:
        number = self.recorder.begin(self.client, "look", self._path(handle))
        with self.recorded(number):
            contents, stat = handle.get_contents_and_stat()
        self._view(number, self._path(handle), contents, stat)

    def _look_by_name(self, session: chubby.Session, path: str) -> None:
        """Absence is an answer, also when it is the cache that knows of it."""
        number = self.recorder.begin(self.client, "look", path)
        with self.recorded(number):
            try:
                with session.open(ROOT_NAME + path) as handle:
                    contents, stat = handle.get_contents_and_stat()
            except NoNode:
                self.recorder.end(number, "absent")
                return
        self._view(number, path, contents, stat)

    def _write(self, handle: chubby.Handle, swap: bool) -> None:
        path, contents = self._path(handle), self._contents()
        generation = self._known.get(path) if swap else None
        expected = () if generation is None else (generation,)
        number = self.recorder.begin(
            self.client, "write", path, contents=contents, expected=expected, instance=handle.instance
        )
        with self.recorded(number):
            try:
                stat = handle.set_contents(contents.encode(), generation=generation)
            except GenerationMismatch:
                self._known.pop(path)
                self.recorder.end(number, "mismatch")
                return
        self._known[path] = stat.content_generation
        self.recorder.end(number, "wrote", generations=(stat.content_generation,), made=stat.modified)

    def _make(self, session: chubby.Session, path: str) -> None:
        contents = self._contents()
        number = self.recorder.begin(self.client, "create", path, contents=contents)
        with self.recorded(number):
            try:
                result = session.transaction(then=[Create(ROOT_NAME + path, contents.encode())])
            except NodeExists:
                self.recorder.end(number, "exists")
                return
        stat = result.results[0].stat
        assert stat is not None, "what was made has metadata"
        self.recorder.end(number, "made", instance=stat.instance, made=result.revision)

    def _delete(self, session: chubby.Session, path: str) -> None:
        try:
            handle = session.open(ROOT_NAME + path)
        except NoNode:
            return
        with handle:
            number = self.recorder.begin(self.client, "delete", path, instance=handle.instance)
            with self.recorded(number):
                revision = handle.delete()
            self.recorder.end(number, "deleted", made=revision)

    def _change_pair(self, session: chubby.Session) -> None:
        """Both, if both are as they were last seen."""
        for path in PAIR:
            if path not in self._known:
                self._look(self.handle(session, path))
        contents = self._contents()
        expected = tuple(self._known.pop(path) for path in PAIR)
        number = self.recorder.begin(self.client, "pair", *PAIR, contents=contents, expected=expected)
        guards = [GenerationIs(ROOT_NAME + path, generation) for path, generation in zip(PAIR, expected, strict=True)]
        with self.recorded(number):
            result = session.transaction(guards, [Write(ROOT_NAME + path, contents.encode()) for path in PAIR])
        if not result.succeeded:
            self.recorder.end(number, "guard_failed")
            return
        stats = [each.stat for each in result.results if each.stat is not None]
        generations = tuple(stat.content_generation for stat in stats)
        self._known.update(zip(PAIR, generations, strict=True))
        self.recorder.end(number, "wrote", generations=generations, made=result.revision)
