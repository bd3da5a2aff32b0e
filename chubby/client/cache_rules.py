"""Which calls the cache answers, which keys a call changes, which entries an answer fills (DESIGN §5 Invalidate first).

| call                              | answered from             | drops before it is sent      | fills             |
|-----------------------------------|---------------------------|------------------------------|-------------------|
| Open, never creating              | absence                   | –                            | node, absence     |
| Open, may create                  | –                         | node, parent's names, parent | node              |
| GetStat, GetContentsAndStat       | node                      | –                            | node              |
| ReadDir                           | names + each child's node | –                            | names, children   |
| SetContents, SetAcl, SetAttributes| –                         | node                         | node              |
| Delete, Close of an ephemeral     | –                         | node and names, of all above | –                 |
| Transact                          | –                         | what either branch changes   | –                 |

Deleting the last thing below an ephemeral directory nobody has open deletes that directory too, hence "all above it".
A sequential node's name is not known before the answer: every name with its prefix goes, and nothing older refills.
The parent of what is made becomes a directory: a copy of its metadata that says so already stays, any other goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chubby.client.cache import Cache, NodeEntry
from chubby.client.handle_table import HandleRecord, HandleTable
from chubby.errors import ErrorCode, Failure
from chubby.paths import ROOT, ancestors, parent
from chubby.types.calls import (
    Call,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetStat,
    Open,
    ReadDir,
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.identity import CallNumber, HandleNumber
from chubby.types.results import Answer, Contents, Listing, Opened, StatResult
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.time import Instant
from chubby.types.transaction import Create, Operation, Read, Remove

_FILLING: Final = frozenset({Open, GetStat, GetContentsAndStat, ReadDir, SetContents, SetAcl, SetAttributes})
_ANSWERED: Final = frozenset({Open, GetStat, GetContentsAndStat, ReadDir})


def wants_caching(call: Call) -> bool:
    """Whether the answer to `call` can fill the cache at all."""
    return type(call) in _FILLING


def answer_from(cache: Cache, handles: HandleTable, call: Call, now: Instant) -> Answer | None:
    """The answer to `call` if the cache has it, from any thread. None: ask the master.

    `now` must have been read after the caller asked.
    """
    kind = type(call)
    if kind not in _ANSWERED:
        return None
    if isinstance(call, Open):
        return _absence(cache, call, now)
    assert isinstance(call, GetContentsAndStat | GetStat | ReadDir)
    if isinstance(call, ReadDir):
        record = handles.get(call.handle)
        if record is None or not record.reads_cache:
            return None
        return cache.listing(record.path, record.instance, call.after, call.limit, now)
    entry = node_of(cache, handles, call.handle, now)
    if entry is None or entry.stat is None:
        return None
    if kind is GetStat:
        return StatResult(entry.stat)
    return None if entry.contents is None else Contents(entry.contents, entry.stat)


def node_of(cache: Cache, handles: HandleTable, handle: HandleNumber, now: Instant) -> NodeEntry | None:
    """What the cache knows of the node that `handle` is open on, from any thread; None: ask the master.

    `now` must have been read after the caller asked. Its metadata, at least, is there.
    """
    record = handles.get(handle)
    if record is None or not record.reads_cache:
        return None
    entry = cache.node(record.path, now)
    if entry is None or entry.stat is None or entry.stat.instance != record.instance:
        return None
    return entry


def _absence(cache: Cache, call: Open, now: Instant) -> Failure | None:
    if call.create is not CreateMode.NEVER:
        return None
    entry = cache.node(call.path, now)
    if entry is None or entry.stat is not None:
        return None
    return Failure(ErrorCode.NO_NODE, f"{call.path}: no such node")


def drop_before(cache: Cache, call: Call, record: HandleRecord | None, number: CallNumber) -> None:
    """Drop one's own copies of what `call` may change. To be done before it is sent, under the number it goes by."""
    if isinstance(call, Open):
        if call.create is not CreateMode.NEVER:
            _drop_created(cache, number, call.path, call.sequential)
    elif isinstance(call, Transact):
        for operation in (*call.then, *call.otherwise):
            _drop_operation(cache, number, operation)
    elif record is None:
        return
    elif isinstance(call, SetContents | SetAcl | SetAttributes):
        cache.drop_own(number, (CacheKey(record.path, CacheKind.NODE),))
    elif isinstance(call, Delete) or (isinstance(call, Close) and record.ephemeral):
        cache.drop_own(number, tuple(_deleted(record.path)))


def _drop_operation(cache: Cache, number: CallNumber, operation: Operation) -> None:
    if isinstance(operation, Create):
        _drop_created(cache, number, operation.path, operation.sequential)
    elif isinstance(operation, Remove):
        cache.drop_own(number, tuple(_deleted(operation.path)))
    elif not isinstance(operation, Read):
        cache.drop_own(number, (CacheKey(operation.path, CacheKind.NODE),))


def _drop_created(cache: Cache, number: CallNumber, path: str, sequential: bool) -> None:
    if sequential:
        cache.drop_own_prefix(number, path)
    keys = [CacheKey(path, CacheKind.NODE)]
    if path != ROOT:
        above = parent(path)
        keys.append(CacheKey(above, CacheKind.CHILDREN))
        if not cache.has_directory(above):
            keys.append(CacheKey(above, CacheKind.NODE))
    cache.drop_own(number, tuple(keys))


def _deleted(path: str) -> Iterator[CacheKey]:
    for gone in (path, *ancestors(path)):
        yield CacheKey(gone, CacheKind.NODE)
        yield CacheKey(gone, CacheKind.CHILDREN)


def fill_from(cache: Cache, call: Call, record: HandleRecord | None, number: CallNumber, answer: Answer) -> None:
    """Remember what a cacheable `answer` to `call` says, unless an own change was begun after the call."""
    if isinstance(call, Open):
        _fill_open(cache, call, number, answer)
    elif record is None or not cache.permits(record.path, number):
        return
    elif isinstance(answer, Contents):
        cache.put_node(record.path, answer.stat, answer.contents)
    elif isinstance(answer, StatResult):
        cache.put_node(record.path, answer.stat, call.contents if isinstance(call, SetContents) else None)
    elif isinstance(answer, Listing) and isinstance(call, ReadDir):
        _fill_listing(cache, call, record, number, answer)


def _fill_open(cache: Cache, call: Open, number: CallNumber, answer: Answer) -> None:
    if isinstance(answer, Opened):
        if cache.permits(answer.path, number):
            cache.put_node(answer.path, answer.stat, call.contents if answer.created else None)
    elif _is_absence(call, answer) and cache.permits(call.path, number):
        cache.put_absent(call.path)


def _is_absence(call: Open, answer: Answer) -> bool:
    """Whether `answer` says that the very node is not there (an Open that creates may miss its parent instead)."""
    return isinstance(answer, Failure) and answer.code is ErrorCode.NO_NODE and call.create is CreateMode.NEVER


def _fill_listing(cache: Cache, call: ReadDir, record: HandleRecord, number: CallNumber, answer: Listing) -> None:
    """A page fills the children it may; the names count only if it may fill all of them.

    A name is left out of nothing: if an own change of one child is under way, the names stay and that child's metadata
    is asked for again.
    """
    prefix = record.path if record.path == ROOT else record.path + "/"
    for entry in answer.entries:
        if cache.permits(prefix + entry.name, number):
            cache.put_node(prefix + entry.name, entry.stat)
    names = tuple(entry.name for entry in answer.entries)
    cache.put_children(record.path, record.instance, call.after, names, answer.more)
