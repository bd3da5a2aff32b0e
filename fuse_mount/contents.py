"""The content of one node as this mount serves it: what the cell has, and what was written over it here.

All descriptors of this mount see the same: the *buffer* while something written is under way, else what is
*committed*. Written bytes gather and go to the cell whole, when a descriptor is flushed (session semantics, as AFS has
them). Which is why a file changes only in one of these ways:

| written since the last commit | how it is committed                 | if somebody else wrote meanwhile |
|-------------------------------|-------------------------------------|----------------------------------|
| appended, and nothing else    | if the generation is still the same | read again, append to that       |
| anything else                 | in any case                         | the last close wins              |

A commit that fails takes the buffer with it. Everyone who had written to it is told, once.
"""

from __future__ import annotations

import errno

import msgspec


class Version(msgspec.Struct, frozen=True, array_like=True):
    """What a content was: of which instance of the node, and which generation of it."""

    instance: int
    generation: int


class Commit(msgspec.Struct, frozen=True):
    """What to write to the cell. `generation`: only if that is still the one there. `upto` counts what it covers."""

    contents: bytes
    generation: int | None
    upto: int


class Content:
    """See the module. Not for several threads at once; `limit` is how long it may become, in bytes.

    Generation 0: nobody has asked the cell yet what it has, for it is to be cut to nothing anyway.

    Invariant: `_appended` is not None exactly while the buffer is the committed bytes and what was appended.
    """

    def __init__(self, version: Version, contents: bytes, limit: int) -> None:
        self.instance = version.instance
        self.generation = version.generation
        self._committed = contents
        self._limit = limit
        self._buffer: bytearray | None = None
        self._appended: list[tuple[int, bytes]] | None = None
        self._changes = 0
        self._wrote: dict[int, int] = {}  # file: its last change that is not committed yet; bytes were written
        self._cut: dict[int, int] = {}  # the same; its length was set
        self._failures: dict[int, OSError] = {}
        self._unknown: Commit | None = None

    # ----------------------------------------------------------------------------------------------------- reading

    @property
    def version(self) -> Version | None:
        """What is shown; None while it is the buffer, which has no version yet."""
        return None if self._buffer is not None else Version(self.instance, self.generation)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._committed if self._buffer is None else self._buffer)

    def read(self, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset` on."""
        shown = self._committed if self._buffer is None else self._buffer
        return bytes(shown[offset : offset + size])

    def snapshot(self) -> bytes:
        """All of it."""
        return self._committed if self._buffer is None else bytes(self._buffer)

    def adopt(self, contents: bytes, generation: int) -> bool:
        """This is in the cell now, unless it is older than what we know. Whether something else is shown than before.

        What was appended here goes to the new end; anything else that was written here stays, and hides it.
        """
        if generation <= self.generation:
            return False
        unknown, self._unknown = self._unknown, None
        self._committed, self.generation = contents, generation
        if unknown is not None and contents.startswith(unknown.contents):
            self._settled(unknown.upto)  # it was carried out; at most somebody appended after it
        if self._appended is not None:
            self._rebase(self._appended)
            return True
        return self._buffer is None

    def move(self, version: Version) -> None:
        """What is committed is another node's now, under this version."""
        self.instance, self.generation = version.instance, version.generation

    # ----------------------------------------------------------------------------------------------------- writing

    def write(self, file: int, data: bytes, offset: int) -> None:
        """Put `data` at `offset`; a gap before it reads as zeros. Raises OSError EFBIG beyond the limit."""
        self._check(offset + len(data))
        buffer = self._changing()
        self._appended = None
        if offset > len(buffer):
            buffer.extend(bytes(offset - len(buffer)))
        buffer[offset : offset + len(data)] = data
        self._wrote[file] = self._changes

    def append(self, file: int, data: bytes) -> None:
        """Put `data` at the end, wherever that will be when it is committed. Raises OSError EFBIG beyond the limit."""
        self._check(self.size + len(data))
        if self._buffer is None:
            self._appended = []
        self._changing().extend(data)
        if self._appended is not None:
            self._appended.append((self._changes, data))
        self._wrote[file] = self._changes

    def truncate(self, file: int, length: int) -> None:
        """Set the length; what is added reads as zeros. Raises OSError EFBIG beyond the limit."""
        self._check(length)
        if length == self.size and self._buffer is None and self.generation:
            return
        buffer = self._changing()
        self._appended = None
        del buffer[length:]
        buffer.extend(bytes(length - len(buffer)))
        self._cut[file] = self._changes

    def _rebase(self, appended: list[tuple[int, bytes]]) -> None:
        self._buffer = bytearray(self._committed)
        for _, data in appended:
            self._buffer += data

    def _changing(self) -> bytearray:
        self._changes += 1
        if self._buffer is None:
            self._buffer = bytearray(self._committed)
        return self._buffer

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise OSError(errno.EFBIG, f"a file has at most {self._limit} bytes")

    # -------------------------------------------------------------------------------------------------- committing

    def wrote(self, file: int) -> bool:
        """Whether bytes that `file` wrote wait to be committed."""
        return file in self._wrote

    def owes(self, file: int) -> bool:
        """Whether anything that `file` did waits to be committed, a new length included."""
        return file in self._wrote or file in self._cut

    def plan(self) -> Commit | None:
        """What to write to the cell now; None: nothing."""
        if self._buffer is None:
            return None
        generation = self.generation if self._appended is not None else None
        return Commit(bytes(self._buffer), generation, self._changes)

    def committed(self, commit: Commit, generation: int) -> None:
        """The cell has taken `commit`, as this generation. What was written since stays to be committed."""
        assert self._buffer is not None, "one commit at a time"
        if generation > self.generation:
            self._committed, self.generation = commit.contents, generation
        self._unknown = None
        self._settled(commit.upto)

    def interrupted(self, commit: Commit) -> None:
        """Nobody waited for the answer to `commit`: it may have been carried out. What was written stays.

        An appending one must not be carried out twice: whether it was, will show when the generation turns out to be
        another one.
        """
        self._unknown = commit if commit.generation is not None else None

    def _settled(self, upto: int) -> None:
        """All changes up to this one are in the cell."""
        for owing in (self._wrote, self._cut):
            for file in [file for file, change in owing.items() if change <= upto]:
                del owing[file]
        if self._changes == upto:
            self._buffer = self._appended = None
        elif self._appended is not None:
            self._appended = [entry for entry in self._appended if entry[0] > upto]
            self._rebase(self._appended)

    def failed(self, reason: OSError) -> None:
        """What was written is lost: everyone who wrote will be told."""
        for file in (*self._wrote, *self._cut):
            self._failures[file] = reason
        self.discard()

    def discard(self) -> None:
        """What was written is of no use any more: the node is gone, and nobody will miss it."""
        self._wrote.clear()
        self._cut.clear()
        self._buffer = self._appended = self._unknown = None

    def failure(self, file: int) -> OSError | None:
        """Why what `file` wrote was lost, if it was. Told once."""
        return self._failures.pop(file, None)

    def forget(self, file: int) -> None:
        """`file` is closed for good, and asks no more. What it wrote stays to be committed by others, if any."""
        for table in (self._wrote, self._cut, self._failures):
            table.pop(file, None)
