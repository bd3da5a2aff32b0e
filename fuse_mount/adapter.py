"""From libfuse's callbacks to a FileSystem: the one table of what libfuse may ask, as C sees it.

What is not in it libfuse and the kernel answer themselves: without `lseek`, `copy_file_range` and `fallocate` the
kernel does as it does where a file system has no opinion (holes are no holes, a copy is read and written, space is not
reserved).
"""

from __future__ import annotations

import ctypes
import errno
from typing import TYPE_CHECKING, Final

from fuse_mount.adapter_files import FileRequests
from fuse_mount.adapter_names import NameRequests
from fuse_mount.filesystem import FileSystem
from fuse_mount.library import Library
from fuse_mount.life import Life
from fuse_mount.requests import Callback, Requests

if TYPE_CHECKING:
    from mfusepy import fuse_config, fuse_conn_info, fuse_operations


def refusal(number: int) -> Callback:
    """A callback that never does it."""
    return lambda *_: -number


def table(files: FileSystem, library: Library, life: Life, requests: Requests) -> dict[str, Callback]:
    """Every callback by libfuse's name for it, `init` excepted."""
    from mfusepy import c_stat

    return {
        **NameRequests(files, requests, c_stat).table(),
        **FileRequests(files, requests, library, life).table(),
        "link": refusal(errno.EPERM),
        "symlink": refusal(errno.EPERM),
        "mknod": refusal(errno.EPERM),
        # Terminals and the like are asked for by ioctl(2); ENOTTY is how a file says that it is none.
        "ioctl": refusal(errno.ENOTTY),
    }


READ_ONLY: Final = {"flock": refusal(errno.EROFS), "lock": refusal(errno.EROFS)}
"""What is answered otherwise where nothing may be changed: the rest the kernel refuses itself."""


def operations(
    files: FileSystem, library: Library, life: Life, requests: Requests, read_only: bool = False
) -> fuse_operations:
    """The same in C. It keeps alive what it points to."""
    made = library.operations()
    prototypes = dict(field[:2] for field in made._fields_)
    for name, method in {**table(files, library, life, requests), **(READ_ONLY if read_only else {})}.items():
        setattr(made, name, prototypes[name](requests.answering(name, method)))
    made.init = prototypes["init"](_initialised)
    return made


def _initialised(_connection: ctypes._Pointer[fuse_conn_info], config: ctypes._Pointer[fuse_config]) -> None:
    """How libfuse shall go about it: it asks before the first request."""
    there = config.contents
    there.nullpath_ok = 1  # whoever waits for a lock holds no path
    there.hard_remove = 1  # an open file that is removed is gone, instead of getting another name
    there.use_ino = 1  # an inode number is the node's, not libfuse's
    # An invalidation that meets the first look-up of a name would otherwise leave an old size behind for good.
    there.entry_timeout = there.attr_timeout = there.negative_timeout = 0.0
