"""The peers' Debian packages: installed when root, and never as services of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers.system import Unavailable

POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian's packages ask before they start a service."""
REFUSE = (
    "#!/bin/sh\n# Put here while the peers of a comparison are installed: their services are not to start.\nexit 101\n"
)
SERVICES = ("etcd", "zookeeper")


def missing(packages: Sequence[str]) -> list[str]:
    """Those that are not installed. Raises Unavailable where there is no dpkg."""
    query = shutil.which("dpkg-query")
    if query is None:
        raise Unavailable(
            "the peers come as Debian packages, and this is no Debian: install etcd and ZooKeeper yourself"
        )
    return [package for package in packages if not _installed(query, package)]


def _installed(query: str, package: str) -> bool:
    asked = [query, "--show", "--showformat", "${db:Status-Status}", package]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "installed"


def install(packages: Sequence[str]) -> list[str]:
    """Install what is missing; gives what that was. Raises Unavailable if it cannot be done here, with the reason."""
    wanted = missing(packages)
    if not wanted:
        return []
    if os.geteuid() != 0:
        raise Unavailable(f"not root, so nothing is installed: sudo apt-get install {' '.join(wanted)}")
    with services_refused():
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *wanted)
    _disable_services()
    return wanted


@contextmanager
def services_refused() -> Iterator[None]:
    """No package that is installed meanwhile starts a service; afterwards the machine's own policy holds again."""
    saved = POLICY.with_name(f"{POLICY.name}.saved-by-bench")
    if POLICY.exists():
        POLICY.rename(saved)
    try:
        POLICY.write_text(REFUSE)
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if saved.exists():
            saved.rename(POLICY)


def _disable_services() -> None:
    """So that they do not start with the machine either."""
    control = shutil.which("systemctl")
    for service in SERVICES if control is not None else ():
        subprocess.run([str(control), "disable", "--quiet", service], capture_output=True, check=False)


def _apt(*arguments: str) -> None:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "--quiet", *arguments],
        env=quiet,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(f"apt-get {' '.join(arguments)} failed:\n{done.stderr.strip()}")
