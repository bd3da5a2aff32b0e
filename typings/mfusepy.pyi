"""What we use of mfusepy 3.1, which comes without types: the structures and prototypes of the libfuse it found."""

import ctypes
from typing import Any, ClassVar

fuse_version_major: int
fuse_version_minor: int

_libfuse: ctypes.CDLL

class c_timespec(ctypes.Structure):
    tv_sec: int
    tv_nsec: int

class c_utimbuf(ctypes.Structure):
    actime: c_timespec
    modtime: c_timespec

class c_stat(ctypes.Structure):
    st_atimespec: c_timespec
    st_mtimespec: c_timespec
    st_ctimespec: c_timespec

class c_statvfs(ctypes.Structure): ...

class c_flock_t(ctypes.Structure):
    l_type: int
    l_whence: int
    l_start: int
    l_len: int
    l_pid: int

class fuse_file_info(ctypes.Structure):
    flags: int
    direct_io: int
    keep_cache: int
    nonseekable: int
    fh: int
    lock_owner: int

class fuse_context(ctypes.Structure):
    uid: int
    gid: int
    pid: int

class fuse_conn_info(ctypes.Structure): ...

class fuse_config(ctypes.Structure):
    entry_timeout: float
    negative_timeout: float
    attr_timeout: float
    hard_remove: int
    use_ino: int
    nullpath_ok: int

class fuse_operations(ctypes.Structure):
    # Each field but a flag is a pointer to a function: the third part of a tuple is a width in bits.
    _fields_: ClassVar[list[tuple[str, Any]]]

# What only bench/plain_files.py uses, of the way in which mfusepy itself is meant to be used.

class Operations: ...

class FuseOSError(OSError):
    def __init__(self, errno: int) -> None: ...

class FUSE:
    def __init__(self, operations: Operations, mountpoint: str, *, foreground: bool = ..., **options: str) -> None: ...
