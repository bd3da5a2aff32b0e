"""The manifest: which segments and snapshots there are. What it does not name does not exist.

A file that is missing cannot say so itself, and an abandoned one cannot be told from one that counts. So one small
sealed file names them, replaced atomically, and every change of the set takes effect with that replacement:

* a new file is complete and durable *before* the manifest names it; a crash in between leaves debris;
* a file is removed *after* the manifest ceased to name it; a crash in between leaves debris;
* whatever is in the folders and not in the manifest is debris, and is removed at the next start.

It is replaced when a segment is prepared, a snapshot installed, or something pruned: never by an append.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chubby.errors import CorruptData
from chubby.paxos.configuration import Identity
from chubby.storage.files import Files
from chubby.storage.places import read_whole, replace_file
from chubby.storage.sealed import decode_payload, seal, unseal_whole
from chubby.types.identity import Incarnation, Slot

MANIFEST: Final = "MANIFEST"
_MAGIC: Final = b"CHUBMANI"


class Contents(msgspec.Struct, frozen=True):
    """What the manifest says.

    `segments` and `snapshots` ascend; the last segments may be blank. `floor`: the log reaches back to this slot, so
    no snapshot below it is of use. `sequence`: every record up to this one had been synced when this was written.
    `doubted`: what records up to this one say of slots being chosen is void, because a snapshot behind it is gone.
    `sizes`: how long each of the segments is at least, in bytes. One that was cut off behind a whole record looks like
    one that ends there; 0, or nothing, where a release wrote this that did not say.
    """

    incarnation: Incarnation
    segments: tuple[int, ...]
    snapshots: tuple[Slot, ...] = ()
    floor: Slot = 0
    sequence: int = 0
    doubted: int = 0
    sizes: tuple[int, ...] = ()

    def size(self, number: int) -> int:
        """How long segment `number` is at least."""
        return dict(zip(self.segments, self.sizes, strict=False)).get(number, 0)


class Manifest:
    """The manifest in memory, the same as on disk except while `update` runs."""

    def __init__(self, files: Files, contents: Contents) -> None:
        """`contents` are on disk, or about to be by `create`."""
        self._files = files
        self.contents = contents

    @staticmethod
    def create(files: Files, contents: Contents) -> Manifest:
        """Write the first manifest."""
        replace_file(files, MANIFEST, seal(_MAGIC, _ENCODER.encode(contents)))
        return Manifest(files, contents)

    @staticmethod
    def load(files: Files, identity: Identity) -> Manifest:
        """Read it. Raises `CorruptData` if it is missing, rotten or of another life, `ForeignData` if newer."""
        place = files.describe(MANIFEST)
        try:
            data = read_whole(files, MANIFEST)
        except FileNotFoundError as error:
            raise CorruptData(f"{place}: missing; expected the list of segments and snapshots") from error
        contents = decode_payload(_DECODER, unseal_whole(data, _MAGIC, place).payload, place)
        if contents.incarnation != identity.incarnation:
            raise CorruptData(f"{place}: of incarnation {contents.incarnation:#x}; expected {identity.incarnation:#x}")
        if not contents.segments:
            raise CorruptData(f"{place}: names no segment; expected at least one")
        return Manifest(files, contents)

    def update(
        self,
        *,
        segments: tuple[int, ...] | None = None,
        snapshots: tuple[Slot, ...] | None = None,
        floor: Slot = 0,
        sequence: int = 0,
        doubted: int = 0,
        size: int = 0,
    ) -> None:
        """Change what is named and return when that is durable. `floor`, `sequence` and `doubted` never go down; `size`
        is that of the segment which is named for the first time.
        """
        old = self.contents
        segments = old.segments if segments is None else segments
        new = Contents(
            old.incarnation,
            segments,
            old.snapshots if snapshots is None else snapshots,
            max(old.floor, floor),
            max(old.sequence, sequence),
            max(old.doubted, doubted),
            tuple(old.size(number) if number in old.segments else size for number in segments),
        )
        assert new.segments, "there is always a segment to write to"
        assert list(new.segments) == sorted(set(new.segments)), "segments ascend"
        assert list(new.snapshots) == sorted(set(new.snapshots)), "snapshots ascend"
        replace_file(self._files, MANIFEST, seal(_MAGIC, _ENCODER.encode(new)))
        self.contents = new


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Contents)
