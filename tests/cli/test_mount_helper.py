"""`mount.chubby`: its exit codes, and mount(8) itself with the helper where it looks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chubby.cli import mount_helper
from chubby.cli.mount_helper import run
from chubby.errors import NoQuorum
from fuse_mount import mount_table
from fuse_mount.orders import Locator, Order
from fuse_mount.troubles import MountError, Trouble
from tests.cli.mounts import PATIENCE, Machine, cell, here, nobody

__all__ = ["cell", "here", "nobody"]

ADDRESS = "127.0.0.1:7201"


class Carried:
    """What the helper would have mounted; or what keeps it from doing so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        """Takes the place of what mounts."""
        self.place = str(place)
        self.orders: list[Order] = []
        self.error: BaseException | None = None
        monkeypatch.setattr(mount_helper, "carry_out", self.carry_out)

    def carry_out(self, order: Order) -> None:
        """Note it."""
        self.orders.append(order)
        if self.error is not None:
            raise self.error


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch, nobody: Path) -> Carried:
    """Nothing is mounted, and no cell is configured."""
    return Carried(monkeypatch, nobody)


def test_what_is_ordered(carried: Carried, tmp_path: Path) -> None:
    """Everything that the line of fstab says, and SPEC as it was written."""
    options = f"rw,ro,allow_other,noexec,nodev,timeout=3,log={tmp_path}/log,_netdev,nofail,x-y=z"
    assert run([ADDRESS, "place", "-n", "-o", options]) == 0
    assert carried.orders == [
        Order(
            directory=carried.place,
            source=ADDRESS,
            locator=Locator(addresses=(ADDRESS,), directory=str(tmp_path)),
            read_only=True,
            allow_other=True,
            kernel=("noexec", "nodev"),
            timeout=3.0,
            log=f"{tmp_path}/log",
        )
    ]


def test_all_cells_are_ordered(carried: Carried) -> None:
    """Without any of them being there."""
    assert run(["all", "place"]) == 0
    assert carried.orders[0].every and carried.orders[0].source == "all"


