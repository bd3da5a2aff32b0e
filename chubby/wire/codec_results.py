"""Answers, to and from the oneof of `Reply`."""

from __future__ import annotations

from typing import Final

from chubby.errors import Failure
from chubby.types.nodes import DirEntry
from chubby.types.results import (
    Answer,
    Contents,
    Done,
    Listing,
    LockGranted,
    LockInfoResult,
    Locks,
    Opened,
    SequencerResult,
    SessionInfo,
    Sessions,
    StatResult,
    Transacted,
    Watching,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import content, member, natural, naturals, present, sequencer, ticket
from chubby.wire.choice import Choice, row
from chubby.wire.codec_nodes import (
    LOCK_MODES,
    lock_mode,
    put_failure,
    put_lock_info,
    put_stat,
    take_failure,
    take_lock_info,
    take_stat,
)
from chubby.wire.codec_transaction import put_transaction_result, take_transaction_result


def _put_done(message: pb.Done, result: Done) -> None:
    message.revision = result.revision


def _take_done(message: pb.Done) -> Done:
    return Done(natural(message.revision, "revision"))


def _put_opened(message: pb.Opened, result: Opened) -> None:
    message.ticket = ticket(result.ticket)
    message.path = result.path
    message.created = result.created
    put_stat(message.stat, result.stat)


def _take_opened(message: pb.Opened) -> Opened:
    present(message.HasField("stat"), "Opened.stat")
    return Opened(ticket(message.ticket), message.path, message.created, take_stat(message.stat))


def _put_contents(message: pb.Contents, result: Contents) -> None:
    message.contents = content(result.contents)
    put_stat(message.stat, result.stat)


def _take_contents(message: pb.Contents) -> Contents:
    present(message.HasField("stat"), "Contents.stat")
    return Contents(content(message.contents), take_stat(message.stat))


def _put_stat_result(message: pb.StatResult, result: StatResult) -> None:
    put_stat(message.stat, result.stat)
    message.revision = result.revision


def _take_stat_result(message: pb.StatResult) -> StatResult:
    present(message.HasField("stat"), "StatResult.stat")
    return StatResult(take_stat(message.stat), natural(message.revision, "revision"))


def _put_listing(message: pb.Listing, result: Listing) -> None:
    for entry in result.entries:
        line = message.entries.add()
        line.name = entry.name
        put_stat(line.stat, entry.stat)
    message.more = result.more


def _take_listing(message: pb.Listing) -> Listing:
    return Listing(tuple([_take_entry(entry) for entry in message.entries]), message.more)


def _take_entry(message: pb.DirEntry) -> DirEntry:
    present(message.HasField("stat"), "DirEntry.stat")
    return DirEntry(message.name, take_stat(message.stat))


def _put_lock_granted(message: pb.LockGranted, result: LockGranted) -> None:
    message.token = result.token
    message.generation = result.generation


def _take_lock_granted(message: pb.LockGranted) -> LockGranted:
    return LockGranted(natural(message.token, "token"), natural(message.generation, "generation"))


def _put_lock_info_result(message: pb.LockInfoResult, result: LockInfoResult) -> None:
    put_lock_info(message.info, result.info)


def _take_lock_info_result(message: pb.LockInfoResult) -> LockInfoResult:
    present(message.HasField("info"), "LockInfoResult.info")
    return LockInfoResult(take_lock_info(message.info))


def _put_sequencer(message: pb.SequencerResult, result: SequencerResult) -> None:
    message.sequencer = sequencer(result.sequencer)
    message.path = result.path
    message.mode = lock_mode(result.mode)
    message.generation = result.generation
    message.token = result.token


def _take_sequencer(message: pb.SequencerResult) -> SequencerResult:
    return SequencerResult(
        sequencer(message.sequencer),
        message.path,
        member(LOCK_MODES, message.mode, "SequencerResult.mode"),
        natural(message.generation, "generation"),
        natural(message.token, "token"),
    )


def _put_transacted(message: pb.Transacted, result: Transacted) -> None:
    put_transaction_result(message.result, result.result)


def _take_transacted(message: pb.Transacted) -> Transacted:
    present(message.HasField("result"), "Transacted.result")
    return Transacted(take_transaction_result(message.result))


def _put_watching(message: pb.Watching, result: Watching) -> None:
    message.revision = result.revision


def _take_watching(message: pb.Watching) -> Watching:
    return Watching(natural(message.revision, "revision"))


def _put_locks(message: pb.Locks, result: Locks) -> None:
    for info in result.locks:
        put_lock_info(message.locks.add(), info)
    message.more = result.more


def _take_locks(message: pb.Locks) -> Locks:
    return Locks(tuple([take_lock_info(info) for info in message.locks]), message.more)


def _put_sessions(message: pb.Sessions, result: Sessions) -> None:
    for session in result.sessions:
        line = message.sessions.add()
        line.session = session.session
        line.principal = session.principal
        line.lease_left = session.lease_left
        line.connected = session.connected
        line.handles = session.handles
        line.locks = session.locks
        line.ephemerals = session.ephemerals
        line.cached = session.cached
    message.more = result.more


def _take_sessions(message: pb.Sessions) -> Sessions:
    return Sessions(tuple([_take_session(session) for session in message.sessions]), message.more)


def _take_session(message: pb.SessionInfo) -> SessionInfo:
    naturals("SessionInfo", message.session, message.handles, message.locks, message.ephemerals, message.cached)
    return SessionInfo(
        message.session,
        message.principal,
        message.lease_left,
        message.connected,
        message.handles,
        message.locks,
        message.ephemerals,
        message.cached,
    )


ANSWERS: Final[Choice[pb.Reply, Answer]] = Choice(
    pb.Reply.DESCRIPTOR,
    "answer",
    Answer,
    (
        row(Failure, "failure", lambda reply: reply.failure, put_failure, take_failure),
        row(Done, "done", lambda reply: reply.done, _put_done, _take_done),
        row(Opened, "opened", lambda reply: reply.opened, _put_opened, _take_opened),
        row(Contents, "contents", lambda reply: reply.contents, _put_contents, _take_contents),
        row(StatResult, "stat", lambda reply: reply.stat, _put_stat_result, _take_stat_result),
        row(Listing, "listing", lambda reply: reply.listing, _put_listing, _take_listing),
        row(LockGranted, "lock_granted", lambda reply: reply.lock_granted, _put_lock_granted, _take_lock_granted),
        row(
            LockInfoResult,
            "lock_info",
            lambda reply: reply.lock_info,
            _put_lock_info_result,
            _take_lock_info_result,
        ),
        row(SequencerResult, "sequencer", lambda reply: reply.sequencer, _put_sequencer, _take_sequencer),
        row(Transacted, "transacted", lambda reply: reply.transacted, _put_transacted, _take_transacted),
        row(Watching, "watching", lambda reply: reply.watching, _put_watching, _take_watching),
        row(Locks, "locks", lambda reply: reply.locks, _put_locks, _take_locks),
        row(Sessions, "sessions", lambda reply: reply.sessions, _put_sessions, _take_sessions),
    ),
)
