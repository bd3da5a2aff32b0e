"""One life of a replica's vote state: the folder that holds it, made whole and opened again (DESIGN §3).

A life is IDENTITY, MANIFEST, the folder of segments and the folder of snapshots. `form` makes one complete and durable
where nobody looks for it yet; `take_up` reads one, verifies all that the result rests on, and leaves that written and
synced once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from chubby.errors import CorruptData
from chubby.paxos.configuration import Identity
from chubby.paxos.ready import Recovered
from chubby.storage.files import ROOT, Files
from chubby.storage.manifest import MANIFEST, Contents, Manifest
from chubby.storage.places import join, read_whole, remove_tree, replace_file
from chubby.storage.replay import Replayed, replay
from chubby.storage.sealed import decode_payload, seal, unseal_whole
from chubby.storage.segment import SEGMENT_SIZE, WAL, Preparation, segment_name
from chubby.storage.snapshot_format import SnapshotHeader
from chubby.storage.snapshot_reader import Load, exhaust
from chubby.storage.snapshots import ROTTEN, SNAPSHOTS, Audit, SnapshotStore, snapshot_name
from chubby.storage.wal import Wal

IDENTITY: Final = "IDENTITY"
_MAGIC: Final = b"CHUBIDEN"


class OpenedDirectory(msgspec.Struct, frozen=True):
    """A life taken up again: what Paxos goes on with, the log to append to, the snapshots, and what was odd.

    `recovered.snapshot` is the slot of the newest verified snapshot (`snapshots.reader` reads it), unless
    `recovered.configuration` is None: then this is a new incarnation that has none yet.
    """

    identity: Identity
    recovered: Recovered
    wal: Wal
    snapshots: SnapshotStore
    warnings: tuple[str, ...]

    def prune(self) -> None:
        """Remove what is no longer needed: snapshots first, then the log that only they needed.

        Raises `StorageFailed`.
        """
        self.wal.prune(self.snapshots.prune())

    def close(self) -> None:
        """Close the files; what was appended is durable."""
        self.snapshots.close()
        self.wal.close()


def form(
    life: Files,
    identity: Identity,
    header: SnapshotHeader | None,
    genesis: Iterable[bytes],
    segment_size: int = SEGMENT_SIZE,
) -> None:
    """Make a complete life in an empty folder, durable but for the folder's own name.

    It begins with a snapshot if there is a `header` for one. Raises OSError or `StorageFailed`.
    """
    for folder in (WAL, SNAPSHOTS):
        life.make_directory(folder)
    segment = Preparation(life, 1, segment_size)
    try:
        segment.fill(b"")
    finally:
        segment.file.close()
    life.sync_directory(WAL)
    manifest = Manifest.create(life, Contents(identity.incarnation, segments=(1,), sizes=(segment.size,)))
    if header is not None:
        writer = SnapshotStore(life, identity, manifest).begin(header)
        for piece in genesis:
            writer.write(piece)
        writer.finish()
    # Last, because replacing a file syncs its directory: the folders and the manifest with it.
    replace_file(life, IDENTITY, seal(_MAGIC, _ENCODER.encode(identity)))


def read_identity(life: Files) -> Identity:
    """Whose life this is. Raises `CorruptData` if that is missing or rotten, `ForeignData` if of a newer release."""
    place = life.describe(IDENTITY)
    try:
        data = read_whole(life, IDENTITY)
    except FileNotFoundError as error:
        raise CorruptData(f"{place}: missing") from error
    return decode_payload(_DECODER, unseal_whole(data, _MAGIC, place).payload, place)


def take_up(life: Files, identity: Identity, load: Load = exhaust, segment_size: int = SEGMENT_SIZE) -> OpenedDirectory:
    """Verify what the life rests on, the log and the newest snapshot, whose slices go to `load`, and go on with it.

    Raises `CorruptData` or `ForeignData`, having changed nothing, or OSError or `StorageFailed`.
    """
    # A crash of the process alone may have left the newest manifest's name in the cache. What it no longer names is
    # about to be removed for good, so the name has to be good, too.
    life.sync_directory(ROOT)
    for folder in (WAL, SNAPSHOTS):
        if not life.is_directory(folder):
            raise CorruptData(f"{life.describe(folder)}: missing; expected a directory")
    manifest = Manifest.load(life, identity)
    snapshots = SnapshotStore(life, identity, manifest)
    audit = snapshots.audit(load)
    replayed = replay(life, identity, manifest, audit.base, trust_chosen=not audit.rotten)
    if audit.rotten:
        snapshots.let_go(audit.rotten, doubted=replayed.sequence)
    # Before as well as after: a start that is cut short over and over must not fill the disk with its leavings.
    _remove_debris(life, manifest)
    wal = Wal(life, identity, manifest, replayed, segment_size)
    try:
        _remove_debris(life, manifest)
        recovered = _recovered(snapshots, audit, replayed)
    except BaseException:
        wal.close()
        raise
    return OpenedDirectory(identity, recovered, wal, snapshots, (*audit.warnings, *replayed.warnings))


def _recovered(snapshots: SnapshotStore, audit: Audit, replayed: Replayed) -> Recovered:
    """What Paxos goes on with."""
    newest = snapshots.newest()
    assert newest is None or newest.slot == audit.base, "the base is the newest snapshot that is good"
    return Recovered(
        promised=replayed.summary.promised,
        lease_bound=replayed.summary.lease_bound,
        snapshot=audit.base,
        snapshot_size=newest.size if newest is not None else 0,
        configuration=audit.header.configuration if audit.header is not None else None,
        entries=replayed.entries,
        chosen=max(audit.base, replayed.summary.chosen),
    )


def _remove_debris(life: Files, manifest: Manifest) -> None:
    """Remove, for good, what interrupted attempts left: everything the manifest does not name."""
    contents = manifest.contents
    named = {MANIFEST, IDENTITY, WAL, SNAPSHOTS}
    named.update(map(segment_name, contents.segments))
    named.update(map(snapshot_name, contents.snapshots))
    for folder in (ROOT, WAL, SNAPSHOTS):
        debris = [name for name in life.names(folder) if join(folder, name) not in named and not name.endswith(ROTTEN)]
        for name in debris:
            remove_tree(life, join(folder, name))
        if debris:
            life.sync_directory(folder)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Identity)
