"""The native front end: `chubby.v1.Cell` over gRPC (DESIGN §6, §7).

| module       | what it does                                                              |
|--------------|---------------------------------------------------------------------------|
| `frontend`   | `NativeFrontend`: the server, its limits, its start and stop              |
| `handlers`   | from a method to the handler that gRPC runs                               |
| `stream`     | one session stream: first frame, packets in, packets out, end             |
| `queries`    | Locate, Follow, Status, Export                                            |
| `health`     | `grpc.health.v1.Health`                                                   |
| `settings`   | every limit, and the gRPC channel arguments that follow from them         |
| `statistics` | what is counted                                                           |

The life of a session stream (`stream.Phase`)::

    SHAKING ──first packet──► OPEN ──door ends it, client half-closes, bad packet, stop──► ENDING ──flushed──► over
       │                        │                                                            │
       └─ timeout, turned away  └─ outbox beyond its bound ─► CUT ◄── not flushed in time ───┘

- A stream reaches the door only with its first valid packet, which begins with OpenSession or Resume. Ten thousand
  connections that say nothing cost memory and no attention: each is let go after the handshake timeout.
- Each attached stream is told to the door exactly once that it is over: `congested` if it was cut because its client
  does not read, else `detach`, unless the door itself ended it.
- Two tasks per stream, none per frame: one reads packets and hands them to the door, one writes packets from the
  outbox. What the door delivers while a packet is on its way goes out together in the next.
- Nothing a client does reaches another client: what it sends is bounded by the size of a packet, what it does not read
  by the outbox, and what cannot be decoded ends its own stream.
- The front end never calls the door from within a delivery.
"""

from chubby.frontends.native.frontend import NativeFrontend, everybody
from chubby.frontends.native.settings import NativeSettings
from chubby.frontends.native.statistics import Statistics

__all__ = ["NativeFrontend", "NativeSettings", "Statistics", "everybody"]
