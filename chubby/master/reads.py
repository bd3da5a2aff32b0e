"""Calls that only read a node: answered at once, from the state as it is (DESIGN §5, last line).

The master lease is live when they are planned (`calls` sees to that), and the state is that after everything applied
so far, hence from the call's arrival or later. What the client caches of a listing is the names and the metadata of
each child, so all of that is registered.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.master.desk import Desk, Settled
from chubby.master.footprints import children_key, node_key
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank
from chubby.master.session import Session
from chubby.paths import ROOT
from chubby.types.calls import GetContentsAndStat, GetLockInfo, GetStat, Mode, ReadDir
from chubby.types.results import Contents, Listing, LockInfoResult, StatResult
from chubby.types.stream import CacheKey


def node_footprint(desk: Desk, session: Session, call: GetContentsAndStat | GetStat) -> Footprint:
    """The node the handle is bound to."""
    path = desk.path_of(session, call.handle)
    return Footprint(Rank.READ, call.handle, () if path is None else (node_key(path),))


def get_contents_and_stat(desk: Desk, session: Session, call: GetContentsAndStat, at: Moment) -> Settled:
    """The whole content and the metadata."""
    found = desk.handle_of(session, call.handle, Mode.READ)
    if isinstance(found, Failure):
        return Settled(found)
    handle, node = found
    return Settled(Contents(node.contents, node.stat), (node_key(handle.path),))


def get_stat(desk: Desk, session: Session, call: GetStat, at: Moment) -> Settled:
    """The metadata, for a handle of any mode."""
    found = desk.handle_of(session, call.handle)
    if isinstance(found, Failure):
        return Settled(found)
    handle, node = found
    return Settled(StatResult(node.stat, desk.machine.revision), (node_key(handle.path),))


def read_dir_footprint(desk: Desk, session: Session, call: ReadDir) -> Footprint:
    """The names below the node."""
    path = desk.path_of(session, call.handle)
    return Footprint(Rank.READ, call.handle, () if path is None else (children_key(path),))


def read_dir(desk: Desk, session: Session, call: ReadDir, at: Moment) -> Settled:
    """One page of children."""
    found = desk.handle_of(session, call.handle, Mode.READ)
    if isinstance(found, Failure):
        return Settled(found)
    if call.limit < 0:
        return Settled(Failure(ErrorCode.BAD_ARGUMENT, "a page has no negative length"))
    handle, _ = found
    entries, more = desk.machine.children(handle.path, call.after, call.limit)
    prefix = handle.path if handle.path == ROOT else handle.path + "/"
    filled: list[CacheKey] = [children_key(handle.path)]
    filled.extend(node_key(prefix + entry.name) for entry in entries)
    return Settled(Listing(entries, more), tuple(filled))


def lock_footprint(desk: Desk, session: Session, call: GetLockInfo) -> Footprint:
    """The lock of the node."""
    path = desk.path_of(session, call.handle)
    return Footprint(Rank.READ, call.handle, () if path is None else (path,))


def get_lock_info(desk: Desk, session: Session, call: GetLockInfo, at: Moment) -> Settled:
    """The state of the lock, never cached."""
    found = desk.handle_of(session, call.handle)
    if isinstance(found, Failure):
        return Settled(found)
    handle, _ = found
    info = desk.machine.lock(handle.path)
    assert info is not None, "the node was there a moment ago"
    return Settled(LockInfoResult(info))
