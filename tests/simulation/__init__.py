"""A deterministic simulation of whole cells: production replicas and production client sessions in a hostile world.

Five production `Replica`s over production storage, and production client `SessionCore`s, run on virtual time. Only what
a machine would provide is replaced: the disk (`tests.storage.fake_files`), the network, the clock, the process.
Everything that is drawn is drawn from one seeded generator, so a seed names a run exactly.

    make simulate SEEDS=100 START=0        many seeds
    make simulate SEED=7 TRACE=1           one seed again, telling what happens

| module      | what it is                                                           |
|-------------|----------------------------------------------------------------------|
| `world`     | virtual time, the queue of what will happen, the trace and its hash  |
| `network`   | delay, loss, reordering, partitions, connections that break          |
| `hosts`     | a replica's machine: disk, clock, process around the production core |
| `clients`   | a client's machine around the production session                     |
| `workload`  | what clients do, and the history of what they saw                    |
| `presence`  | a node that comes and goes, and whether anyone is told wrongly       |
| `faults`    | what goes wrong, when                                                |
| `sprouts`   | files that become directories (seeds from 1000 on)                   |
| `jugglers`  | compare-and-set, shared locks, transactions (seeds from 2000 on)     |
| `histories` | what clients saw, call by call, and whether that is linearizable     |
| `checkers`  | what must hold whatever goes wrong                                   |
| `scenario`  | all of it put together: one seed, one verdict                        |
"""
