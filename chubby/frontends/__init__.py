"""Front ends: each speaks one protocol to clients, and to the replica through its door alone.

A front end turns bytes into `ClientFrame`s and `ServerFrame`s into bytes. It knows connections, packets and their
limits, and nothing of locks, sessions or masters; what it may ask of the replica is `chubby.replica.door.Door`. Front
ends do not know each other.

| front end | protocol                                        |
|-----------|-------------------------------------------------|
| `native`  | gRPC, `chubby.v1.Cell` (`chubby/wire/chubby.proto`) |
"""
