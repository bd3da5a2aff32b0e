"""Why nothing can be mounted here, in words that help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuse_mount import library
from fuse_mount.library import FuseUnavailable, device_trouble, privilege_trouble
from fuse_mount.troubles import MountError, Trouble

FULL = "CapEff:\t000001ffffffffff\n"
CONTAINER = "Name:\tpython\nCapEff:\t00000000a80425fb\n"


def status(tmp_path: Path, text: str) -> Path:
    """A /proc/self/status."""
    file = tmp_path / "status"
    file.write_text(text)
    return file


def test_no_device(tmp_path: Path) -> None:
    """The module is not loaded, or the container has none."""
    assert "modprobe fuse" in str(device_trouble(tmp_path / "fuse"))


def test_a_device_that_opens_is_no_trouble() -> None:
    """Nothing is mounted to find out."""
    assert device_trouble(Path("/dev/null")) is None


def test_a_device_that_cannot_be_opened(tmp_path: Path) -> None:
    """With the system's own words."""
    assert str(device_trouble(tmp_path)).endswith("Is a directory")


def test_a_device_that_is_closed_to_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do, as root and in a container."""

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    trouble = str(device_trouble(tmp_path))
    assert "chmod 666" in trouble and "--device" in trouble


def test_root_with_all_privileges_needs_no_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the mount shall be cleared away after a kill."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert privilege_trouble(False, status(tmp_path, FULL)) is None
    assert "install fuse3" in str(privilege_trouble(True, status(tmp_path, FULL)))


@pytest.mark.parametrize(("user", "expected"), [(0, "--cap-add SYS_ADMIN"), (1000, None)])
def test_without_the_privilege_to_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, expected: str | None
) -> None:
    """fusermount3 helps a user, but not root in a container."""
    helper = tmp_path / "fusermount3"
    helper.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    trouble = privilege_trouble(False, status(tmp_path, CONTAINER))
    assert trouble is None if expected is None else expected in str(trouble)
    helper.unlink()
    assert "install fuse3" in str(privilege_trouble(False, status(tmp_path, CONTAINER)))


def test_a_status_that_says_nothing_is_no_privilege(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The careful reading."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert privilege_trouble(False, status(tmp_path, "")) is not None


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError("Unable to find libfuse"), "install fuse3"),
        (NotImplementedError("no such system"), "install fuse3"),
        (ImportError("No module named 'mfusepy'"), "pip install mfusepy"),
    ],
)
def test_what_does_not_load_is_a_reason(monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str) -> None:
    """The variable by which mfusepy chooses is put back even then."""

    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "mfusepy":
                raise error

    monkeypatch.delitem(sys.modules, "mfusepy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.setenv("FUSE_LIBRARY_NAME", "theirs")
    with pytest.raises(FuseUnavailable, match=advice) as caught:
        library.load.__wrapped__()
    assert caught.value.reason == str(caught.value)
    assert caught.value.trouble is Trouble.FUSE and isinstance(caught.value, MountError)
    assert os.environ["FUSE_LIBRARY_NAME"] == "theirs"


def test_a_libfuse_that_is_too_old_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said which is needed, or what it lacks."""

    class Old:
        fuse_version_major, fuse_version_minor = 3, 10

    class Strange(Old):
        fuse_version_minor = 99
        _libfuse = type("Named", (), {"_name": None})
        fuse_operations = fuse_context = None

    monkeypatch.setitem(sys.modules, "mfusepy", Old)
    with pytest.raises(FuseUnavailable, match=r"3\.10 is too old, 3\.12 is needed"):
        library.load.__wrapped__()
    monkeypatch.setitem(sys.modules, "mfusepy", Strange)
    with pytest.raises(FuseUnavailable, match="fuse_"):
        library.load.__wrapped__()


def test_other_systems_have_no_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is loaded."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(FuseUnavailable, match="Linux"):
        library.load.__wrapped__()


def test_unavailable_says_what_load_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first trouble of all."""

    def missing() -> None:
        raise FuseUnavailable("because")

    monkeypatch.setattr(library, "load", missing)
    assert library.unavailable() == "because"


def test_importing_the_binding_loads_no_libfuse() -> None:
    """A machine without it can still say so."""
    script = "import sys, fuse_mount.binding; print('mfusepy' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
