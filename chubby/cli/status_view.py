"""The cell in one picture, put together from what each replica says for itself. PURE.

Nobody has to be master for that: the newest epoch among the answers is right about the master, each replica is right
about itself, and the answer that is furthest in the log knows the members best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from chubby.types.identity import CellId, Epoch, Incarnation, ReplicaId, Revision, Slot
from chubby.types.status import CellStatus, ReplicaStatus
from chubby.types.time import Duration, to_seconds
from chubby.types.words import MEBIBYTE, usage_text

LEARNER = "learner"


class ReplicaView(msgspec.Struct, frozen=True):
    """One replica. `chosen` and what follows is its own word if it `answers`, else what the master knows of it; but
    `incarnation` is the one that the members have, see `ReplicaStatus`.
    """

    replica: ReplicaId
    role: str
    address: str
    answers: bool
    error: str
    chosen: Slot
    lag: int
    heard: Duration | None
    version: str = ""
    resident_bytes: int = 0
    incarnation: Incarnation | None = None


class Picture(msgspec.Struct, frozen=True):
    """The whole cell. `margin_known` says that the master counted the margin; otherwise the answers were counted. For
    the last four, and what 0 means there, see `CellStatus`.
    """

    cell: str
    cell_id: CellId
    master: ReplicaId
    master_address: str
    epoch: Epoch
    lease_left: Duration
    margin: int
    margin_known: bool
    revision: Revision
    sessions: int
    nodes: int
    locks: int
    replicas: tuple[ReplicaView, ...]
    warnings: tuple[str, ...]
    content_bytes: int
    nodes_quota: int
    bytes_quota: int
    content_limit: int

    @property
    def serving(self) -> bool:
        """Whether the cell has a master and a quorum."""
        return self.master != 0 and self.margin >= 0

    def view(self, replica: ReplicaId) -> ReplicaView | None:
        """That replica, if anybody knows of it."""
        return next((each for each in self.replicas if each.replica == replica), None)

    def headline(self) -> str:
        """The cell in one line."""
        who = f"master is replica {self.master} at {self.master_address}" if self.master else "no master"
        return f"cell {self.cell}: {who}, epoch {self.epoch}; {margin_text(self.margin)}"

    def figures(self) -> str:
        """How far the cell is and who uses it, in one line."""
        parts = [f"revision {self.revision}", _count(self.sessions, "session"), _count(self.locks, "lock")]
        if self.lease_left:
            parts.append(f"master lease {to_seconds(self.lease_left):.1f} s left")
        return ", ".join(parts)

    def usage(self) -> str:
        """What the cell holds, and how much it may, in one line."""
        return usage_text(self.nodes, self.content_bytes, self.nodes_quota, self.bytes_quota, self.content_limit)

    def rows(self) -> list[list[str]]:
        """One line for each replica; see `HEADER`."""
        return [
            [
                f"{view.replica}{'*' if view.replica == self.master else ''}",
                view.role if view.answers else f"{view.role or 'replica'}, does not answer",
                str(view.chosen) if view.chosen else "-",
                str(view.lag) if view.chosen else "-",
                f"{to_seconds(view.heard):.1f} s" if view.heard is not None else "-",
                f"{view.resident_bytes / MEBIBYTE:.0f} MiB" if view.resident_bytes else "-",
                view.address,
            ]
            for view in self.replicas
        ]

    def json(self) -> dict[str, object]:
        """The shape of `chubby status --json`."""
        return {
            "cell": self.cell,
            "cell_id": self.cell_id,
            "master": self.master or None,
            "master_address": self.master_address or None,
            "epoch": self.epoch,
            "lease_left_s": to_seconds(self.lease_left),
            "serving": self.serving,
            "margin": self.margin,
            "margin_known": self.margin_known,
            "revision": self.revision,
            "sessions": self.sessions,
            "nodes": self.nodes,
            "nodes_quota": self.nodes_quota or None,
            "content_bytes": self.content_bytes if self.content_limit else None,
            "bytes_quota": self.bytes_quota or None,
            "content_limit": self.content_limit or None,
            "locks": self.locks,
            "replicas": [_replica_json(view) for view in self.replicas],
            "warnings": self.warnings,
        }


HEADER = ("replica", "role", "slots", "lag", "heard", "memory", "clients at")
NUMBERS = ("slots", "lag", "heard", "memory")


def picture_of(answers: Mapping[str, CellStatus], errors: Mapping[str, str]) -> Picture | None:
    """The picture from what the replicas at these addresses said, or why they did not; None if none answered.

    An answer of another cell than most is left out, with a warning.
    """
    if not answers:
        return None
    answers = dict(sorted(answers.items()))
    cell_id = _commonest([status.cell_id for status in answers.values()])
    own = {status.replica: status for status in answers.values() if status.cell_id == cell_id}
    newest = max(own.values(), key=lambda status: (status.epoch, bool(status.master), status.replica == status.master))
    master = own.get(newest.master)
    furthest = master or max(own.values(), key=lambda status: status.chosen)
    views = _views(own, furthest, errors, master is not None)
    voters = [view for view in views if view.role != LEARNER]
    margin = sum(view.answers for view in voters) - (len(voters) // 2 + 1)
    known = master is not None and master.margin is not None
    return Picture(
        cell=newest.cell,
        cell_id=cell_id,
        master=newest.master,
        master_address=newest.master_address,
        epoch=newest.epoch,
        lease_left=master.lease_left if master is not None else 0,
        margin=master.margin if master is not None and master.margin is not None else margin,
        margin_known=known,
        revision=furthest.revision,
        sessions=furthest.sessions,
        nodes=furthest.nodes,
        locks=furthest.locks,
        replicas=tuple(views),
        warnings=tuple(_warnings(answers, cell_id, own, newest, views)),
        content_bytes=furthest.content_bytes,
        nodes_quota=furthest.nodes_quota,
        bytes_quota=furthest.bytes_quota,
        content_limit=furthest.content_limit,
    )


def margin_text(margin: int) -> str:
    """The quorum margin in words."""
    if margin < 0:
        return f"no quorum, {_count(-margin, 'replica')} short"
    return "no further replica may fail" if margin == 0 else f"{_count(margin, 'more replica')} may fail"


def _views(
    own: Mapping[ReplicaId, CellStatus], furthest: CellStatus, errors: Mapping[str, str], by_master: bool
) -> list[ReplicaView]:
    """`furthest` lists the members; `by_master`: it is the master, who knows better than a replica who votes."""
    top = max(status.chosen for status in own.values())
    members = {member.replica: member for member in furthest.replicas}
    unlisted = sorted(own.keys() - members.keys())
    return [
        *(_view(member, own.get(number), top, errors, by_master) for number, member in sorted(members.items())),
        *(_view(None, own[number], top, errors, by_master) for number in unlisted),
    ]


def _view(
    member: ReplicaStatus | None, status: CellStatus | None, top: Slot, errors: Mapping[str, str], by_master: bool
) -> ReplicaView:
    """One replica from the master's word of it and its own, of which one may be missing."""
    if status is None:
        assert member is not None, "somebody speaks of it"
        error = errors.get(member.client_address, "not asked")
        return ReplicaView(
            replica=member.replica,
            role=member.role,
            address=member.client_address,
            answers=False,
            error=error,
            chosen=member.chosen,
            lag=top - member.chosen,
            heard=member.last_heard,
            incarnation=member.incarnation,
        )
    itself = next((each for each in status.replicas if each.replica == status.replica), None)
    role = itself.role if itself is not None else "joining"
    return ReplicaView(
        replica=status.replica,
        role=member.role if by_master and member is not None and itself is not None else role,
        address=itself.client_address if itself is not None else member.client_address if member is not None else "",
        answers=True,
        error="",
        chosen=status.chosen,
        lag=top - status.chosen,
        heard=member.last_heard if member is not None else None,
        version=status.version,
        resident_bytes=status.resident_bytes,
        incarnation=member.incarnation if member is not None else None,
    )


