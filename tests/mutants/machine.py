"""Mutants of the machine (`chubby.namespace`, DESIGN §4)."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

_LOCKS = "chubby.namespace.locks"

LOCKS: Final = (
    Mutant(
        "waiter_of_a_dead_session_granted",
        "a dead session is never granted anything (§4 Locks)",
        _LOCKS,
        (
            (
                "        places = self.book.places_of(session)\n",
                "        places = self.book.places_of(session)\n"
                "        places = [place for place in places if self.is_held(place, session)] or places\n",
            ),
            (
                "    def settle(self, path: str, facts: Facts) -> None:\n",
                "    def is_held(self, place, session):\n"
                "        crowd = self.book.crowd(place[0])\n"
                "        return crowd is not None and LockOwner(session, place[1]) in crowd.holders\n\n"
                "    def settle(self, path: str, facts: Facts) -> None:\n",
            ),
        ),
    ),
    Mutant(
        "shared_barging",
        "first come, first served: nobody shares past an exclusive waiter (§4 Locks)",
        _LOCKS,
        (
            (
                "            owner = next(iter(crowd.waiters))\n            mode, row =",
                "            owner = next(iter(crowd.waiters))\n"
                "            if self._row(path).mode is LockMode.SHARED:\n"
                "                sharers = [one for _, one in crowd.waiters.values() if one.mode is LockMode.SHARED]\n"
                "                owner = sharers[0].owner if sharers else owner\n"
                "            mode, row =",
            ),
        ),
    ),
    Mutant(
        "try_acquire_barges",
        "TryAcquire fails if anyone waits (§4 Locks)",
        _LOCKS,
        (
            (
                "return mode is self._row(path).mode is LockMode.SHARED and not crowd.waiters",
                "return mode is self._row(path).mode is LockMode.SHARED",
            ),
        ),
    ),
    Mutant(
        "token_reused_after_delete",
        "tokens come from one counter and grow for ever (§4 Token)",
        _LOCKS,
        (
            (
                "        self._register.token += 1\n",
                "        self._register.token = 1 + max(each.lock_token for each in self._tree.nodes.rows.values())\n",
            ),
        ),
    ),
    Mutant(
        "sequencer_outlives_release",
        "a sequencer is valid while its hold period lasts (§4 Token)",
        _LOCKS,
        (
            (
                "return row is not None and row.mode is not None and self._node(path).lock_token == token",
                "return (node := self._tree.get(path)) is not None and node.lock_token == token",
            ),
        ),
    ),
    Mutant(
        "lock_delay_ignored",
        "a lock stays closed for its lock-delay after its holder's session died (§4 Lock-delay)",
        _LOCKS,
        (("row = LockRow(row.instance, None, row.delay, delayed=row.delay > 0)", "row = LockRow(row.instance)"),),
    ),
    Mutant(
        "shortest_lock_delay",
        "of sharers that died the longest lock-delay counts (§4 Lock-delay)",
        _LOCKS,
        (
            (
                "            if died and holder.delay > row.delay:\n",
                "            if died and (not row.delay or holder.delay < row.delay):\n",
            ),
        ),
    ),
)

SESSIONS: Final = (
    Mutant(
        "reply_forgotten_too_early",
        "a reply is kept until the client has acknowledged it (§4 Sessions)",
        "chubby.namespace.sessions",
        (
            (
                "self._answered(session, row.acknowledged, acknowledged):",
                "self._answered(session, row.acknowledged, acknowledged + 1):",
            ),
        ),
    ),
    Mutant(
        "replies_lost_to_a_snapshot",
        "the reply table is state: it survives a snapshot (§4 Sessions)",
        "chubby.namespace.snapshot",
        (
            (
                "return MachineSnapshot(register, {table.name: table.frozen() for table in state.tables}, state.digest",
                'rows = {table.name: () if table.name == "reply" else table.frozen() for table in state.tables}\n'
                "    digest = lambda: (state.digest() - state.sessions.replies.total) % (1 << 128)\n"
                "    return MachineSnapshot(register, rows, digest",
            ),
        ),
    ),
    Mutant(
        "queue_lost_at_failover",
        "the queue of a lock survives a fail-over (§4 Locks)",
        "chubby.namespace.handlers",
        (
            (
                "        register.master = body.master\n",
                "        register.master = body.master\n"
                "        for path in tuple(state.locks.book.paths):\n"
                "            for owner in tuple(state.locks.book.crowd(path).waiters):\n"
                "                state.locks.withdraw(owner, path, died=False)\n"
                "            state.locks.settle(path, facts)\n",
            ),
        ),
    ),
    Mutant(
        "ephemerals_outlive_their_session",
        "an ephemeral goes with the last who has it open (§4 Ephemerals)",
        "chubby.namespace.handlers",
        (("        for path, _ in opened:\n            draft.reap(path)\n", ""),),
    ),
)

COMMANDS: Final = (
    Mutant(
        "epoch_not_checked",
        "a command of another epoch is void (§3 Epoch)",
        "chubby.namespace.handlers",
        (("    if command.epoch != register.epoch:\n", "    if command.epoch > register.epoch:\n"),),
    ),
    Mutant(
        "guards_not_checked_again",
        "guards are checked again when a command is applied (§4)",
        "chubby.namespace.transactions",
        (
            (
                "    failed = failing_guard(state, transaction.guards)\n",
                "    failed = failing_guard(state, transaction.guards) if transaction.otherwise else None\n",
            ),
        ),
    ),
    Mutant(
        "digest_skips_lock_tokens",
        "the digest covers all state (§3 Digest)",
        "chubby.namespace.nodes",
        (
            (
                "return (msgspec.structs.astuple(node.stat), node.sequence, node.lock_generation, node.lock_token)",
                "return (msgspec.structs.astuple(node.stat), node.sequence, node.lock_generation)",
            ),
        ),
    ),
)

MUTANTS: Final = LOCKS + SESSIONS + COMMANDS