def test_one_may_only_look(carried: Carried, capsys: pytest.CaptureFixture[str]) -> None:
    """-f does everything but mount; -v says what was done."""
    assert run([ADDRESS, "place", "-f", "-v"]) == 0
    assert carried.orders == []
    assert capsys.readouterr().out == f"mount.chubby: {ADDRESS} could be mounted at {carried.place}\n"
    assert run([ADDRESS, "place", "-v"], "mount.fuse.chubby") == 0
    assert capsys.readouterr().out == f"mount.fuse.chubby: {ADDRESS} is mounted at {carried.place}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([], 1, "say what to mount, and where: SPEC DIR\nusage: mount.chubby SPEC DIR [-sfnv] [-o OPTIONS]"),
        ([ADDRESS, "place", "-o", "what"], 1, "unknown option 'what'\nusage: "),
        ([ADDRESS, "none"], 32, "none is not there: make the directory first"),
        (["local", "place"], 32, "no configuration of the cell 'local'"),
        (["./x.toml", "place"], 32, "x.toml: cannot be read"),
        ([ADDRESS, "place", "-o", "log=none/log"], 32, "none/log: No such file or directory"),
    ],
)
def test_what_cannot_be(
    carried: Carried, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, complaint: str
) -> None:
    """The codes of mount(8); the reason on stderr, behind the program's name."""
    assert run(arguments) == code
    assert carried.orders == []
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("mount.chubby: ") and complaint in captured.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NoQuorum("no quorum: nobody is there"), 32, "mount.chubby: no quorum: nobody is there\n"),
        (MountError(Trouble.FUSE, "no FUSE here"), 32, "mount.chubby: no FUSE here\n"),
        (MountError(Trouble.REFUSED, "only root may"), 1, "mount.chubby: only root may\n"),
        (KeyboardInterrupt(), 8, ""),
        (ZeroDivisionError("a mistake"), 4, "ZeroDivisionError: a mistake\n"),
    ],
)
def test_what_goes_wrong(
    carried: Carried, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    """Each kind has its code."""
    carried.error = error
    assert run([ADDRESS, "place"]) == code
    assert capsys.readouterr().err.endswith(said)


# ---------------------------------------------------------------------------------------------------- with mount(8)


class Sbin:
    """A shell in a table of mounts of its own, in which mount(8) finds our helper. It ends with all it has mounted."""

    def __init__(self, here: Machine) -> None:
        """/usr/sbin is covered by a copy in memory, of this shell alone."""
        self._here = here
        helper = Path(sys.executable).with_name("mount.fuse.chubby")
        assert helper.exists(), "it comes with the package: make setup"
        self._script = (
            "set -e; mkdir -p upper; mount -t tmpfs none upper; mkdir upper/u upper/w; sbin=$(realpath /sbin)\n"
            "mount -t overlay overlay -o lowerdir=$sbin,upperdir=upper/u,workdir=upper/w $sbin\n"
            f"ln -s {helper} $sbin/mount.fuse.chubby; ln -s {helper} $sbin/mount.chubby; set +e\n"
        )

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run it there; what is still mounted in the end is unmounted, so that its process ends too."""
        script = f"{self._script}trap 'umount -a --types fuse.chubby' EXIT\n{script}"
        return subprocess.run(
            ["unshare", "--mount", "bash", "-c", script],
            cwd=self._here.directory,
            env=self._here.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )


@pytest.fixture
def sbin(here: Machine) -> Sbin:
    """A shell with the helper."""
    return Sbin(here)


@pytest.mark.fuse
@pytest.mark.parametrize("kind", ["fuse.chubby", "chubby"])
def test_mount_finds_the_helper(sbin: Sbin, here: Machine, kind: str) -> None:
    """`mount -t fuse.chubby local /mnt`, with options of everybody; umount ends it."""
    result = sbin.run(
        f"mount -t {kind} local {here.place} -o noexec,nosuid,_netdev,allow_other && echo hello >place/hello &&\n"
        "cat place/hello && findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS place && umount place && ls place"
    )
    assert (result.returncode, result.stderr) == (0, "")
    hello, line = result.stdout.splitlines()
    assert hello == "hello"
    source, found, options = line.split()
    assert (source, found) == ("local", "fuse.chubby")
    assert {"noexec", "nosuid", "nodev", "allow_other", "rw"} <= set(options.split(","))
    assert not here.new_sessions(), "the process has ended"
    assert mount_table.at(str(here.place)) is None


@pytest.mark.fuse
def test_a_line_of_fstab(sbin: Sbin, here: Machine) -> None:
    """`mount DIR`, and `mount -a` once and again: it knows what is mounted by SPEC and DIR."""
    table = here.directory / "fstab"
    table.write_text(f"{here.cell.file} {here.place} fuse.chubby ro,nofail,_netdev,x-systemd.mount-timeout=30 0 0\n")
    result = sbin.run(
        f"mount -T {table} -a && mount -T {table} -a && findmnt --noheadings --output SOURCE,OPTIONS place &&\n"
        f"umount place && mount -T {table} place && touch place/x"
    )
    assert result.returncode == 1 and "Read-only file system" in result.stderr
    assert len(result.stdout.splitlines()) == 1
    source, options = result.stdout.split()
    assert source == str(here.cell.file) and options.startswith("ro,")


@pytest.mark.fuse
def test_mount_passes_on_what_goes_wrong(sbin: Sbin, here: Machine) -> None:
    """The helper's words and its exit code."""
    unknown = sbin.run(f"mount -t fuse.chubby local {here.place} -o uid=0")
    assert unknown.returncode == 1 and "mount.fuse.chubby: unknown option 'uid=0'" in unknown.stderr
    nobody = sbin.run(f"mount -t fuse.chubby 127.0.0.1:1 {here.place} -o timeout=0.5")
    assert nobody.returncode == 32 and "mount.fuse.chubby: no quorum" in nobody.stderr
    full = sbin.run(f"touch place/x && mount -t fuse.chubby local {here.place}")
    assert full.returncode == 32 and "is not empty" in full.stderr
