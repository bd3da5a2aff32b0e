"""Mutants of what only the master remembers (`chubby.master`, DESIGN §5)."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

CACHES: Final = (
    Mutant(
        "invalidation_not_awaited",
        "a change waits until nobody can read the old value from a cache (§5 Invalidate first)",
        "chubby.master.invalidation",
        (("        if session.cache_ends > now:\n", "        if session.cache_ends > now and not place:\n"),),
    ),
    Mutant(
        "acknowledgement_settles_too_much",
        "an acknowledgement settles what its push carried (§5 Invalidate first)",
        "chubby.master.mailbox",
        (("            self._settled = sent.place\n", "            self._settled = self._given\n"),),
    ),
    Mutant(
        "absence_cached_too_long",
        "absence is cached as contents are: a creation invalidates it (§5 Invalidate first)",
        "chubby.master.footprints",
        (
            (
                "        if not operation.sequential:\n            yield node_key(operation.path)\n",
                "        if operation.sequential:\n            yield node_key(operation.path)\n",
            ),
        ),
    ),
    Mutant(
        "cacheable_while_changing",
        "while a change is under way nothing it touches is cacheable (§5 Invalidate first)",
        "chubby.master.answers",
        (("            if key in uncachable:\n                return True\n", ""),),
    ),
    Mutant(
        "cacheable_again_too_early",
        "uncachable counts the changes under way, and falls with the last (§5 Invalidate first)",
        "chubby.master.registry",
        (
            ("        count = self._counts[key] - 1\n", "        count = 0\n"),
            ("            self._counts[key] = count\n", "            pass\n"),
            ("            del self._counts[key]\n", "            self._counts.pop(key, None)\n"),
        ),
    ),
    Mutant(
        "listing_registers_names_alone",
        "what a listing fills is registered, the metadata of each child included (§5 Invalidate first)",
        "chubby.master.reads",
        (("    filled.extend(node_key(prefix + entry.name) for entry in entries)\n", ""),),
    ),
    Mutant(
        "caches_not_awaited_at_failover",
        "after a fail-over changes wait for the Resumes of caching sessions, or the cache lease (§5 Fail-over)",
        "chubby.master.master",
        (("self._recovery.begin(caching, at.now + machine.caps.cache_lease)", "self._recovery.begin([], at.now)"),),
    ),
    Mutant(
        "read_without_master_lease",
        "a read is answered under a live master lease (§5, last line)",
        "chubby.master.calls",
        (
            (
                "        if not at.live:\n",
                "        if not at.live and not isinstance(pending.call, GetContentsAndStat):\n",
            ),
            (
                "from chubby.types.calls import CancelAcquire, Close\n",
                "from chubby.types.calls import CancelAcquire, Close, GetContentsAndStat\n",
            ),
        ),
    ),
)

SESSIONS: Final = (
    Mutant(
        "lease_not_extended_at_failover",
        "a new master gives every session the longest lease it may have (§5 Three leases)",
        "chubby.master.master",
        (
            (
                "at.now + machine.caps.session_lease, SessionState.AWAITED",
                "at.now + machine.caps.session_lease // 2, SessionState.AWAITED",
            ),
        ),
    ),
    Mutant(
        "overdue_session_granted",
        "overdue sessions are expired before a release is proposed (§4 Locks; a bug once)",
        "chubby.master.ending",
        (
            (
                "        return self._overdue.may_free(plan.frees, ending)\n",
                "        return True\n",
            ),
        ),
    ),
    Mutant(
        "lock_delay_shortened_at_failover",
        "a lock-delay restarts in full after a fail-over (§4 Lock-delay)",
        "chubby.master.upkeep",
        (
            (
                "        self.delay(machine.delays(), at.now)\n",
                "        self.delay(machine.delays(), at.now - machine.caps.session_lease)\n",
            ),
        ),
    ),
    Mutant(
        "event_cursor_skips_one",
        "a session that resumes is told all events after its cursor (§5 Events)",
        "chubby.master.claims",
        (("self._replay.since(cursor,", "self._replay.since(cursor + 1,"),),
    ),
    Mutant(
        "unseen_events_forgotten",
        "events that were sent and not acknowledged are sent again on the next stream (§5 Events)",
        "chubby.master.mailbox",
        (("        self.events.put_back(self._unacknowledged(cursor))\n", ""),),
    ),
    Mutant(
        "repeated_acquire_not_found",
        "an acquire that waits is answered when its lock is granted, by the next master too (§4 Locks)",
        "chubby.master.calls",
        (
            (
                "        self._occupy(pending, verb.footprint(self._desk, session, call))\n        stored =",
                "        stored =",
            ),
            (
                "        blocker = session.order.blocker(pending)\n",
                "        self._occupy(pending, verb.footprint(self._desk, session, call))\n"
                "        blocker = session.order.blocker(pending)\n",
            ),
        ),
    ),
    Mutant(
        "check_digits_not_verified",
        "tickets and sequencers carry check digits (§5 Handles)",
        "chubby.master.check_digits",
        (
            (
                "key and hmac.compare_digest(presented, digits(key, purpose, cell, *parts)) for key",
                "key and len(presented) == DIGITS for key",
            ),
        ),
    ),
)

EVENTS: Final = (
    Mutant(
        "lock_state_not_told_after_failover",
        "a new master tells lock events once more, as the lock stands (§5 Events)",
        "chubby.master.claims",
        (("            tell_locks(self._desk, session)\n", "            pass\n"),),
    ),
    Mutant(
        "mask_lost_at_failover",
        "handles are recreated with their masks (§5 Handles)",
        "chubby.master.claims",
        (
            (
                "        session.handles.add(handle)\n"
                "        self._desk.subscriptions.add_handle(session.id, handle)\n",
                "        session.handles.add(handle)\n",
            ),
        ),
    ),
    Mutant(
        "first_sharer_told_alone",
        "all who hold a lock are told that somebody waits for it (§5 Events)",
        "chubby.master.telling",
        (("    for holder in conflict.holders:\n", "    for holder in conflict.holders[:1]:\n"),),
    ),
    Mutant(
        "children_not_replayed",
        "child events derive from the history: a fail-over loses none (§5 Events)",
        "chubby.master.replay",
        (("EventMask.CHILD_CHANGED in handle.events)):", "False)):"),),
    ),
)

MUTANTS: Final = CACHES + SESSIONS + EVENTS
