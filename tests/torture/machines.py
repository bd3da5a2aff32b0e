"""Machines: network namespaces with an address each, whose only way out is the run's own switch.

A machine is held by a file descriptor of this process and has no name anywhere, so it is gone when this process and
all that run on it are gone. Its network card is a TAP device: what it sends is read, and what it receives is written,
by the process of `switch`, which therefore is the whole network, with every delay and loss there shall be.

| machine       | address                | what runs there                                                             |
|---------------|------------------------|-----------------------------------------------------------------------------|
| r1, r2, ...   | 10.77.0.1, 10.77.0.2   | one replica each                                                            |
| c1, c2, ...   | 10.77.0.101, ...       | clients and a mount each                                                    |
| desk          | 10.77.0.200            | the run itself, which nothing is done to: it asks for statuses              |
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from chubby.cli import launch
from tests.torture import seclusion

T = TypeVar("T")
CARD = "eth0"
CLIENTS = 100
"""Numbers of client machines are above this."""
DESK = 200
TUN = Path("/dev/net/tun")
PROGRAMS = ("ip", "nsenter", "mount")
"""What has to be installed."""
TRIAL = ("sh", "-ec", f"ip tuntap add dev {CARD} mode tap; mount -t tmpfs none /proc")
"""What has to work in a world of one's own."""

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000


class Machine(msgspec.Struct, frozen=True):
    """`namespace` and `cable` are file descriptors: of its network, and of the other end of its card."""

    number: int
    namespace: int
    cable: int

    @property
    def name(self) -> str:
        """How it is called."""
        return name_of(self.number)

    @property
    def address(self) -> str:
        """Its address."""
        return address_of(self.number)

    def inside(self, *command: str) -> list[str]:
        """The command, on this machine."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.namespace}", "--", *command]


def name_of(number: int) -> str:
    """How the machine of that number is called."""
    if number == DESK:
        return "desk"
    return f"c{number - CLIENTS}" if number > CLIENTS else f"r{number}"


def address_of(number: int) -> str:
    """The address of the machine of that number."""
    return f"10.77.0.{number}"


def make(number: int) -> Machine:
    """A machine in a network of its own, with its card up. Raises OSError."""
    return _in_own_thread(lambda: _make(number, new=True))


def make_desk() -> Machine:
    """This process's own network as a machine."""
    return _make(DESK, new=False)


def unavailable() -> str | None:
    """Why no such machines can be made here; None: they can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not installed (iproute2, util-linux)"
    if not TUN.exists():
        return f"{TUN} is not there"
    if os.geteuid() != 0:
        return "only root may make network namespaces and mount in them"
    script = (*launch.PYTHON, seclusion.__file__, str(os.getpid()))
    tried = subprocess.run([*script, *TRIAL], capture_output=True, text=True, check=False)
    said = tried.stderr.strip().splitlines()
    return (
        None if tried.returncode == 0 else f"namespaces cannot be made here: {said[-1] if said else tried.returncode}"
    )


def _in_own_thread(act: Callable[[], T]) -> T:
    """Namespaces are a thread's own: this one does not survive what it does to itself."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()


def _make(number: int, new: bool) -> Machine:
    if new:
        seclusion.unshare(seclusion.NEW_NETWORK)
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    cable = _tap()
    steps = [
        "link set lo up",
        f"link set {CARD} address {hardware_address(number)}",
        f"addr add {address_of(number)}/24 dev {CARD}",
        f"link set {CARD} up",
    ]
    for knob in ("disable_ipv6", "accept_dad"):
        path = Path(f"/proc/sys/net/ipv6/conf/{CARD}/{knob}")
        if path.exists():
            path.write_text("1" if knob == "disable_ipv6" else "0")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(steps), text=True, check=True, capture_output=True)
    return Machine(number, namespace, cable)


def hardware_address(number: int) -> str:
    """Of the card of the machine of that number: its last byte is the number."""
    return f"02:00:00:00:00:{number:02x}"


def _tap() -> int:
    """A new card in the network of this thread; the descriptor is its cable."""
    cable = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH14x", CARD.encode(), _IFF_TAP | _IFF_NO_PI)
    try:
        fcntl.ioctl(cable, _TUNSETIFF, request + bytes(ctypes.sizeof(ctypes.c_long)))
    except OSError:
        os.close(cable)
        raise
    return cable
