"""The data directory of one replica: what is in it, how it begins, how a lost life is put aside (DESIGN §3).

::

    LOCK                  held while a process uses the directory
    current/              this life's vote state
        IDENTITY          which cell's which replica in which incarnation
        MANIFEST          which segments and snapshots there are
        wal/              <number>.wal
        snapshots/        <slot>.snap
    forming/              a life being prepared; debris whenever it is found at a start
    rotten-<n>/           the last life that was given up, for inspection

A life is made complete and durable in `forming` and then renamed to `current`: there is no half of one. So a directory
without `current` never voted since it was formatted, except when `rotten-<n>` shows that a life was put aside and the
next one not begun.

| condition | what is there                                  | what may be done                                   |
|-----------|------------------------------------------------|----------------------------------------------------|
| EMPTY     | nothing                                        | `format` (explicit), or `become_new_incarnation`   |
| FORMATTED | a life; only `open` says whether it is whole   | `open`; if that raises CorruptData: as ROTTEN      |
| ROTTEN    | vote state that is damaged or incomplete       | `become_new_incarnation`: rejoin as a learner      |
| FOREIGN   | another replica's, a newer release's, or       | nothing: an operator has to look                   |
|           | no data of ours at all                         |                                                    |
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from chubby.errors import CorruptData, StorageFailed
from chubby.paxos.configuration import Configuration, Identity
from chubby.storage.faults import ForeignData, disk_errors
from chubby.storage.files import ROOT, Files
from chubby.storage.life import IDENTITY, OpenedDirectory, form, read_identity, take_up
from chubby.storage.places import Within, join, remove_tree
from chubby.storage.segment import SEGMENT_SIZE
from chubby.storage.snapshot_format import SnapshotHeader
from chubby.storage.snapshot_reader import Load, exhaust
from chubby.types.identity import ReplicaId

LOCK: Final = "LOCK"
CURRENT: Final = "current"
FORMING: Final = "forming"
ASIDE: Final = "rotten-"


class Condition(enum.Enum):
    """What a data directory is, as far as a look at it tells."""

    EMPTY = "empty"
    FORMATTED = "formatted"
    ROTTEN = "rotten"
    FOREIGN = "foreign"


class Inspection(msgspec.Struct, frozen=True):
    """The condition, why (for ROTTEN and FOREIGN), and whose it is (for FORMATTED)."""

    condition: Condition
    reason: str = ""
    identity: Identity | None = None


class DataDirectory:
    """A data directory, locked by this process from construction to `close`."""

    def __init__(self, files: Files, replica: ReplicaId | None = None) -> None:
        """`replica`: whose directory it ought to be, from the configuration, if that is known.

        Raises `StorageFailed` if another process has it.
        """
        self._files = files
        self._replica = replica
        self._life = Within(files, CURRENT)
        with disk_errors(f"locking {files.describe(LOCK)}"):
            self._lock = files.lock(LOCK)

    def __enter__(self) -> DataDirectory:
        """Nothing beyond construction."""
        return self

    def __exit__(self, *_: object) -> None:
        """`close`."""
        self.close()

    def close(self) -> None:
        """Let another process have it. Harmless when repeated."""
        self._lock.release()

    def inspect(self) -> Inspection:
        """Look without changing anything. Raises `StorageFailed` if the disk refuses."""
        with disk_errors(f"looking into {self._files.describe(ROOT)}"):
            names = self._files.names(ROOT)
            if CURRENT in names:
                return self._inspect_current()
        aside = _aside(names)
        if aside:
            return Inspection(
                Condition.ROTTEN, f"the life before was put aside to {aside[-1]}, and a new one was not begun"
            )
        strange = [name for name in names if not (name in (LOCK, FORMING, "lost+found") or name.startswith("."))]
        if strange:
            place = self._files.describe(ROOT)
            return Inspection(Condition.FOREIGN, f"{place} holds what is none of ours: {', '.join(strange[:5])}")
        return Inspection(Condition.EMPTY)

    def format(
        self,
        identity: Identity,
        configuration: Configuration,
        genesis: Iterable[bytes],
        *,
        machine_version: int = 1,
        time_ms: int = 0,
        segment_size: int = SEGMENT_SIZE,
    ) -> None:
        """Begin a first life that votes at once: `genesis` is the machine at slot 0, in slices.

        Only an EMPTY directory is formatted; anything else raises `StorageFailed`.
        """
        found = self.inspect()
        if found.condition is not Condition.EMPTY:
            raise StorageFailed(
                f"{self._files.describe(ROOT)} is {found.condition.value}; only an empty directory is formatted. "
                f"{found.reason}".rstrip()
            )
        header = SnapshotHeader(identity.cell, 0, configuration, machine_version, time_ms)
        with disk_errors(f"formatting {self._files.describe(ROOT)}"):
            self._form(identity, header, genesis, segment_size)
            self._begin()

    def become_new_incarnation(self, identity: Identity, *, segment_size: int = SEGMENT_SIZE) -> None:
        """Put what is there aside to `rotten-<n>` and begin a blank life, which neither voted nor has a snapshot.

        Of the lives put aside the last one is kept. Raises `ForeignData` if the directory is FOREIGN, `StorageFailed`.
        If a crash cuts it short the directory is as before, or ROTTEN: repeat it.
        """
        found = self.inspect()
        if found.condition is Condition.FOREIGN:
            raise ForeignData(found.reason)
        assert found.identity is None or found.identity.incarnation != identity.incarnation, "a new life has a new name"
        with disk_errors(f"starting a new incarnation in {self._files.describe(ROOT)}"):
            self._form(identity, None, (), segment_size)
            self._put_aside()
            self._begin()
            for name in _aside(self._files.names(ROOT))[:-1]:
                remove_tree(self._files, name)

    def open(self, load: Load = exhaust, *, segment_size: int = SEGMENT_SIZE) -> OpenedDirectory:
        """Take the life up again. Whatever the result rests on is durable when this returns.

        `load` is given the slices of the newest snapshot, if there is one; if that one turns out to be rotten, it is
        called again with those of the one before, and only what the last call made of them counts.

        Raises `CorruptData` if vote state is rotten, incomplete or not there at all, having changed nothing
        (`become_new_incarnation` goes on from there); `ForeignData` if the directory is FOREIGN; `StorageFailed` if
        the disk refuses.
        """
        found = self.inspect()
        if found.condition is Condition.FOREIGN:
            raise ForeignData(found.reason)
        if found.identity is None:
            place = self._files.describe(ROOT)
            raise CorruptData(f"{place} is {found.condition.value}: {found.reason or 'it has never been formatted'}")
        with disk_errors(f"opening {self._files.describe(CURRENT)}"):
            self._files.sync_directory(ROOT)
            opened = take_up(self._life, found.identity, load, segment_size)
            remove_tree(self._files, FORMING)
            return opened

    def _inspect_current(self) -> Inspection:
        try:
            identity = read_identity(self._life)
        except CorruptData as error:
            return Inspection(Condition.ROTTEN, str(error))
        except ForeignData as error:
            return Inspection(Condition.FOREIGN, str(error))
        if self._replica is not None and identity.replica != self._replica:
            place = self._files.describe(join(CURRENT, IDENTITY))
            return Inspection(
                Condition.FOREIGN, f"{place}: this is the directory of replica {identity.replica}, not {self._replica}"
            )
        return Inspection(Condition.FORMATTED, identity=identity)

    def _form(
        self, identity: Identity, header: SnapshotHeader | None, genesis: Iterable[bytes], segment_size: int
    ) -> None:
        """Make a complete life in `forming`."""
        remove_tree(self._files, FORMING)
        self._files.make_directory(FORMING)
        form(Within(self._files, FORMING), identity, header, genesis, segment_size)

    def _put_aside(self) -> None:
        """Give the current life, if there is one, its number among those put aside."""
        names = self._files.names(ROOT)
        if CURRENT not in names:
            return
        number = max(map(_number, _aside(names)), default=0) + 1
        self._files.rename(CURRENT, f"{ASIDE}{number}")
        # Durable before the new life takes its place: otherwise a crash could leave the new one's name alone on disk.
        self._files.sync_directory(ROOT)

    def _begin(self) -> None:
        """Let the life in `forming` be the current one."""
        self._files.rename(FORMING, CURRENT)
        self._files.sync_directory(ROOT)


def _aside(names: Iterable[str]) -> list[str]:
    """The lives put aside among `names`, oldest first."""
    return sorted((name for name in names if name.startswith(ASIDE) and name[len(ASIDE) :].isdigit()), key=_number)


def _number(name: str) -> int:
    return int(name[len(ASIDE) :])
