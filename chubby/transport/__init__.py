"""Links between replicas: TCP connections that carry messages, may lose some, and keep strangers out.

| module         | what it is                                                             | sans-IO |
|----------------|------------------------------------------------------------------------|---------|
| `framing`      | length, checksum, payload                                              | yes     |
| `codec`        | payload ↔ message of a union given from above; one encoding per turn   | yes     |
| `greetings`    | Hello, Welcome, Goodbye, and reasons to part                           | yes     |
| `doorkeeper`   | who is let in                                                          | yes     |
| `handshake`    | the automaton of one link, as a table                                  | yes     |
| `outbox`       | the bounded queue to one peer                                          | yes     |
| `backoff`      | when to dial again                                                     | yes     |
| `settings`     | limits and times                                                       |         |
| `statistics`   | what a mesh tells of itself                                            | yes     |
| `sockets`      | options of sockets                                                     |         |
| `surroundings` | what the links of a mesh share                                         |         |
| `links`        | one connection, driven by its handshake                                |         |
| `dialler`      | the link to a peer, for sending                                        |         |
| `inbox`        | a bounded burst of messages per turn of the loop                       |         |
| `listener`     | links that peers dial, for receiving                                   |         |
| `mesh`         | `Mesh`: all links of a replica                                         |         |

**Two connections per pair.** Every replica dials every other one; it sends on the connection it dialled and receives on
those it accepted. The other way, one connection per pair, needs a rule for who keeps which when both dial at once, and
that rule needs both sides to agree on when a connection began to exist; its mistakes are pairs that drop each other's
connection in turn. Here nothing has to be agreed upon: a dialler owns its connection from the first SYN to the last
byte, a replica that cannot be reached shows as such at exactly those who cannot reach it, and the newest accepted link
of a replica simply takes the place of the one before. The price is twenty connections in a cell of five, and
acknowledgements of TCP that travel alone.

**On the wire.** A frame is `u32 length | u32 crc32c | payload`. First come control frames (`handshake` shows their
order), then each payload is one message, in the dialled direction only; the other direction stays with control frames
and carries at most a Goodbye. Until a Hello was admitted no frame may exceed 1 KiB, so a stranger makes a replica hold
next to nothing.

**What is promised.** On one link messages arrive in the order of sending, each at most once. Across links nothing is:
what a broken connection had taken is lost, what waited may be dropped (`outbox` says when), a former life's messages
may arrive late and name their ballot and incarnation for that reason. Paxos asks for no more (DESIGN §3).

**Bounds**, so that no peer and no stranger can hurt a replica:

| what                                 | bound                                         | beyond it                    |
|--------------------------------------|-----------------------------------------------|------------------------------|
| queue to a connected peer            | 64 MiB, 65,536 frames                         | dropped whole, counted       |
| queue to a peer that is away         | 1 MiB, 1,024 frames                           | dropped whole, counted       |
| write buffer of a connection         | 1 MiB and one write of as much (or one frame) | the queue fills              |
| a frame being received               | 1 KiB from a stranger, 32 MiB from a peer     | link closed, counted         |
| messages delivered per link and turn | 512, 1 MiB                                    | not read until the next turn |
| connections accepted per turn        | 64                                            | wait in the kernel           |
| half-open connections                | 128, for 3 s each                             | oldest or newest closed      |
| descriptors of the process           | the system's                                  | accepting rests for 100 ms   |

**Batches form by themselves.** All that is sent in one turn of the loop goes into the outboxes, and one callback at its
end hands each outbox to its connection in one write. No timer ever delays a message.

**Dead peers.** Bytes unacknowledged for 3 s end a connection (TCP_USER_TIMEOUT), and so does a full write buffer that
has not shrunk for as long. Then, as after any failure, the peer is dialled again after 50 ms, growing to 2 s, with
jitter. A peer that makes itself heard is dialled at once; one that said Goodbye for a reason that stays is left alone
for a while.

**Who speaks** is taken on trust of a cell id, unless `Tls` contexts and an `authenticate` hook are given: the hook sees
the connection (its certificate) and the Hello, and says whether the one proves the other.
"""
