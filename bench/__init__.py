"""Measurements of whole cells, made of the processes that users run. Nothing here is part of the package.

| command                      | what it measures                                                          |
|------------------------------|---------------------------------------------------------------------------|
| `python -m bench`            | the works of the comparison on a cell of ours alone: two minutes, a table |
| `python -m bench.compare`    | the same works on us, etcd and ZooKeeper side by side: docs/benchmarks.md |
| `python -m bench.crowd`      | a cell under a crowd of sessions                                          |
| `python -m bench.profiling`  | where the time of the master goes: a flame graph                          |
| `python -m bench.done_when`  | what a cell promises                                                      |
| `python -m bench.mount`      | what a mount costs                                                        |
| `python -m bench.simulation` | how fast the simulator is                                                 |

The comparison is made of `peers` (clusters), `load` and `compiled` (what works them), and `compare` (who runs when, and
what is written of it).
"""
