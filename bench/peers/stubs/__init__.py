"""gRPC stubs for the part of etcd's interface that the loads use.

`etcd.proto` and `etcd_lock.proto` name the same services, fields and numbers as etcd's own files, and leave out what no
load uses. The `_pb2` files are made of them by `python -m bench.peers.stubs.generate`; they are never written by hand.
"""
