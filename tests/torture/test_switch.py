"""The network: what becomes of frames, way by way; and that a switch between real cables does that."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.cells import PATIENCE, ROOT, bound_to_us, wait_for
from tests.torture.machines import Machine, hardware_address
from tests.torture.switch import CLEAR, CUT, Network, Orders, Ways, Weather

ONE, OTHER, THIRD = 1, 2, 103


def ways(*imposed: tuple[int, int, Weather]) -> Ways:
    """With this weather."""
    made = Ways(random.Random(1))
    made.obey(Orders(imposed))
    return made


def test_a_clear_way_lets_everything_pass_at_once() -> None:
    """Nothing is drawn for it."""
    assert [list(ways().delays(ONE, OTHER)) for _ in range(10)] == [[0.0]] * 10


def test_a_cut_way_is_cut_in_one_direction() -> None:
    """The other one, and all others, are as they were."""
    cut = ways((ONE, OTHER, CUT))
    assert not any(cut.delays(ONE, OTHER) for _ in range(50))
    assert list(cut.delays(OTHER, ONE)) == list(cut.delays(ONE, THIRD)) == [0.0]
    assert cut.counts == {"lost": 50, "passed": 2}


def test_loss_and_doubles_are_shares() -> None:
    """Of many frames."""
    lossy = ways((ONE, OTHER, Weather(loss=0.3, twice=0.5)))
    arrivals = [len(lossy.delays(ONE, OTHER)) for _ in range(4000)]
    assert 0.25 < arrivals.count(0) / 4000 < 0.35
    assert 0.30 < arrivals.count(2) / 4000 < 0.40
    assert set(arrivals) == {0, 1, 2}


def test_delays_vary_and_so_reorder() -> None:
    """Between the delay, and that and the jitter."""
    slow = ways((ONE, OTHER, Weather(delay=0.1, jitter=0.05)))
    found = [delay for _ in range(500) for delay in slow.delays(ONE, OTHER)]
    assert min(found) >= 0.1 and max(found) <= 0.15
    assert found != sorted(found)


def test_new_orders_replace_the_old_ones() -> None:
    """All of them."""
    changing = ways((ONE, OTHER, CUT))
    changing.obey(Orders(((OTHER, ONE, CUT),)))
    assert list(changing.delays(ONE, OTHER)) == [0.0]
    assert not changing.delays(OTHER, ONE)


@pytest.fixture
def cables() -> Iterator[dict[int, tuple[socket.socket, socket.socket]]]:
    """For each machine, its own end of its cable and the switch's: sockets keep frames apart as cards do."""
    made = {
        number: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        for number in (ONE, OTHER, THIRD)
    }
    yield made
    for pair in made.values():
        for each in pair:
            each.close()


@pytest.fixture
def network(cables: dict[int, tuple[socket.socket, socket.socket]]) -> Iterator[Network]:
    """A switch between them."""
    made = Network([Machine(number, -1, pair[1].fileno()) for number, pair in cables.items()], seed=1)
    yield made
    made.close()


def frame(source: int, target: int | None, text: str) -> bytes:
    """For one machine, or for everybody."""
    addresses = [bytes.fromhex(hardware_address(each).replace(":", "")) for each in (target or 0, source)]
    return (bytes([0xFF] * 6) if target is None else addresses[0]) + addresses[1] + b"\x08\x00" + text.encode()


def arrived(cable: socket.socket) -> list[str]:
    """What has arrived so far."""
    found = []
    while True:
        try:
            found.append(os.read(cable.fileno(), 2048)[14:].decode())
        except BlockingIOError:
            return found


def test_frames_go_to_whom_they_are_for(
    cables: dict[int, tuple[socket.socket, socket.socket]], network: Network
) -> None:
    """One to one; one to all others; none to nobody; a cut takes effect at once, and ends."""
    ends = {number: pair[0] for number, pair in cables.items()}

    def send(*frames: bytes) -> None:
        for each in frames:
            ends[ONE].send(each)

    def await_at(number: int, last: str) -> list[str]:
        found: list[str] = []

        def there() -> bool:
            found.extend(arrived(ends[number]))
            return last in found

        wait_for(there, f"{last} at {number}")
        return found

    send(frame(ONE, OTHER, "a"), frame(ONE, 77, "nobody"), frame(ONE, None, "all"))
    assert await_at(OTHER, "all") == ["a", "all"]
    assert await_at(THIRD, "all") == ["all"]
    network.impose("here", {(ONE, OTHER): CUT})
    send(frame(ONE, OTHER, "lost"), frame(ONE, THIRD, "b"))
    assert await_at(THIRD, "b") == ["b"]
    network.impose("there", {(ONE, THIRD): Weather(delay=0.01)})
    network.impose("here", {})
    send(frame(ONE, OTHER, "c"), frame(ONE, THIRD, "late"))
    assert await_at(OTHER, "c") == ["c"]
    assert await_at(THIRD, "late") == ["late"]
    network.impose("there", {})
    assert network.counts["lost"] == 1 and network.counts["delayed"] == 1


def test_where_two_impose_it_is_as_bad_as_either_says(
    cables: dict[int, tuple[socket.socket, socket.socket]], network: Network
) -> None:
    """One of them ends; the other one's stays."""
    network.impose("one", {(ONE, OTHER): CUT})
    network.impose("two", {(ONE, OTHER): CLEAR})
    network.impose("three", {(ONE, OTHER): CUT})
    network.impose("one", {})
    cables[ONE][0].send(frame(ONE, OTHER, "lost"))
    cables[ONE][0].send(frame(ONE, THIRD, "x"))
    wait_for(lambda: arrived(cables[THIRD][0]), "the frame behind it")
    assert arrived(cables[OTHER][0]) == []


def test_a_switch_ends_with_its_orders(cables: dict[int, tuple[socket.socket, socket.socket]]) -> None:
    """When whoever gives them is gone, however it went."""
    orders, ours = os.pipe()
    command = bound_to_us("-m", "tests.torture.switch", "1", f"{ONE}={cables[ONE][1].fileno()}")
    with subprocess.Popen(command, cwd=ROOT, stdin=orders, pass_fds=(cables[ONE][1].fileno(),)) as process:
        os.close(orders)
        os.close(ours)
        assert process.wait(PATIENCE) == 0
