"""A deterministic simulation of whole cells: production replicas and production client sessions in a hostile world.

Five production `Replica`s over production storage, and production client `SessionCore`s, some with all that is above
them (sessions, handles, recipes), run on virtual time. Only what a machine would provide is replaced: the disk
(`tests.storage.fake_files`), the network, the clock, the process.
Everything that is drawn is drawn from streams of the seed, so a seed names a run exactly.

    make simulate SEEDS=100 START=0        many seeds
    make simulate SEED=7 TRACE=1           one seed again, telling what happens

| module        | what it is                                                                        |
|---------------|-----------------------------------------------------------------------------------|
| `plan`        | what a seed stands for: the cell, the clients, what they do, what goes wrong      |
| `scenario`    | all of it put together: one plan, one verdict                                     |
| `world`       | virtual time, the queue of what will happen, clocks, the trace and its hash       |
| `network`     | delay, loss, reordering, partitions, connections that break                       |
| `hosts`       | a replica's machine: disk, clock, process around the production core              |
| `clients`     | a client's machine around the production session                                  |
| `population`  | the clients of a run, and who takes the place of one that died                    |
| `tempo`       | when clients act                                                                  |
| `programs/`   | programs as users write them, on production recipes, each with its checker        |
| `virtual_loop` | the asyncio loop they run on, on virtual time                                    |
| `workloads/`  | what clients do, each with the checker of what it may see                         |
| `faults/`     | what goes wrong                                                                   |
| `mail`        | what replicas send each other, as bytes                                           |
| `pledges`     | whether replicas remember what they said                                          |
| `electorate`  | whether replicas go by the members that the log names                             |
| `invariants`  | what must hold of the replicas at any moment                                      |
| `histories`   | what clients saw, call by call, and whether that is linearizable                  |
| `recovery`    | whether everybody is served again after the faults                                |
| `kept`        | plans that found a bug once                                                       |
"""
