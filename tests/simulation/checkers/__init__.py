"""What must hold of a whole run, judged when it is over: of the log that was chosen, and of what clients were told.

The log of a run is all the truth there is. `story` reads it back: every chosen command, in order, with what it brought
about, applied by the machine and by its naive twin side by side. The other checkers read that story and compare it
with a rule, or with what clients were told:

| module         | what must hold                                                                              |
|----------------|---------------------------------------------------------------------------------------------|
| `story`        | the machine does what its twin does; every replica ends in that state, byte by byte         |
| `marks`        | every field of every row counts in the digest, and for the scrub                            |
| `once`         | a request takes effect once, however often it was sent; nothing is granted to a dead session |
| `queues`       | a lock goes to whoever waited longest                                                       |
| `delays`       | a lock-delay lasts as long as promised, in full after a fail-over                           |
| `acknowledged` | what a client was told stands in the log, and says the same                                 |
| `suffix`       | a session that was told of its end does nothing more, and whatever it asks says so          |
| `events`       | watchers are told of every change, in order, once                                           |
| `handle_events`| so is whoever opened a handle with a mask, also of locks, and of a fail-over                |
| `grants`       | whoever holds a lock knows it                                                               |
| `departures`   | who is gone leaves nothing behind                                                           |
| `overdue`      | a master gives no lock to a session that it has found to be over                            |

Two look at the living while the run goes on, since what they hold is in no log:

| module         | what must hold                                                                              |
|----------------|---------------------------------------------------------------------------------------------|
| `coherence`    | a change waits until no cache would answer with what was before                             |
| `terms`        | a session lives at least for as long as its client counts upon                              |

Each is a module with its own tests, on good and on broken input.
"""
