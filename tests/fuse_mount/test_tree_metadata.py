"""Mode, owner and times: kept in the node, whatever is written to it or becomes of it meanwhile."""

from __future__ import annotations

import errno
import os
import stat as posix

import pytest

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Transact
from chubby.types.transaction import Remove, WriteAttributes
from tests.fuse_mount.shown import CALLER, GROUP, USER, Shown, refused, remade, shown_fixture

__all__ = ["shown_fixture"]


def test_mode_owner_and_times_are_kept_in_the_node(here: Shown) -> None:
    """And shown by every mount of the cell; nothing is enforced from them."""
    here.put("/a", b"text")
    here.files.chmod("/a", 0o600)
    here.files.chown("/a", 7, -1)
    here.files.utimens("/a", (10, 20))
    found = here.files.getattr("/a")
    assert found["st_mode"] == posix.S_IFREG | 0o600 and (found["st_uid"], found["st_gid"]) == (7, GROUP)
    assert (found["st_atime"], found["st_mtime"]) == (10, 20)
    assert set(here.stat("/a").attributes) == {"posix.mode", "posix.owner", "posix.times"}


def test_what_is_so_already_costs_nothing(here: Shown) -> None:
    """`chmod 644` of what shows that."""
    here.put("/a")
    assert here.exists("/a")
    here.forget()
    here.files.chmod("/a", 0o644)
    here.files.chown("/a", USER, -1)
    assert here.calls() == {}


def test_touch_sets_the_time_of_now(here: Shown) -> None:
    """The mount's clock, as with any machine's own files."""
    here.put("/a")
    before = here.files.getattr("/a")["st_mtime"]
    here.files.utimens("/a", None)
    found = here.files.getattr("/a")
    assert found["st_mtime"] == found["st_atime"] > before


def test_the_root_and_directories_keep_them_too(here: Shown) -> None:
    """As `cp -a` and `rsync -a` ask for."""
    here.files.mkdir("/d", 0o755, CALLER)
    for path in ("/", "/d"):
        here.files.chmod(path, 0o700)
        here.files.utimens(path, (10, 20))
        found = here.files.getattr(path)
        assert found["st_mode"] == posix.S_IFDIR | 0o700 and found["st_mtime"] == 20


def test_a_mode_is_kept_beside_what_is_not_yet_saved(here: Shown) -> None:
    """sed -i and editors do it in this order; and nothing of either is lost."""
    here.put("/a", b"text")
    file = here.open("/a", os.O_RDWR)
    here.files.write(file, b"unsaved", 0)
    here.files.chmod("/a", 0o600)
    here.files.chown("/a", 7, 8)
    assert here.contents("/a") == b"text" and here.size("/a") == 7
    here.close_file(file)
    found = here.files.getattr("/a")
    assert here.contents("/a") == b"unsaved" and found["st_mode"] == posix.S_IFREG | 0o600 and found["st_uid"] == 7


def test_a_time_that_is_set_before_the_close_outlasts_it(here: Shown) -> None:
    """`cp -p` writes, sets the times, and only then closes."""
    file = here.create("/a")
    here.files.write(file, b"text", 0)
    here.files.utimens("/a", (10, 20))
    here.close_file(file)
    found = here.files.getattr("/a")
    assert here.contents("/a") == b"text" and found["st_mtime"] == 20
    here.put("/a", b"changed")
    assert here.files.getattr("/a")["st_mtime"] != 20, "it was that of the content before"


@pytest.mark.parametrize("act", ["chmod", "chown", "utimens"])
def test_a_node_that_is_made_again_meanwhile_keeps_what_it_has(here: Shown, act: str) -> None:
    """ESTALE: the kernel then looks the name up again, and repeats the call."""
    here.put("/a")
    assert here.exists("/a")
    here.meddled.before(Transact, *remade("/a", b"another"))
    acts = {
        "chmod": lambda: here.files.chmod("/a", 0o600),
        "chown": lambda: here.files.chown("/a", 7, 8),
        "utimens": lambda: here.files.utimens("/a", (10, 20)),
    }
    with refused(errno.ESTALE):
        acts[act]()
    assert here.stat("/a").attributes == {}
    acts[act]()
    assert here.stat("/a").attributes != {}


def test_a_node_that_goes_meanwhile(here: Shown) -> None:
    """ENOENT."""
    here.put("/a")
    assert here.exists("/a")
    here.meddled.before(Transact, Remove("/a"))
    with refused(errno.ENOENT):
        here.files.chmod("/a", 0o600)


def test_attributes_that_do_not_fit_are_a_full_disk(here: Shown) -> None:
    """ENOSPC, as setxattr(2) says; not "file too large"."""
    here.put("/a")
    here.elsewhere.transaction([], [WriteAttributes("/a", {"other": b"x" * 1015})])
    with refused(errno.ENOSPC):
        here.files.chown("/a", 4_000_000_000, 4_000_000_000)


def test_attributes_that_no_longer_fit(here: Shown) -> None:
    """Somebody has filled the map meanwhile, and the cell refuses: ENOSPC all the same."""
    here.put("/a")
    assert here.exists("/a")
    here.meddled.refuse(Transact, Failure(ErrorCode.TOO_LARGE, "1025 bytes of attributes"))
    with refused(errno.ENOSPC):
        here.files.chown("/a", 7, 8)
