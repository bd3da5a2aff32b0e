"""Clusters to compare: a cell of ours, etcd and ZooKeeper, each of five members on loopback.

| module      | what it holds                                                                                         |
|-------------|-------------------------------------------------------------------------------------------------------|
| `system`    | what is known of a system before it runs: its files, its command line, how it answers                 |
| `cluster`   | members as processes: start, wait until all take part, signal, revive, stop, wipe                     |
| `resources` | processor time and memory of processes with all their children                                        |
| `ours`, `etcd`, `zookeeper` | the systems                                                                           |
| `packages`  | the peers' Debian packages: installed when root, without their services                               |
| `stubs`     | gRPC stubs for the part of etcd's interface that the loads use, and what generates them              |

Every system gets the same terms: its defaults, fsync on, data in a new directory on a real disk, free ports. One is up
at a time. A cluster is a context: when it is left, however that is, no process and no file of it is left.
"""
