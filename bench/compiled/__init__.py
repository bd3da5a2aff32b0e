"""Generators in compiled languages: what the peers come to with clients that cost as little as theirs can.

`etcd` is Go on etcd's own client, built with Debian's golang and its packages of Go libraries alone; `zookeeper` is
Java on ZooKeeper's own client. Both take the words of `bench.load.job` and print a line that is a `bench.load.sample`;
what their workloads do is what `bench.load.workloads` says.
"""
