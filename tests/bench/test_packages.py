"""The peers' packages: installed only as root, and without their services."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.compiled import build
from bench.peers import etcd, packages, zookeeper
from bench.peers.etcd import Etcd
from bench.peers.packages import REFUSE, install, missing, services_refused
from bench.peers.system import Unavailable
from bench.peers.zookeeper import ZooKeeper

DPKG = """#!/bin/sh
for last; do :; done
test "$last" = there && printf installed
"""
APT = """#!/bin/sh
echo "$@" >> {log}
test -x {policy} && echo "services refused" >> {log}
exit {code}
"""


class Debian:
    """A machine of our own making: its tools only note what they are asked."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._place = place
        self.log = place / "log"
        self.policy = place / "policy-rc.d"
        self.tools = place / "tools"
        self.tools.mkdir()
        self.tool("dpkg-query", DPKG)
        self.apt(0)
        monkeypatch.setenv("PATH", f"{self.tools}:/usr/bin:/bin")
        monkeypatch.setattr(packages, "POLICY", self.policy)
        monkeypatch.setattr(packages, "SERVICES", ())

    def tool(self, name: str, text: str) -> None:
        """A program that comes before the machine's."""
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def apt(self, code: int) -> None:
        """How apt-get is going to end."""
        self.tool("apt-get", APT.format(log=self.log, policy=self.policy, code=code))


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    """Where the package `there` is installed and nothing else."""
    return Debian(tmp_path, monkeypatch)


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_what_is_there_is_not_installed_again(debian: Debian) -> None:
    """Then nobody needs to be root, and apt is not asked."""
    assert missing(["there"]) == []
    assert install(["there"]) == []
    assert not debian.log.exists()


def test_who_is_not_root_is_told_the_command(debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is tried."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match=r"sudo apt-get install absent$"):
        install(["there", "absent"])
    assert not debian.log.exists()


def test_root_installs_what_is_missing_with_services_refused(debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only meanwhile: afterwards the policy is gone."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert install(["there", "absent"]) == ["absent"]
    said = debian.log.read_text().splitlines()
    assert said[0].endswith("update")
    assert said[2].endswith("install --yes --no-install-recommends absent")
    assert said[1] == said[3] == "services refused"
    assert not debian.policy.exists()


def test_what_apt_cannot_do_is_an_error_and_the_policy_is_gone_too(
    debian: Debian, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its words."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    debian.apt(100)
    with pytest.raises(Unavailable, match=r"apt-get update failed"):
        install(["absent"])
    assert not debian.policy.exists()


def test_a_policy_that_was_there_comes_back(debian: Debian) -> None:
    """As it was, even if what is done meanwhile fails."""
    debian.policy.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(KeyboardInterrupt), services_refused():
        assert debian.policy.read_text() == REFUSE
        assert subprocess.run([debian.policy], check=False).returncode == 101
        raise KeyboardInterrupt
    assert debian.policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert [file.name for file in debian.policy.parent.glob("policy*")] == ["policy-rc.d"]


def test_elsewhere_than_on_debian_that_is_said(nothing_installed: Path) -> None:
    """Clearly."""
    with pytest.raises(Unavailable, match="no Debian"):
        missing(["etcd-server"])


def test_a_peer_that_is_not_there_says_how_to_get_it(nothing_installed: Path) -> None:
    """By the names of its packages."""
    with pytest.raises(Unavailable, match=" ".join(etcd.PACKAGES)):
        Etcd().version()
    with pytest.raises(Unavailable, match=" ".join(zookeeper.PACKAGES)):
        ZooKeeper().version()


def test_a_compiler_that_is_not_there_says_how_to_get_it(nothing_installed: Path) -> None:
    """By the names of its packages."""
    with pytest.raises(Unavailable, match=" ".join(build.GO_PACKAGES)):
        build.build_etcd(nothing_installed / "build")
    with pytest.raises(Unavailable, match=" ".join(build.JAVA_PACKAGES)):
        build.build_zookeeper(nothing_installed / "build")


def test_the_files_of_peers_name_all_members(tmp_path: Path) -> None:
    """Five, each with ports of its own, in a directory of its own."""
    keeper = ZooKeeper()
    members = keeper.lay_out(tmp_path, 5)
    ports = {port for member in members for port in (member.port, *member.peer)}
    assert len(ports) == 15
    for member in members:
        text = (member.directory / "zoo.cfg").read_text()
        assert text.count("server.") == 5
        assert f"clientPort={member.port}\n" in text
        assert (member.directory / "data/myid").read_text() == f"{member.number}\n"


def test_the_command_of_an_etcd_names_all_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And switches no safety off."""
    (tmp_path / "etcd").write_text("#!/bin/sh\necho 'etcd Version: 3.4.0'\n")
    (tmp_path / "etcd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    system = Etcd()
    members = system.lay_out(tmp_path, 5)
    command = " ".join(system.command(members[2]))
    assert system.version() == "3.4.0"
    assert all(f"n{number}=http://" in command for number in range(1, 6))
    assert "unsafe" not in command
    assert system.role(members[0]) is None
