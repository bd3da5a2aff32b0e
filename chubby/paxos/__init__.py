"""The replicated log: Multi-Paxos as a sans-IO library that knows bytes, not locks (DESIGN §3; Paxos Made Live).

The protocol
------------

Every slot of the log is one instance of Paxos. A **ballot** (round, replica, incarnation) names one attempt of one
replica to lead. Phase 1 (Prepare, Promise) runs once per ballot over *all* slots that are not known to be chosen;
whoever wins it proposes values for slot after slot with one round trip each (Accept, Accepted). A value accepted by a
majority under one ballot is **chosen**, for ever: any later ballot's phase 1 meets one of its acceptors and adopts
it.

::

    candidate                      acceptors                          master                     followers
    Canvass ──────────────────────▶  would you?                       Accept(slot, batch) ──────▶  append
    ◀──────────────── CanvassReply                                    append, fdatasync            fdatasync
    own promise on disk                                               ◀─────────────── Accepted (after its fdatasync)
    Prepare ──────────────────────▶  promise on disk                  majority: chosen, apply
    ◀───────────────────── Promise (everything accepted above)        next Accept, Heartbeat ───▶  chosen, apply

What is on disk before what leaves
----------------------------------

==================================  =====================================================
message                             record that is durable before it leaves
==================================  =====================================================
Prepare                             the candidate's own promise of that ballot
Promise                             the promise
Accepted                            the entries it speaks of
HeartbeatReply                      the bound of the lease it grants
Accept, Commit, Heartbeat, Nack     none: they claim nothing about the sender's disk
==================================  =====================================================

The master's own vote is a message to itself, and gated like everybody's.

The rooms within
----------------

==================  ===================================================================================
`configuration`     members, configurations, quorum
`electorate`        which configuration governs which slot
`messages`          what travels between replicas
`ready`             what the core asks of its shell
`log`               accepted and chosen entries in memory
`lease`             both sides of the master lease
`acceptor`          promises, votes, lease grants
`proposer`          phase 1, the window of undecided slots, batches, changes of the configuration
`learner`           what is chosen, in order
`election`          when to stand, with which round
`office`            what only a master does: lease, heartbeats, hand-over
`membership`        taking in, promoting, refusing
`catchup`           log and snapshot transfer
`belonging`         asking to be taken in, finding out that one was put out
`station`           all roles of one replica, and who hears of what
`peer`              the door: inputs in, one `Ready` out
==================  ===================================================================================

Why it is safe in places where the papers leave the choice
-----------------------------------------------------------

*Commit names its ballot.* "Slots up to c are chosen" holds for what was accepted under the very ballot of its sender.
What a follower accepted earlier may be a value that lost; it fetches the winner.

*Few messages.* Accept carries all that Commit and Heartbeat say, and Accepted grants the lease like HeartbeatReply. So
under load a slot costs one Accept and one Accepted per follower and nothing else; a Heartbeat goes to whoever answered
nothing that was sent within the last interval (its answer does not wait for a disk), and a Commit only where followers
should know at once: when an office begins, and when a configuration is chosen.

*Incarnations.* A replica that lost its disk may have made promises it no longer knows. It returns as another member:
its new votes count only in slots whose configuration names the new incarnation, its old ones only where it names the
old one. The ballot carries the incarnation too, so that two lives never propose under one ballot.

*Who joins is there.* Incarnations are random and have no order, and a Join may be late. The master asks a newcomer
before it lets it displace another incarnation (any Heartbeat will do), and an answer is as old as its question. Lives
of one replica follow each other, so of two only the later one can still answer.

*Master lease.* Having answered a master, an acceptor promises nobody else for L, on its own clock; after a restart it
keeps silent for the largest L it ever granted, after a promotion for L. A candidate therefore cannot win phase 1
while a master counts on a majority.

*One configuration at a time.* The window is drained before a configuration is proposed, nothing is proposed behind it
until it is chosen, and only one voter differs, so that majorities of neighbouring configurations meet. A candidate
that learns of a newer one, or of one that may have been chosen, needs its majority too.
"""
