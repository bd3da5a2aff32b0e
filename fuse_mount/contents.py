"""The content of one node as this mount serves it: what the cell has, and what was written over it here. PURE.

All descriptors of this mount see the same: what is *committed*, what is *under way* to the cell over that, and what was
written *since* over both. Written bytes go to the cell whole, when a descriptor is flushed (session semantics, as AFS
has them). Which is why a file changes only in one of these ways:

| written since the last commit was planned | how it is committed                 | if somebody else wrote meanwhile |
|-------------------------------------------|-------------------------------------|----------------------------------|
| appended, and nothing else                | if the generation is still the same | read again, append to that       |
| anything else                             | in any case                         | the last close wins              |

::

    write, append, truncate ──▶ since ──plan──▶ under way ──committed──▶ committed ◀── adopt
                                  ▲                 │  └────failed────▶ lost, and everyone who wrote is told, once
                                  └────returned─────┘

News may tell of our own commit before the cell has answered it. What was appended is then not shown a second time; but
whether it was carried out, only the answer says.
"""

from __future__ import annotations

import errno

import msgspec


class Version(msgspec.Struct, frozen=True, array_like=True):
    """What a content was: of which instance of the node, and which generation of it."""

    instance: int
    generation: int


class Commit(msgspec.Struct, frozen=True):
    """What to write to the cell. `generation`: only if that is still the one there; None: in any case."""

    contents: bytes
    generation: int | None


class _Written:
    """What was written from some moment on: `tail` is what was appended, None if something else was done, too."""

    __slots__ = ("cut", "tail", "wrote")

    def __init__(self) -> None:
        self.tail: bytearray | None = bytearray()
        self.wrote: set[int] = set()
        self.cut: set[int] = set()

    def by(self, file: int) -> bool:
        return file in self.wrote or file in self.cut

    def then(self, later: _Written) -> None:
        """`later` was written after it."""
        self.tail = None if self.tail is None or later.tail is None else self.tail + later.tail
        self.wrote |= later.wrote
        self.cut |= later.cut


