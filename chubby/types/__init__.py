"""The vocabulary every room shares: numbers that name things, time, limits, nodes, calls, events, frames of the
session stream.

| module        | what it names                                              |
|---------------|------------------------------------------------------------|
| `time`        | `Instant`, `Duration` (integer nanoseconds), units         |
| `limits`      | sizes and times that every room agrees on                  |
| `identity`    | replica, incarnation, slot, epoch, revision, session, ...  |
| `nodes`       | `Stat`, `LockInfo`, `Sequencer`, ACL names                 |
| `events`      | what a client is told                                      |
| `transaction` | guards, operations, results of the one mutating command    |
| `calls`       | calls a client makes of the master                         |
| `results`     | what they answer                                           |
| `status`      | what a replica says of the cell                            |
| `stream`      | frames on a session's stream                               |
| `words`       | what people read of events and of amounts                  |
| `decoding`    | what msgspec raises on bytes that are no message           |

Everything here is a frozen msgspec struct, an enum or an integer alias; nothing has behaviour beyond a conversion.
"""
