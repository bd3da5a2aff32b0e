"""What only the master remembers: leases, who caches what, calls in flight, delivery, fail-over (DESIGN §5).

The machine (`chubby.namespace`) is what all replicas agree on. This room is what one of them knows besides, for as long
as it is the master: lost without harm when it dies, rebuilt by the next from the machine and from what clients present.
It is sans-IO: inputs come with the time and the end of the master lease, effects are handed out, and nothing waits.

The way of a call
=================
::

    frame ─▶ reception ─▶ calls ──▶ verbs: footprint, plan ──┬─▶ settled: answers ─▶ streams ─▶ Deliver
                            ▲                                └─▶ a command: pipeline ─▶ proposals ─▶ Propose
                            │                                        │    invalidation ─▶ mailboxes ─▶ Push
                            └──────────── verbs: settle ◀── outcome ─┘

| module                                                        | what it knows                                       |
|---------------------------------------------------------------|-----------------------------------------------------|
| `master`, `effects`, `settings`, `statistics`, `counters`     | the façade                                          |
| `failover`                                                    | the automaton of a mastership, as a table           |
| `reception`, `streams`, `greeting`, `claims`                  | frames, OpenSession, Resume, KeepAlive              |
| `session`, `handles`, `ending`, `overdue`, `leases`           | sessions, from their first lease to their last      |
| `calls`, `pending`, `answers`, `repeats`                      | calls from arrival to answer, their order           |
| `verbs` → `opening` `closing` `reads` `writes` `transact`     | what becomes of each kind of call                   |
| `locks` `watching` `admin`; `desk`, `permissions`             |                                                     |
| `pipeline`, `proposals`, `errands`, `upkeep`                  | commands from plan to outcome; the master's own     |
| `footprints`, `registry`, `invalidation`                      | what a change touches, who caches it, who must know |
| `mailbox`, `event_queue`, `subscriptions`, `telling`, `replay`| what is pushed, to whom, and again after a fail-over|
| `check_digits`, `tickets`, `sequencer`                        | what clients can present and nobody can forge       |
| `timers`, `numbers`, `moment`                                 | small tools                                         |

Invariants
==========
1. *No stale hit.* While a session's cache lease and session lease both last, what it may have cached equals the
   applied state. Hence: registered before it is answered; uncachable before the first invalidation; proposed when each
   registered session has acknowledged or its lease is over; touched exactly as planned in the very input that proposes;
   cacheable again when applied.
2. *A lease never moves back*, and nothing is promised longer than the caps in the log, nor without a live master lease.
3. *One answer* to each call on the stream it last came on; a number that is pending or in the reply table is never
   proposed again.
4. *Nobody dead is granted a lock*: overdue sessions are on their way out before anything that may grant is proposed.
5. *No silent gap*: an event that is not told is replaced by RESYNC to the subscription that missed it.
6. *Bounded*: calls, handles, watches, registrations, invalidations, events and pushes each have a limit with an answer.

What costs what: a call, a KeepAlive, an acknowledgement cost the same with one session and with ten thousand; a change
costs those who cache or watch it; only the rebuild of a new master, a stall and the statistics look at every session.
"""

from chubby.master.effects import ChangeMembers, Deliver, EndStream, HandOver, MasterEffect, Propose
from chubby.master.master import Master
from chubby.master.settings import MasterSettings
from chubby.master.statistics import MasterStatistics

__all__ = [
    "ChangeMembers",
    "Deliver",
    "EndStream",
    "HandOver",
    "Master",
    "MasterEffect",
    "MasterSettings",
    "MasterStatistics",
    "Propose",
]
