"""The production replica as a whole, on virtual time: terms, epochs, snapshots, digests, members."""

from __future__ import annotations

import msgspec
import pytest

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import Limits, SetVersion
from chubby.namespace.nodes import Node, with_contents
from chubby.namespace.register import MACHINE_VERSION
from chubby.namespace.table import Table
from chubby.paxos import peer
from chubby.replica.step import Halt
from chubby.types.calls import (
    ChangeMembers,
    CreateMode,
    Delete,
    MemberAction,
    Mode,
    Open,
    SetAttributes,
    SetContents,
    StepDown,
)
from chubby.types.limits import CONTENT_LIMIT, NODES_QUOTA, TOTAL_BYTES_QUOTA
from chubby.types.results import Done, Opened, StatResult
from chubby.types.time import SECOND
from tests.replica.lab import Lab
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost


def write(lab: Lab, client: ClientHost, handle: int, path: str, contents: bytes) -> None:
    """Open `path` as `handle` if that is new, and write."""
    if client.core.desk.handles.get(handle) is None:
        mode = Mode.READ | Mode.WRITE
        assert isinstance(lab.ask(client, Open(handle, path, mode, create=CreateMode.MAY)), Opened)
    assert isinstance(lab.ask(client, SetContents(handle, contents)), StatResult)


def voters(host: ReplicaHost) -> list[int]:
    """Who votes, as this replica knows it."""
    assert host.replica is not None
    configuration = host.replica.configuration
    return [voter.replica for voter in configuration.voters] if configuration is not None else []


def contents(host: ReplicaHost, path: str) -> bytes | None:
    """What this replica's machine holds."""
    assert host.replica is not None
    node = host.replica.machine.node(path) if host.replica.machine is not None else None
    return node.contents if node is not None else None


def test_an_epoch_is_the_slot_that_began_it() -> None:
    """DESIGN §3 Epoch: epoch := slot of the BeginEpoch command; a later master's is higher."""
    lab = Lab()
    lab.start()
    first = lab.wait_master()
    assert first.replica is not None and first.replica.machine is not None
    epoch = first.replica.machine.epoch
    assert 0 < epoch <= first.replica.machine.applied
    first.crash()
    second = lab.wait_master()
    assert second is not first and second.replica is not None and second.replica.machine is not None
    assert second.replica.machine.epoch > epoch


def test_clients_are_told_the_clock_bound_of_the_log() -> None:
    """DESIGN §3 Master lease: "L and ε live in the log"; the file of whoever is master has no say once there is one."""
    lab = Lab()
    for host in lab.hosts.values():
        host.config = msgspec.structs.replace(
            host.config, timing=msgspec.structs.replace(host.config.timing, clock_drift=77_777)
        )
    lab.start()
    client = lab.client()
    assert client.core._tenure._drift_ppm == lab.config.timing.clock_drift != 77_777


def test_every_replica_knows_where_the_master_is() -> None:
    """Followers answer location requests, with the epoch that makes the newest answer win."""
    lab = Lab()
    lab.start()
    master = lab.wait_master()
    lab.run(SECOND)
    for host in lab.hosts.values():
        assert host.replica is not None
        member, epoch = host.replica.location()
        assert member is not None and member.replica == master.number
        assert master.replica is not None and master.replica.machine is not None
        assert epoch == master.replica.machine.epoch


def test_all_machines_come_to_the_same_state() -> None:
    """Equal digests at equal slots."""
    lab = Lab()
    lab.start()
    client = lab.client()
    for index in range(20):
        write(lab, client, 1, "/a", b"%d" % index)
    lab.run(SECOND)
    states = {
        (host.replica.machine.applied, host.replica.machine.digest())
        for host in lab.hosts.values()
        if host.replica is not None and host.replica.machine is not None
    }
    assert len(states) == 1


def usage(host: ReplicaHost) -> tuple[int, int, Limits]:
    """Nodes, bytes and limits as this replica's machine knows them."""
    assert host.replica is not None and host.replica.machine is not None
    machine = host.replica.machine
    return machine.node_count, machine.content_bytes, machine.limits


