"""Every kind of call and what becomes of it, in one table (DESIGN §5; paper §2.6).

A verb is three functions, see `desk`. `bind` makes of functions of one kind of call functions of any, which check that
they were given theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from chubby.master import admin, closing, locks, opening, reads, transact, watching, writes
from chubby.master.desk import Desk, Held, Plan, Settled
from chubby.master.moment import Moment
from chubby.master.pending import Footprint
from chubby.master.session import Session
from chubby.namespace.outcomes import Reply
from chubby.types import calls
from chubby.types.calls import Call

_C = TypeVar("_C", bound=msgspec.Struct)


class Verb:
    """What becomes of one kind of call."""

    __slots__ = ("footprint", "plan", "settle")

    def __init__(
        self,
        footprint: Callable[[Desk, Session, Call], Footprint],
        plan: Callable[[Desk, Session, Call, Moment], Settled | Plan | Held],
        settle: Callable[[Desk, Session, Call, Reply], Settled | Held],
    ) -> None:
        """The three functions, for any call."""
        self.footprint = footprint
        self.plan = plan
        self.settle = settle


def _no_command(desk: Desk, session: Session, call: msgspec.Struct, reply: Reply) -> Settled:
    raise AssertionError(f"{type(call).__name__} puts no command into the log")


def bind(
    kind: type[_C],
    footprint: Callable[[Desk, Session, _C], Footprint],
    plan: Callable[[Desk, Session, _C, Moment], Settled | Plan | Held],
    settle: Callable[[Desk, Session, _C, Reply], Settled | Held] = _no_command,
) -> Verb:
    """The verb of calls of that kind."""

    def any_footprint(desk: Desk, session: Session, call: Call) -> Footprint:
        assert isinstance(call, kind)
        return footprint(desk, session, call)

    def any_plan(desk: Desk, session: Session, call: Call, at: Moment) -> Settled | Plan | Held:
        assert isinstance(call, kind)
        return plan(desk, session, call, at)

    def any_settle(desk: Desk, session: Session, call: Call, reply: Reply) -> Settled | Held:
        assert isinstance(call, kind)
        return settle(desk, session, call, reply)

    return Verb(any_footprint, any_plan, any_settle)


VERBS: Final[dict[type[Call], Verb]] = {
    calls.Open: bind(calls.Open, opening.footprint, opening.open_node, opening.settle_open),
    calls.Close: bind(calls.Close, closing.footprint, closing.close, closing.settle_close),
    calls.GetContentsAndStat: bind(calls.GetContentsAndStat, reads.node_footprint, reads.get_contents_and_stat),
    calls.GetStat: bind(calls.GetStat, reads.node_footprint, reads.get_stat),
    calls.GetLockInfo: bind(calls.GetLockInfo, reads.lock_footprint, reads.get_lock_info),
    calls.ReadDir: bind(calls.ReadDir, reads.read_dir_footprint, reads.read_dir),
    calls.SetContents: bind(calls.SetContents, writes.footprint, writes.set_contents, writes.settle_change),
    calls.SetAcl: bind(calls.SetAcl, writes.footprint, writes.set_acl, writes.settle_change),
    calls.SetAttributes: bind(calls.SetAttributes, writes.footprint, writes.set_attributes, writes.settle_change),
    calls.Delete: bind(calls.Delete, writes.delete_footprint, writes.delete, writes.settle_delete),
    calls.Acquire: bind(calls.Acquire, locks.footprint, locks.acquire, locks.settle_acquire),
    calls.CancelAcquire: bind(calls.CancelAcquire, locks.footprint, locks.cancel, locks.settle_cancel),
    calls.Release: bind(calls.Release, locks.footprint, locks.release, locks.settle_release),
    calls.GetSequencer: bind(calls.GetSequencer, locks.get_sequencer_footprint, locks.get_sequencer),
    calls.SetSequencer: bind(calls.SetSequencer, locks.set_sequencer_footprint, locks.set_sequencer),
    calls.CheckSequencer: bind(calls.CheckSequencer, locks.no_footprint, locks.check_sequencer),
    calls.Transact: bind(calls.Transact, transact.footprint, transact.transact, transact.settle_transact),
    calls.Watch: bind(calls.Watch, watching.footprint, watching.watch),
    calls.Unwatch: bind(calls.Unwatch, watching.footprint, watching.unwatch),
    calls.ListLocks: bind(calls.ListLocks, admin.footprint, admin.list_locks),
    calls.ListSessions: bind(calls.ListSessions, admin.footprint, admin.list_sessions),
    calls.StepDown: bind(calls.StepDown, admin.footprint, admin.step_down),
    calls.ChangeMembers: bind(calls.ChangeMembers, admin.footprint, admin.change_members),
}
