"""Answers of replicas, as the tests need them."""

from __future__ import annotations

from chubby.types.status import CellStatus, ReplicaStatus
from chubby.types.time import SECOND

CELL = 77


def address(replica: int) -> str:
    """Where clients reach a replica."""
    return f"10.0.0.{replica}:7201"


def member(replica: int, role: str = "follower", chosen: int = 100, heard: int | None = 0) -> ReplicaStatus:
    """One line of a replica's answer."""
    peer = f"10.0.0.{replica}:7101"
    return ReplicaStatus(replica, peer, address(replica), role, chosen, 0, True, heard, 1000 + replica)


def status(
    replica: int,
    *,
    master: int = 1,
    epoch: int = 9,
    chosen: int = 100,
    members: int = 5,
    learners: tuple[int, ...] = (),
    margin: int | None = None,
    cell_id: int = CELL,
    digest: str = "d1",
    version: str = "1.0",
    warnings: tuple[str, ...] = (),
) -> CellStatus:
    """What `replica` says."""

    def role(number: int) -> str:
        if number in learners:
            return "learner"
        return "master" if number == master else "follower"

    known = [*range(1, members + 1), *(number for number in learners if number > members)]
    return CellStatus(
        cell="local",
        cell_id=cell_id,
        replica=replica,
        version=version,
        master=master,
        master_address=address(master) if master else "",
        epoch=epoch,
        lease_left=SECOND if replica == master else 0,
        chosen=chosen,
        applied=chosen,
        snapshot=0,
        revision=12,
        sessions=3,
        nodes=4,
        locks=1,
        margin=margin,
        digest=digest,
        replicas=tuple(member(number, role(number), chosen) for number in known),
        warnings=warnings,
        resident_bytes=50 << 20,
        content_bytes=12_900_000,
        nodes_quota=1_000_000,
        bytes_quota=1 << 30,
        content_limit=256 << 10,
    )


def answers(*statuses: CellStatus) -> dict[str, CellStatus]:
    """By address."""
    return {address(each.replica): each for each in statuses}
