"""What any replica says of its cell, to and from its messages: `Location` and `CellStatus`."""

from __future__ import annotations

from chubby.types.status import CellStatus, Location, ReplicaStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import naturals


def encode_location(location: Location) -> pb.Location:
    """The message of `location`."""
    return pb.Location(
        cell=location.cell,
        cell_id=location.cell_id,
        master=location.master,
        address=location.address,
        epoch=location.epoch,
        replicas=location.replicas,
    )


def decode_location(message: pb.Location) -> Location:
    """The location in `message`; raises BadArgument."""
    naturals("Location", message.cell_id, message.master, message.epoch)
    return Location(
        cell=message.cell,
        cell_id=message.cell_id,
        master=message.master,
        address=message.address,
        epoch=message.epoch,
        replicas=tuple(message.replicas),
    )


def encode_status(status: CellStatus) -> pb.CellStatus:
    """The message of `status`."""
    return pb.CellStatus(
        cell=status.cell,
        cell_id=status.cell_id,
        replica=status.replica,
        version=status.version,
        master=status.master,
        master_address=status.master_address,
        epoch=status.epoch,
        lease_left=status.lease_left,
        chosen=status.chosen,
        applied=status.applied,
        snapshot=status.snapshot,
        revision=status.revision,
        sessions=status.sessions,
        nodes=status.nodes,
        locks=status.locks,
        margin=status.margin,
        digest=status.digest,
        replicas=[_encode_replica(replica) for replica in status.replicas],
        warnings=status.warnings,
        resident_bytes=status.resident_bytes,
        content_bytes=status.content_bytes,
        nodes_quota=status.nodes_quota,
        bytes_quota=status.bytes_quota,
        content_limit=status.content_limit,
    )


def decode_status(message: pb.CellStatus) -> CellStatus:
    """The status in `message`; raises BadArgument."""
    naturals("CellStatus", message.cell_id, message.replica, message.master, message.epoch, message.chosen)
    naturals("CellStatus", message.applied, message.snapshot, message.revision, message.sessions, message.nodes)
    naturals("CellStatus", message.locks, message.resident_bytes, message.content_bytes)
    naturals("CellStatus", message.nodes_quota, message.bytes_quota, message.content_limit)
    return CellStatus(
        cell=message.cell,
        cell_id=message.cell_id,
        replica=message.replica,
        version=message.version,
        master=message.master,
        master_address=message.master_address,
        epoch=message.epoch,
        lease_left=message.lease_left,
        chosen=message.chosen,
        applied=message.applied,
        snapshot=message.snapshot,
        revision=message.revision,
        sessions=message.sessions,
        nodes=message.nodes,
        locks=message.locks,
        margin=message.margin if message.HasField("margin") else None,
        digest=message.digest,
        replicas=tuple([_decode_replica(replica) for replica in message.replicas]),
        warnings=tuple(message.warnings),
        resident_bytes=message.resident_bytes,
        content_bytes=message.content_bytes,
        nodes_quota=message.nodes_quota,
        bytes_quota=message.bytes_quota,
        content_limit=message.content_limit,
    )


def _encode_replica(status: ReplicaStatus) -> pb.ReplicaStatus:
    return pb.ReplicaStatus(
        replica=status.replica,
        peer_address=status.peer_address,
        client_address=status.client_address,
        role=status.role,
        chosen=status.chosen,
        lag=status.lag,
        connected=status.connected,
        last_heard=status.last_heard,
        incarnation=status.incarnation,
    )


def _decode_replica(message: pb.ReplicaStatus) -> ReplicaStatus:
    naturals("ReplicaStatus", message.replica, message.chosen, message.last_heard, message.incarnation)
    return ReplicaStatus(
        replica=message.replica,
        peer_address=message.peer_address,
        client_address=message.client_address,
        role=message.role,
        chosen=message.chosen,
        lag=message.lag,
        connected=message.connected,
        last_heard=message.last_heard if message.HasField("last_heard") else None,
        incarnation=message.incarnation if message.HasField("incarnation") else None,
    )
