"""A cell whose replicas disagree with no majority for any state, and how it comes out of it (DESIGN §3 Digest)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode, Failure
from chubby.replica.replica import Replica
from chubby.types.calls import ChangeMembers, CreateMode, GetContentsAndStat, MemberAction, Mode, Open, SetContents
from chubby.types.results import Answer, Contents, Done, Opened, StatResult
from chubby.types.time import SECOND
from tests.replica.lab import Lab
from tests.replica.test_replica import contents, spoil, voters, write
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost


def replica_of(host: ReplicaHost) -> Replica:
    """The running replica."""
    assert host.replica is not None
    return host.replica


def split_cell() -> tuple[Lab, ClientHost, list[ReplicaHost]]:
    """Five replicas of which two hold one state, two another and one a third; the master is the first of the list.

    The client has `/a` open as its handle 1. The last of the list is alone with its state.
    """
    lab = Lab(5)
    lab.start()
    client = lab.client(caching=False)
    write(lab, client, 1, "/a", b"right")
    lab.run(SECOND)
    master = lab.wait_master()
    hosts = [master, *(host for host in lab.hosts.values() if host is not master)]
    for host in hosts[2:4]:
        spoil(host, "/a", b"wrong")
    spoil(hosts[4], "/a", b"worse")
    lab.until(lambda: all(replica_of(host).split for host in hosts))
    return lab, client, hosts


def is_stopped(answer: Answer) -> bool:
    """Whether the call was answered that writes are stopped."""
    return isinstance(answer, Failure) and answer.code is ErrorCode.REPLICAS_DISAGREE


def test_writes_are_refused_at_once_and_reads_go_on() -> None:
    """DESIGN §3 Digest: "with no majority writes stop", and whoever writes is told so, not left to its deadline."""
    lab, client, hosts = split_cell()
    assert lab.wait_master() is hosts[0]
    assert is_stopped(lab.ask(client, SetContents(1, b"x"), 1 * SECOND))
    assert isinstance(lab.ask(client, GetContentsAndStat(1)), Contents)
    lab.run(60 * SECOND)
    assert client.core.state.live, "KeepAlives go on"
    assert is_stopped(lab.ask(client, SetContents(1, b"x"), 1 * SECOND))


def test_another_master_can_begin_its_epoch() -> None:
    """Nothing that repairs the cell may depend on the old master living for ever."""
    lab, client, hosts = split_cell()
    epoch = replica_of(hosts[0]).location()[1]
    hosts[0].crash()
    second = lab.wait_master()
    assert second is not hosts[0] and replica_of(second).location()[1] > epoch
    lab.until(lambda: client.core.state.live)
    assert is_stopped(lab.ask(client, SetContents(1, b"x")))
    assert isinstance(lab.ask(client, GetContentsAndStat(1)), Contents)


def test_a_rebuilt_replica_makes_a_majority_and_everything_goes_on() -> None:
    """An operator empties one directory; the next comparison finds a majority, and who differs from it rebuilds."""
    lab, client, hosts = split_cell()
    odd = hosts[4]
    odd.crash()
    odd.wipe()
    odd.start()
    lab.until(lambda: not replica_of(lab.wait_master()).split)
    lab.until(lambda: isinstance(lab.ask(client, SetContents(1, b"anew")), StatResult))
    lab.until(lambda: all(contents(host, "/a") == b"anew" for host in hosts if host.replica is not None))
    lab.until(lambda: len(voters(lab.wait_master())) == 5)
    assert isinstance(lab.ask(client, Open(2, "/b", Mode.READ, create=CreateMode.MAY)), Opened)


def test_members_can_be_changed_meanwhile() -> None:
    """An operator asks for it, in a session begun for that."""
    lab, _, hosts = split_cell()
    answer = lab.ask(lab.client(caching=False), ChangeMembers(MemberAction.REMOVE, hosts[4].number))
    assert isinstance(answer, Done)
    assert hosts[4].number not in voters(hosts[0])


@pytest.mark.parametrize("down", [1, 2])
def test_it_is_found_although_some_are_down(down: int) -> None:
    """Two against one or two, the others down: nobody can tell who is right, and nobody waits for the dead for ever."""
    lab = Lab(5)
    lab.start()
    client = lab.client(caching=False)
    write(lab, client, 1, "/a", b"right")
    lab.run(SECOND)
    master = lab.wait_master()
    others = [host for host in lab.hosts.values() if host is not master]
    for host in others[:down]:
        host.crash()
    for host in others[2:]:
        spoil(host, "/a", b"wrong")
    if down == 2:
        spoil(others[3], "/a", b"worse")
    lab.until(lambda: replica_of(master).split)
    assert is_stopped(lab.ask(client, SetContents(1, b"x"), 1 * SECOND))
    others[0].start()
    if down == 1:
        lab.until(lambda: not replica_of(lab.wait_master()).split)
        lab.until(lambda: isinstance(lab.ask(client, SetContents(1, b"anew")), StatResult))
        lab.until(lambda: all(contents(host, "/a") == b"anew" for host in lab.hosts.values()))
