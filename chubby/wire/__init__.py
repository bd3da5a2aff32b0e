"""The public protocol: what travels between a client and a replica (DESIGN §6, §7).

`chubby.proto` is the protocol, written for implementers in any language; this package is its Python side. It knows
bytes and the structs of `chubby.types`, nothing of sessions, sockets or replicas.

| module              | what it does                                                                        |
|---------------------|-------------------------------------------------------------------------------------|
| `codec`             | packets, to and from structs and bytes: the entry points                            |
| `codec_client`      | frames of the client                                                                |
| `codec_server`      | frames of the master                                                                |
| `codec_calls`       | calls on a handle, and the table of all calls                                       |
| `codec_cell_calls`  | calls on the cell                                                                   |
| `codec_results`     | answers                                                                             |
| `codec_transaction` | guards, operations and their results                                                |
| `codec_nodes`       | metadata, locks, failures; the tables of enumerations                               |
| `codec_status`      | `Location` and `CellStatus`                                                         |
| `choice`            | a oneof and the union of structs it carries, as one literal table                   |
| `checks`            | what the codec insists on                                                           |
| `limits`            | the protocol's ceilings                                                             |
| `packing`           | whatever waits goes into one packet; a bounded outbox of encoded frames             |
| `channels`          | how every gRPC channel of ours is made                                              |
| `status`            | the one table error code ↔ gRPC status                                              |
| `generate`          | `chubby.proto` → the committed stubs `chubby_pb2*`                                  |

Invariants:

- **Round trip.** `decode(encode(frames)) == frames` for every frame, call, result, event, guard and operation whose
  numbers fit the protocol. Nothing of a struct is lost, nothing invented; `None` and zero stay apart.
- **Suspicion.** Decoding never crashes and accepts nothing by silence. What a message cannot mean (an empty oneof, an
  unknown enum number or flag, a missing part, a negative number, a ceiling passed) is `BadArgument`, whole packet.
  Unknown *fields* are skipped: that is how the protocol grows.
- **Packets concatenate.** A packet is a repeated field and nothing else, so the bytes of two packets, one after the
  other, are the bytes of one. A frame is therefore encoded once, when it is handed in, and packing is a join of bytes.
- **Completeness.** Every member of every union stands in exactly one table row, and each table checks itself at import
  against the union and the oneof it translates.
"""
