"""The deterministic machine: tree, locks, sessions, history (DESIGN §4; Burrows §2; *Paxos Made Live* §5).

The replicated log delivers the same commands, in the same order, to every replica. This package says what they mean. It
is a function: state and command in, state and outcome out. No clock, no chance, no environment, no order of hashes;
`time_ms` in a command is shown to people and decides nothing. Whatever the master has checked before it proposed a
command is checked here again, because the state may have changed in between, and because only what is decided here is
decided alike everywhere. There is no command that can be decoded and makes the machine fail.

How a command runs
==================

::

    log ── Command ──► Machine.apply ──► handlers: the epoch, then one handler a kind
                                            ├─ Request ─► requests: once and only once ─► transactions: guards, branch
                                            │                      │                          └─ operations on a Draft
                                            │                      └─► locks
                                            ├─ OpenSession, CloseSession, ExpireSession ─► sessions, locks, Draft
                                            └─ EndLockDelay, RaiseCaps, SetLimits, RotateKey, SetVersion, CheckDigest
                       State.commit ◄── Draft (all or nothing)
    master ◄── Outcome ◄── Facts: changes, grants, conflicts, delays, orphans, ended sessions

| module         | what it knows                                                                            |
|----------------|------------------------------------------------------------------------------------------|
| `commands`     | what the log holds (contract)                                                            |
| `outcomes`     | what applying gives (contract)                                                           |
| `machine`      | the door: apply, read, snapshot, restore                                                 |
| `handlers`     | one handler for each kind of command, and the epoch before them                          |
| `requests`     | clients' requests: reply table, lock commands, close                                     |
| `transactions` | guards, branches, results                                                                |
| `operations`   | what each operation does to a draft                                                      |
| `draft`        | changes not made yet: overlay, quotas, ephemerals that go                                |
| `state`        | all parts together; a draft becomes true                                                 |
| `tree`         | nodes, children, open-sets                                                               |
| `nodes`        | one node as an immutable value                                                           |
| `locks`        | who gets a lock, when, and what stays closed                                             |
| `lockbook`     | holders and waiters as rows                                                              |
| `sessions`     | sessions and reply tables                                                                |
| `history`      | the last changes by revision                                                             |
| `acl`          | who is admitted by which list                                                            |
| `register`     | single values and counters                                                               |
| `table`        | rows that know their digest                                                              |
| `snapshot`     | the state as bytes in slices, and back                                                   |
| `rebirth`      | a new cell from a backup                                                                 |
| `facts`        | the outcome while it grows                                                               |
| `views`        | genesis, and what readers are shown of a session                                         |
| `wording`      | how refusals quote what they were given                                                  |

Where state lives
=================

In tables of immutable rows, and in one register. Four things follow. The *digest*, a multiset hash, is kept along the
way: each row put or dropped adds or subtracts its mark, so nothing can be state and not be covered. A *snapshot* is a
copy of dicts. A *restore* is putting rows; everything else, the indexes, is derived from them. And a *reader* may keep
what it was given for ever.

Numbers
=======

| number        | grows with                                                    | never         |
|---------------|---------------------------------------------------------------|---------------|
| revision      | each command that changes something clients can see           | goes back     |
| instance      | each node made, wherever                                      | is used again |
| token         | each hold period of any lock (shared holders join in one)     | is used again |
| session       | each session                                                  | is used again |
| generations   | contents, ACL names, hold periods of one instance             | go back       |
| sequence      | sequential children of one instance                           | is used again |
| epoch         | each BeginEpoch: its slot                                     | goes back     |

Invariants between commands
===========================

1. The root and `/acl` are there; every node's parent is there, and is a directory.
2. An ephemeral has a member in its open-set, or a child.
3. A lock is held exclusively by one owner or shared by any number; nobody waits who could be granted; no owner has two
   places; no holder, waiter or member of an open-set belongs to a session that is no more.
4. Every token in use is below or at the register's; a hold period in progress has the token that its node names.
5. The reply table of a session has no number at or below what is acknowledged, and at most `REPLY_TABLE_LIMIT` others.
6. The history has no gap and is no longer than its limit.
7. The digest is the sum of the marks of all rows and of the register.

A command that is *void* changes nothing but the slot (a request also acknowledges what it says). A command that *fails*
changes nothing but the reply table. `tests/namespace/twin` is this chapter as the simplest program there is.
"""