def _warnings(
    answers: Mapping[str, CellStatus],
    cell_id: CellId,
    own: Mapping[ReplicaId, CellStatus],
    newest: CellStatus,
    views: Sequence[ReplicaView],
) -> list[str]:
    found = []
    if not newest.master:
        found.append("no replica knows a master")
    elif newest.master not in own:
        found.append(f"the master, replica {newest.master} at {newest.master_address}, does not answer")
    found += [f"replica {view.replica} does not answer: {view.error}" for view in views if not view.answers]
    found += [
        f"{address} belongs to another cell, {status.cell} ({status.cell_id:#x})"
        for address, status in answers.items()
        if status.cell_id != cell_id
    ]
    members = {member.replica for member in newest.replicas}
    if members:
        found += [f"replica {number} is no member of the cell" for number in sorted(own.keys() - members)]
    versions = sorted({status.version for status in own.values()})
    if len(versions) > 1:
        found.append(f"replicas run different versions: {', '.join(versions)}")
    digests: dict[Slot, dict[str, ReplicaId]] = {}
    for number, status in sorted(own.items()):
        if status.digest:
            digests.setdefault(status.applied, {}).setdefault(status.digest, number)
    for slot, differing in digests.items():
        if len(differing) > 1:
            replicas = ", ".join(str(number) for number in differing.values())
            found.append(f"the states of replicas {replicas} differ at slot {slot}")
    for number, status in sorted(own.items()):
        found += [f"replica {number}: {warning}" for warning in status.warnings]
    return found


def _replica_json(view: ReplicaView) -> dict[str, object]:
    return {
        "replica": view.replica,
        "role": view.role,
        "address": view.address,
        "answers": view.answers,
        "error": view.error or None,
        "chosen": view.chosen,
        "lag": view.lag,
        "heard_s": to_seconds(view.heard) if view.heard is not None else None,
        "version": view.version or None,
        "resident_bytes": view.resident_bytes or None,
    }


def _commonest(numbers: Sequence[int]) -> int:
    return max(sorted(set(numbers)), key=numbers.count)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
