"""Torture of the real thing: five real replicas, real clients, real mounts, on machines and disks that fail.

    make torture MINUTES=20                                     or: python -m tests.torture --minutes 20
    python -m tests.torture --minutes 5 --seed 7 --keep DIR     these faults again; keep logs and histories

A seed draws the faults and the work; it does not make a run happen again, for time is real. What one run proves is that
what its clients saw was right. Everything takes place in a world of its own (`seclusion`), of which nothing is left
when the run ends, however it ends; it needs root, `ip`, `nsenter` and /dev/net/tun, and says so where it cannot be.

    world of its own
    ├── switch           the network between the machines: loses, delays, doubles, cuts, each way by itself
    ├── r1 ... r5        a `chubbyd` each, with a small disk of its own
    ├── c1, c2, c3       clients; two of them mount the cell, and programs work on the mounts
    ├── store            what the locks of the lock-set protect
    └── desk             the run itself, which nothing is done to

| module                        | what it is                                                                       |
|-------------------------------|----------------------------------------------------------------------------------|
| `plan`                        | what goes wrong, how long, in which order: drawn from a seed                     |
| `strikes`, `strikes_...`      | does it, and undoes it: network, replicas, disks, clients and mounts             |
| `operating`                   | the operator's commands, given in the midst of it                                |
| `seclusion`, `machines`       | processes, mounts and networks that nobody else sees                             |
| `switch`                      | the network, as a process                                                        |
| `cell`, `crew`                | the replicas; the clients and mounts                                             |
| `work`, `work_...`            | what clients do: files, locks, appends, sets, system calls on mounts             |
| `store`                       | a service that keeps sets, fenced or not                                         |
| `waker`                       | wakes clients that fell asleep over a lock                                       |
| `recording`                   | what clients write down                                                          |
| `judge`                       | histories for the checkers of `tests/checking`                                   |
| `deeds`                       | what must be there in the end, and in which order                                |
| `logs`                        | what was logged that nobody should log                                           |
| `evidence`, `report`          | all verdicts; what is printed                                                    |
| `run`, `inside`, `__main__`   | one run; within its world; from outside                                          |

What must hold: every history is linearizable; nothing acknowledged is lost, doubled or out of order; with sequencers no
update is lost, whoever slept; no replica ends but for a reason that was given to it; nobody is told of a bug; and when
the faults stop, everybody is served and all replicas vote, within two minutes, with equal digests in the end.

Three rules keep the faults within what the design bears: one memory is lost at a time (a flipped bit, a lost disk, a
replacement; the next not before all replicas vote again); the session leases and the clocks are those of one machine;
and disks are memory, so that a kill -9 forgets nothing that was written. The other worlds are the simulator's.
"""
