"""The door of one running replica: what front ends see of it (`chubby.replica.door.Door`)."""

from __future__ import annotations

import os
import resource
from collections.abc import AsyncIterator, Callable, Sequence

from chubby import __version__
from chubby.daemon import clock
from chubby.daemon.node import Node, Stream
from chubby.daemon.vault import SLICE
from chubby.errors import Overloaded
from chubby.paxos.peer import PeerStatus
from chubby.paxos.ready import Role
from chubby.replica.door import StreamId
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader
from chubby.types.status import CellStatus, Location, ReplicaStatus
from chubby.types.stream import ClientFrame, ServerFrame
from chubby.types.time import Instant


class NodeDoor:
    """Implements `Door` around a `Node`."""

    def __init__(self, node: Node) -> None:
        """`node` is running or about to."""
        self._node = node

    def attach(
        self,
        principal: str,
        deliver: Callable[[Sequence[ServerFrame]], None],
        end: Callable[[], None],
    ) -> StreamId:
        """See `Door.attach`."""
        return self._node.attach(principal, Stream(deliver, end))

    def receive(self, stream: StreamId, frames: Sequence[ClientFrame]) -> None:
        """See `Door.receive`."""
        self._node.receive_frames(stream, frames)

    def detach(self, stream: StreamId) -> None:
        """See `Door.detach`."""
        self._node.detach(stream)

    def congested(self, stream: StreamId) -> None:
        """See `Door.congested`: to the replica it is a connection that went away."""
        self._node.detach(stream)

    def locate(self) -> Location:
        """See `Door.locate`."""
        return self._node.compass.location

    def follow(self) -> AsyncIterator[Location]:
        """See `Door.follow`."""
        return self._node.compass.follow()

    def status(self) -> CellStatus:
        """See `Door.status`."""
        return status_of(self._node)

    async def export(self) -> AsyncIterator[bytes]:
        """See `Door.export`. The state is fixed when the first piece is asked for; pieces are encoded on demand."""
        node = self._node
        machine, configuration = node.replica.machine, node.replica.configuration
        if machine is None or configuration is None:
            raise Overloaded("this replica has no state yet: it is still being rebuilt")
        # Taken before anything is given out: the machine goes on while somebody reads.
        snapshot = machine.snapshot()
        header = SnapshotHeader(node.identity.cell, snapshot.slot, configuration, machine.version, clock.wall_ms())
        encoder = SnapshotEncoder(header)
        yield encoder.header
        for piece in snapshot.slices(SLICE):
            yield encoder.block(piece)
        yield encoder.footer()


def status_of(node: Node) -> CellStatus:
    """The cell as this replica sees it."""
    now = clock.now()
    replica = node.replica
    paxos = replica.peer_status(now)
    machine = replica.machine
    limits = machine.limits if machine is not None else None
    location = node.compass.location
    return CellStatus(
        cell=node.config.name,
        cell_id=node.identity.cell,
        replica=node.identity.replica,
        version=__version__,
        master=location.master,
        master_address=location.address,
        epoch=location.epoch,
        lease_left=max(paxos.lease_until - now, 0),
        chosen=max(paxos.chosen, 0),  # a blank replica is at -1: it lacks even the state of slot 0
        applied=machine.applied if machine is not None else 0,
        snapshot=replica.snapshot_slot,
        revision=machine.revision if machine is not None else 0,
        sessions=machine.session_count if machine is not None else 0,
        nodes=machine.node_count if machine is not None else 0,
        locks=machine.lock_count if machine is not None else 0,
        margin=paxos.margin,
        digest=f"{machine.digest():032x}" if machine is not None else "",
        replicas=tuple(_replicas(node, paxos, now)),
        warnings=tuple(_warnings(node, paxos)),
        resident_bytes=_resident_bytes(),
        content_bytes=machine.content_bytes if machine is not None else 0,
        nodes_quota=limits.nodes if limits is not None else 0,
        bytes_quota=limits.total_bytes if limits is not None else 0,
        content_limit=limits.content if limits is not None else 0,
    )


def _replicas(node: Node, paxos: PeerStatus, now: Instant) -> list[ReplicaStatus]:
    """One line per member. Only a master hears from everyone; another replica knows its own position and the links."""
    if paxos.configuration is None:
        return []
    progress = {replica: (chosen, heard) for replica, chosen, heard in paxos.progress}
    learners = {member.replica for member in paxos.configuration.learners}
    lines = []
    for member in paxos.configuration.members:
        mine = member.replica == node.identity.replica
        chosen, heard = progress.get(member.replica, (0, None))
        if member.replica in learners:
            role = Role.LEARNER.value
        elif mine:
            role = paxos.role.value
        else:
            role = Role.MASTER.value if member.replica == paxos.master else Role.FOLLOWER.value
        known = max(paxos.chosen if mine else chosen, 0)
        lines.append(
            ReplicaStatus(
                replica=member.replica,
                peer_address=member.peer_address,
                client_address=member.client_address,
                role=role,
                chosen=known,
                lag=max(paxos.chosen - known, 0) if known else 0,
                connected=mine or node.mesh.is_connected(member.replica),
                last_heard=0 if mine else now - heard if heard is not None else None,
                incarnation=member.incarnation,
            )
        )
    return lines


def _warnings(node: Node, paxos: PeerStatus) -> list[str]:
    warnings = list(node.warnings)
    if node.replica.split:
        warnings.append("replicas disagree about the state and no majority agrees: writes are stopped")
    if paxos.margin is not None and paxos.margin < 0:
        warnings.append("there is no quorum: nothing can be written")
    elif paxos.margin == 0:
        warnings.append("no further replica may fail")
    return warnings


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
