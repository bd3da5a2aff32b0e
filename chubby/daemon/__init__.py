"""`chubbyd`: the asyncio shell that executes what the pure replica asks for.

| module     | what it does                                                                     |
|------------|----------------------------------------------------------------------------------|
| `entry`    | where it begins                                                                  |
| `main`     | the command: arguments, signals, exit codes                                      |
| `serve`    | open the directory, run, begin anew as another incarnation when it has to be     |
| `founding` | genesis, formatting, learning which cell to join                                 |
| `node`     | the turn: inputs in, steps out, carried out                                      |
| `worker`   | the disk's thread: appends at once, long jobs in small steps between them        |
| `vault`    | what is done with the data directory on that thread                              |
| `archive`  | snapshots on their way: written, sent, fetched                                   |
| `loading`  | a machine out of a snapshot, on a thread of its own                              |
| `door`     | what front ends see                                                              |
| `compass`  | who is master, for those who follow                                              |
| `gazette`  | what strangers did at the doors, in few lines                                    |
| `clock`    | the one clock                                                                    |

There is no lock beyond the disk thread's queue: the loop owns the core, the disk's thread owns the files, and they
exchange values. A third thread runs while a snapshot is loaded, at a start and after a fetch: it reads one file that
nobody writes, and hands over a machine that nobody has seen yet.
"""