class Content:
    """See the module. Not for several threads at once. Lengths are in bytes.

    Generation 0: nobody has asked the cell yet what it has, for it is to be cut to nothing anyway.

    Invariants: a commit is under way exactly while there is something written that belongs to it; without anything
    written, what is shown is what is committed.
    """

    def __init__(self, version: Version, contents: bytes) -> None:
        self.instance = version.instance
        self.generation = version.generation
        self.changes = 0
        """Counts how often something else was shown."""
        self._committed = contents
        self._shown: bytes | bytearray = contents
        self._commit: Commit | None = None
        self._under_way: _Written | None = None
        self._since: _Written | None = None
        self._failures: dict[int, OSError] = {}

    # ----------------------------------------------------------------------------------------------------- reading

    @property
    def version(self) -> Version | None:
        """What is shown; None while something is written that is not committed, which has no version yet."""
        return Version(self.instance, self.generation) if self._since is self._under_way is None else None

    @property
    def overwritten(self) -> bool:
        """Whether nothing is shown of what the cell has."""
        return any(written is not None and written.tail is None for written in (self._under_way, self._since))

    @property
    def committed(self) -> tuple[bytes, int]:
        """The newest that is known of the cell: contents and generation."""
        return self._committed, self.generation

    @property
    def size(self) -> int:
        """How long it is."""
        return len(self._shown)

    def read(self, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset` on."""
        return bytes(self._shown[offset : offset + size])

    # -------------------------------------------------------------------------------------------------------- news

    def adopt(self, contents: bytes, generation: int) -> bool:
        """This is in the cell now, unless it is older than what we know. Whether something else is shown than before.

        What was appended here goes to the new end; anything else that was written here stays, and hides it.
        """
        if generation <= self.generation:
            return False
        self._committed, self.generation = contents, generation
        return self._show()

    def move(self, version: Version, contents: bytes) -> None:
        """From now on this is the content of another node, in which these are committed."""
        self.instance, self.generation, self._committed = version.instance, version.generation, contents
        self._show()

    def _show(self) -> bool:
        """Show what is committed and what was written over it. Whether something else may be shown than before."""
        if self.overwritten:
            return False
        shown = self._committed
        if self._under_way is not None and not self._seems_done():
            shown += self._tail(self._under_way)
        if self._since is not None:
            shown += self._tail(self._since)
        self.changes += shown != self._shown
        self._shown = shown
        return True

    def _seems_done(self) -> bool:
        """Whether what is committed has in it what is under way."""
        assert self._commit is not None, "something is under way"
        return self.generation != self._commit.generation and self._committed.startswith(self._commit.contents)

    @staticmethod
    def _tail(written: _Written) -> bytes:
        assert written.tail is not None, "it was appended"
        return bytes(written.tail)

    # ----------------------------------------------------------------------------------------------------- writing

    def write(self, file: int, data: bytes, offset: int, limit: int) -> None:
        """Put `data` at `offset`; a gap before it reads as zeros. Raises OSError EFBIG beyond `limit`."""
        if not data:
            return
        _check(offset + len(data), limit)
        shown = self._changing()
        shown.extend(bytes(max(offset - len(shown), 0)))
        shown[offset : offset + len(data)] = data
        written = self._writing()
        written.tail = None
        written.wrote.add(file)

    def append(self, file: int, data: bytes, limit: int) -> None:
        """Put `data` at the end, wherever that will be when it is committed. Raises OSError EFBIG beyond `limit`."""
        if not data:
            return
        _check(self.size + len(data), limit)
        self._changing().extend(data)
        written = self._writing()
        if written.tail is not None:
            written.tail.extend(data)
        written.wrote.add(file)

    def truncate(self, file: int, length: int, limit: int) -> None:
        """Set the length; what is added reads as zeros. Raises OSError EFBIG beyond `limit`.

        Even if it seems to have that length already: the cell may know better.
        """
        _check(length, limit)
        shown = self._changing()
        del shown[length:]
        shown.extend(bytes(length - len(shown)))
        written = self._writing()
        written.tail = None
        written.cut.add(file)

    def _changing(self) -> bytearray:
        self.changes += 1
        if not isinstance(self._shown, bytearray):
            self._shown = bytearray(self._shown)
        return self._shown

    def _writing(self) -> _Written:
        if self._since is None:
            self._since = _Written()
        return self._since

    # -------------------------------------------------------------------------------------------------- committing

    def wrote(self, file: int) -> bool:
        """Whether bytes that `file` wrote wait to be committed, or are under way."""
        return any(written is not None and file in written.wrote for written in (self._under_way, self._since))

    def owes(self, file: int) -> bool:
        """Whether anything that `file` did waits to be committed or is under way, a new length included."""
        return any(written is not None and written.by(file) for written in (self._under_way, self._since))

    def plan(self) -> Commit | None:
        """What to write to the cell now: it is under way from here on. None: nothing is to be written."""
        assert self._under_way is None, "one commit at a time"
        if self._since is None:
            return None
        generation = self.generation if self._since.tail is not None else None
        self._commit = Commit(bytes(self._shown), generation)
        self._under_way, self._since = self._since, None
        return self._commit

    def done(self, generation: int) -> None:
        """The cell has taken what is under way, as this generation. What was written since stays to be committed."""
        assert self._commit is not None, "something is under way"
        contents = self._commit.contents
        self._commit = self._under_way = None
        if generation > self.generation:
            self._committed, self.generation = contents, generation
        self._show()

    def returned(self) -> None:
        """What is under way was not carried out, and is to be planned again."""
        assert self._under_way is not None, "something is under way"
        written, self._commit, self._under_way = self._under_way, None, None
        if self._since is not None:
            written.then(self._since)
        self._since = written
        self._show()

    def failed(self, reason: OSError) -> None:
        """What was written is lost: everyone who wrote will be told."""
        for written in (self._under_way, self._since):
            if written is not None:
                self._failures.update(dict.fromkeys(written.wrote | written.cut, reason))
        self._commit = self._under_way = self._since = None
        self._show()

    def failure(self, file: int) -> OSError | None:
        """Why what `file` wrote was lost, if it was. Told once."""
        return self._failures.pop(file, None)

    def forget(self, file: int) -> None:
        """`file` is closed for good, and asks no more. What it wrote stays to be committed by others, if any."""
        self._failures.pop(file, None)
        for written in (self._under_way, self._since):
            if written is not None:
                written.wrote.discard(file)
                written.cut.discard(file)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise OSError(errno.EFBIG, f"a file has at most {limit} bytes")
