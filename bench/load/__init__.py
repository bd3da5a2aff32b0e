"""Loads on a cluster: processes that do one kind of work through a client, as its users would, and print the outcome.

`python -m bench.load CLIENT KEY=VALUE ...` is such a process; the compiled generators in `bench/compiled` take the same
arguments and print the same line of JSON, a `Sample`.

| module         | what it holds                                                                                      |
|----------------|----------------------------------------------------------------------------------------------------|
| `job`          | what a generator is told                                                                           |
| `sample`       | what it prints; percentiles                                                                        |
| `client`       | what a client must be able to do, and what runs it: what workloads are written against              |
| `engines`      | three ways to keep operations in flight: asyncio, threads, callbacks                               |
| `workloads`    | the work, once for all                                                                             |
| `ours_client`, `etcd_client`, `kazoo_client` | the adapters                                                         |
| `ours_only`    | the work of ours alone: `ours_cache` (cached reads), `ours_growth` (how cost grows)                |

What is measured is a *closed loop*: so many operations are in flight, and each that ends is followed by the next. An
operation that fails counts as an error and is repeated after a short pause. Operations go over a few connections, each
to the next of the endpoints in turn: which endpoints a generator is told decides whether it asks all members or one.
"""