def test_every_replica_knows_what_the_cell_holds_and_may_hold() -> None:
    """DESIGN §4: bytes follow writes, shrinking and deletion alike everywhere, through a restart from a snapshot too;
    the limits are those in the log, whatever the replica's own file says.
    """
    lab = Lab()
    lab.start()
    client = lab.client()
    nodes, size, limits = usage(lab.wait_master())
    assert (limits.nodes, limits.total_bytes, limits.content) == (NODES_QUOTA, TOTAL_BYTES_QUOTA, CONTENT_LIMIT)

    def agreed(more: int, larger: int) -> None:
        lab.until(lambda: {usage(host) for host in lab.hosts.values()} == {(nodes + more, size + larger, limits)})

    write(lab, client, 1, "/a", b"x" * 1_000)
    write(lab, client, 2, "/b", b"y" * 10)
    assert isinstance(lab.ask(client, SetAttributes(2, {"key": b"value"})), StatResult)
    agreed(2, 1_018)
    write(lab, client, 1, "/a", b"x")
    agreed(2, 19)
    assert isinstance(lab.ask(client, Delete(2)), Done)
    agreed(1, 1)
    for _ in range(40):
        write(lab, client, 1, "/a", b"z" * 2_000)
    host = next(each for each in lab.hosts.values() if each is not lab.wait_master())
    lab.until(lambda: host.replica is not None and host.replica.snapshot_slot > 0)
    host.crash()
    other = msgspec.structs.replace(host.config.limits, nodes=5, total_bytes=6, content=7)
    host.config = msgspec.structs.replace(host.config, limits=other)
    host.start()
    agreed(1, 2_000)


def test_a_grown_log_orders_a_snapshot_and_a_restart_needs_only_what_came_after() -> None:
    """DESIGN §3 Disk: snapshots by the size of the log; the newest one and the log since make the state again."""
    lab = Lab()
    lab.start()
    client = lab.client()
    for index in range(40):
        write(lab, client, 1, "/a", b"%04d" % index * 500)
    lab.until(lambda: all(host.replica is not None and host.replica.snapshot_slot > 0 for host in lab.hosts.values()))
    host = next(each for each in lab.hosts.values() if each is not lab.wait_master())
    host.crash()
    host.start()
    assert host.replica is not None and host.replica.snapshot_slot > 0
    lab.until(lambda: contents(host, "/a") == b"0039" * 500)


def test_a_replica_with_an_empty_disk_comes_back_as_a_voter() -> None:
    """DESIGN §3 Incarnations: learner under a new incarnation, caught up, promoted, without anyone's help."""
    lab = Lab(5)
    lab.start()
    client = lab.client()
    write(lab, client, 1, "/a", b"kept")
    host = next(each for each in lab.hosts.values() if each is not lab.wait_master())
    before = host.disk
    host.crash()
    host.wipe()
    host.start()
    assert host.disk is not before
    assert host.replica is not None and host.replica.machine is None, "it begins without any state"
    lab.until(lambda: contents(host, "/a") == b"kept")
    lab.until(lambda: len(voters(lab.wait_master())) == 5)
    lab.until(lambda: role(host) == "follower")


def test_a_newcomer_catches_up_although_snapshots_are_taken_faster_than_it_fetches_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DESIGN §3 Disk: "a transfer pins its source", and the log behind it. Parts arrive no faster than writes here."""
    monkeypatch.setattr(peer, "KEEP_BYTES", 0)
    lab = Lab()
    lab.start()
    client = lab.client()
    for number in range(8):
        write(lab, client, number + 1, f"/{number}", bytes(60_000))
    host = next(each for each in lab.hosts.values() if each is not lab.wait_master())
    host.crash()
    host.wipe()
    host.start()
    began = lab.world.now
    taken: set[int] = set()
    while host.replica is None or role(host) == "learner":
        write(lab, client, 9, "/busy", bytes(20_000))
        source = lab.wait_master().replica
        assert source is not None
        taken.add(source.snapshot_slot)
        assert lab.world.now - began < 30 * SECOND, "it fetches for ever"
    assert len(taken) > 3, "the transfer took longer than the way from snapshot to snapshot"


def test_a_replica_whose_state_differs_rebuilds_itself() -> None:
    """DESIGN §3 Digest: "A minority that differs stops and rebuilds"."""
    lab = Lab()
    lab.start()
    client = lab.client()
    write(lab, client, 1, "/a", b"right")
    lab.run(SECOND)
    host = next(each for each in lab.hosts.values() if each is not lab.wait_master())
    assert host.replica is not None and host.replica.machine is not None
    spoil(host, "/a", b"wrong")
    spoiled = host.replica
    lab.until(lambda: host.replica is not None and host.replica is not spoiled)
    lab.until(lambda: contents(host, "/a") == b"right")
    lab.until(lambda: len(voters(lab.wait_master())) == 3)


def test_a_master_whose_state_differs_hands_over_first() -> None:
    """DESIGN §3 Digest: "a master hands over first"."""
    lab = Lab()
    lab.start()
    client = lab.client()
    write(lab, client, 1, "/a", b"right")
    host = lab.wait_master()
    spoiled = host.replica
    spoil(host, "/a", b"wrong")
    lab.until(lambda: host.replica is not spoiled)
    assert lab.wait_master() is not host or host.replica is not spoiled
    lab.until(lambda: contents(host, "/a") == b"right")


def test_a_bit_that_flips_in_memory_is_found_by_scrubbing() -> None:
    """DESIGN §3 Digest: "a slow scrub against memory rot"; the replica stops and rebuilds itself."""
    lab = Lab()
    lab.start()
    client = lab.client()
    write(lab, client, 1, "/a", b"right")
    lab.run(SECOND)
    host = next(each for each in lab.hosts.values() if each is not lab.wait_master())
    rotting = host.replica
    nodes = nodes_of(host)
    nodes.rows["/a"] = msgspec.structs.replace(nodes.rows["/a"], contents=b"rotten")
    lab.until(lambda: host.replica is not rotting)
    lab.until(lambda: contents(host, "/a") == b"right")


def spoil(host: ReplicaHost, path: str, wrong: bytes) -> None:
    """A wrong change of the state, as a bug would make it: the digest follows it."""
    nodes = nodes_of(host)
    nodes.put(path, with_contents(nodes.rows[path], wrong, 1, 1))


def nodes_of(host: ReplicaHost) -> Table[str, Node]:
    """The rows of a replica's tree."""
    assert host.replica is not None and host.replica.machine is not None
    return host.replica.machine._state.tree.nodes


