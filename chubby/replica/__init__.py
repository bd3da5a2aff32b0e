"""One replica: Paxos, machine and master behind one door, still sans-IO (DESIGN §2, §3 Digest).

::

    messages, ticks, ─▶ paxos.Peer ── chosen entries ─▶ namespace.Machine ── outcomes ─▶ master.Master ◀─ frames
    "it is durable"         ▲                                                                  │
                            └────────────────────────── Propose ───────────────────────────────┘
    Step ◀── messages, records, gated messages (Peer); deliveries, ends (Master); snapshot, halt, moved (here)

Each of the three rooms is a state machine of its own that knows nothing of the others. What this one adds is the order
in which they hear of things:

1. *Term before entries.* The master's room is told that an office began or ended before anything chosen under it.
2. *Applied before told.* An entry is applied to the machine, then its outcome goes to the master's room, one by one and
   in slot order: when an answer is composed the state is that of its own command, not of a later one.
3. *Until nothing moves.* What the master proposes goes to Paxos in the same step, and what that makes chosen at once (a
   cell of one) is applied in the same step.
4. *Durable before sent* is the Peer's contract (`chubby.paxos.ready`); a `Step` only carries it on.

| module      | what it does                                                                 |
|-------------|------------------------------------------------------------------------------|
| `replica`   | the order above                                                              |
| `step`      | what comes out: one immutable value, and the contract of who carries it out  |
| `gathering` | a step while it grows                                                        |
| `settings`  | what comes in once: settings, and what only the shell can make               |
| `vigil`     | may this replica go on? digests, scrubbing                                   |
| `digests`   | judging what the replicas report of their states                             |
| `members`   | operators' changes of the membership                                         |
| `links`     | what travels between replicas: Paxos, and digests                            |
| `door`      | what front ends see of a replica (implemented by `chubby.daemon`)            |

When a replica stops by itself
==============================

| why                                            | then                                                        |
|------------------------------------------------|-------------------------------------------------------------|
| a majority holds another state                 | it rebuilds as a new incarnation; a master hands over first |
| a row in memory no longer matches its mark     | the same                                                    |
| the machine's version is beyond its release    | it stops and touches nothing: it does not guess at rules    |
| another incarnation, or nobody, has its place  | it stops                                                    |

With no majority for any state nobody can tell who is wrong: nobody stops, but the master writes nothing until a later
comparison finds a majority again (`Master.divided`).

Versions
========

A release follows the machine's rules of its own version and of the one before. A rolling upgrade replaces the releases
one replica at a time; as long as one of them is old the log holds nothing the old one does not know. `SetVersion` ends
that, and the way back leads through `SetVersion` again, before the first replica goes back. Whoever meets a version it
does not know, in the log or in a snapshot, halts before the next command, on that occasion and at every start after it,
until the right release is installed. This is version 1, so there is nothing to change to yet; but the rule has to stand
in the oldest release, or it protects nobody.
"""