def role(host: ReplicaHost) -> str:
    """What it is in Paxos."""
    assert host.replica is not None
    return host.replica.peer_status(host.clock.now()).role.value


def test_an_operator_removes_a_replica_and_adds_it_again() -> None:
    """DESIGN §3 Membership: one at a time, through the log; the answer comes when the change governs."""
    lab = Lab(5)
    lab.start()
    client = lab.client(caching=False)
    master = lab.wait_master()
    leaving = next(number for number, host in lab.hosts.items() if host is not master)
    assert isinstance(lab.ask(client, ChangeMembers(MemberAction.REMOVE, leaving)), Done)
    assert leaving not in voters(master)
    lab.hosts[leaving].crash()
    lab.hosts[leaving].wipe()
    address = lab.config.replica(leaving)
    assert address is not None
    added = lab.ask(client, ChangeMembers(MemberAction.ADD, leaving, address.peer, address.client))
    assert isinstance(added, Done)
    lab.hosts[leaving].start()
    lab.until(lambda: leaving in voters(lab.wait_master()))


def test_a_change_that_would_leave_no_live_quorum_is_refused() -> None:
    """DESIGN §3 Membership; a careful operator wants to be told before, not after."""
    lab = Lab(3)
    lab.start()
    client = lab.client(caching=False)
    master = lab.wait_master()
    others = [number for number, host in lab.hosts.items() if host is not master]
    lab.hosts[others[0]].crash()
    lab.run(5 * SECOND)
    refused = lab.ask(client, ChangeMembers(MemberAction.REMOVE, others[1]))
    assert isinstance(refused, Failure) and refused.code is ErrorCode.MEMBERSHIP_REFUSED
    assert len(voters(master)) == 3


def test_step_down_gives_mastership_to_somebody_else_quickly() -> None:
    """DESIGN §3 Election: a hand-over does not wait for the lease to lapse."""
    lab = Lab(5)
    lab.start()
    client = lab.client(caching=False)
    first = lab.wait_master()
    before = lab.world.now
    lab.ask(client, StepDown())
    lab.until(lambda: lab.master() not in (None, first))
    assert lab.world.now - before < SECOND


def test_nobody_applies_anything_under_rules_he_does_not_know() -> None:
    """DESIGN §3, version: whoever reads a SetVersion beyond his release halts there, again after every restart.

    The commands behind it in the log are those of a newer release: what they mean here is anybody's guess.
    """
    lab = Lab()
    lab.start()
    client = lab.client()
    write(lab, client, 1, "/a", b"old rules")
    lab.run(SECOND)
    host = lab.wait_master()
    assert host.replica is not None and host.replica.master is not None
    machine = host.replica.machine
    assert machine is not None
    host.replica.master.propose(SetVersion(MACHINE_VERSION + 1), host.clock.now())
    host.replica.master.propose(SetVersion(MACHINE_VERSION), host.clock.now())
    host.pump()
    lab.until(lambda: not any(each.running for each in lab.hosts.values()))
    assert [each.halted for each in lab.hosts.values()] == [Halt.OUTDATED] * 3
    assert machine.version == MACHINE_VERSION + 1, "the next command, in the same slot, was not applied"
    for each in lab.hosts.values():
        each.start()
    lab.until(lambda: not any(each.running for each in lab.hosts.values()))
    for each in lab.hosts.values():
        assert each.halted is Halt.OUTDATED
        assert not any("rotten" in name for name in each.disk.tree()), "nothing was put aside: the disk is good"
