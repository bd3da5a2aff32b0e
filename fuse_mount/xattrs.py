"""Extended attributes: what a node says of itself beyond `struct stat`, and what programs keep with a file. PURE.

`getfattr -d F` shows all of it. Values are text without a newline; only ACL names may be more than ASCII.

| `user.chubby.`                | shows                                                     | comes from | can be set |
|-------------------------------|-----------------------------------------------------------|------------|------------|
| `instance`                    | which node this is, among all that ever bore its name     | Stat       |            |
| `content_generation`          | how many contents it has had                              | Stat       |            |
| `acl_generation`              | how many triples of ACL names it has had                  | Stat       |            |
| `checksum`                    | of the content, 16 hexadecimal digits                     | Stat       |            |
| `ephemeral`                   | `1`: it goes with the sessions that have it open; or `0`  | Stat       | see below  |
| `acl.read` `.write` `.change` | the names of its access-control lists                     | Stat       | yes        |
| `lock_generation`             | how often the lock was taken                              | LockInfo   |            |
| `lock.mode`                   | `exclusive`, `shared`, `free`, `delayed` (by lock-delay)  | LockInfo   |            |
| `lock.token`                  | fencing token of the present, or last, hold period        | LockInfo   |            |
| `lock.holders`                | `session/handle` of each holder, with spaces between      | LockInfo   |            |
| `lock.waiters`                | how many wait                                             | LockInfo   |            |
| `sequencer`                   | of the lock the caller holds, hexadecimal; else empty     | the holder |            |

The names are known without asking anybody (listxattr is called for every file by some listings), so all are listed,
and what there is nothing to say of is empty. `ephemeral` can be set until a new file is first closed; accepted are 1,
0, true, false, yes, no. Setting what is so already succeeds, at any time.

Any other `user.NAME` is kept in the node's attribute map as `xattr.NAME`, if it fits (1 KiB for all that a node keeps).
There an empty value means "none", so a value of NULs alone, or of nothing, is kept with one NUL more. `security.*`,
`system.*`, `trusted.*` and the rest: EOPNOTSUPP, whether they are asked for or set. cp, mv and tar go on in silence
then, and `ls -l` asks for the first file alone, where on ENODATA it would ask for each. So is what cannot be set of the
above: mv copies a directory with all it shows.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Callable
from typing import Final

import msgspec

from chubby import paths
from chubby.errors import BadPath
from chubby.types.nodes import LockInfo, Stat
from fuse_mount.attributes import keeping_times

__all__ = [
    "KEPT_PREFIX",
    "OURS",
    "SEQUENCER",
    "XATTR_CREATE",
    "XATTR_REPLACE",
    "AclNamed",
    "Change",
    "Kept",
    "MadeEphemeral",
    "Need",
    "Nothing",
    "names_of",
    "need_of",
    "removal",
    "setting",
    "value_of",
]

XATTR_CREATE: Final = 1
"""A flag of setxattr(2): the attribute must not be there."""
XATTR_REPLACE: Final = 2
"""A flag of setxattr(2): it must be there."""

OURS: Final = "user.chubby."
"""What the names of the above table begin with."""
KEPT_PREFIX: Final = "xattr."
"""What the attributes of a node begin with that keep other extended attributes."""
SEQUENCER: Final = OURS + "sequencer"
EPHEMERAL: Final = OURS + "ephemeral"

_USER: Final = "user."
_NAME_BYTES: Final = 255
"""The longest name of an extended attribute that Linux passes on."""
_TEXT_BYTES: Final = 4096
"""The longest value shown: of more holders than fit, the last are left out."""
_TRUTHS: Final = {b"1": True, b"true": True, b"yes": True, b"0": False, b"false": False, b"no": False}


class Need(enum.Enum):
    """What has to be known of a node, besides its Stat, for the value of an attribute."""

    NOTHING = "nothing"
    LOCK = "lock"
    SEQUENCER = "sequencer"


class Nothing(msgspec.Struct, frozen=True, tag="nothing"):
    """It is so already."""


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """Change these attributes of the node."""

    attributes: dict[str, bytes]


class AclNamed(msgspec.Struct, frozen=True, tag="acl_named"):
    """Name these access-control lists, if the ACL generation is this one still: two of the names are as it was read."""

    read: str
    write: str
    change: str
    generation: int


class MadeEphemeral(msgspec.Struct, frozen=True, tag="made_ephemeral"):
    """Make the new file one that is ephemeral, or is not."""

    ephemeral: bool


Change = Nothing | Kept | AclNamed | MadeEphemeral
"""What setting or removing an extended attribute comes to."""


def _mode_text(lock: LockInfo) -> str:
    if lock.mode is not None:
        return lock.mode.name.lower()
    return "delayed" if lock.delayed else "free"


def _holders_text(lock: LockInfo) -> str:
    text = " ".join(f"{owner.session}/{owner.handle}" for owner in lock.holders)
    return text if len(text) <= _TEXT_BYTES else text[: text.rindex(" ", 0, _TEXT_BYTES - 3)] + " ..."


_OF_STAT: Final[dict[str, Callable[[Stat], str]]] = {
    "instance": lambda stat: str(stat.instance),
    "content_generation": lambda stat: str(stat.content_generation),
    "acl_generation": lambda stat: str(stat.acl_generation),
    "checksum": lambda stat: f"{stat.checksum:016x}",
    "ephemeral": lambda stat: str(int(stat.ephemeral)),
    "acl.read": lambda stat: stat.acl.read,
    "acl.write": lambda stat: stat.acl.write,
    "acl.change": lambda stat: stat.acl.change,
}
_OF_LOCK: Final[dict[str, Callable[[LockInfo], str]]] = {
    "lock_generation": lambda lock: str(lock.generation),
    "lock.mode": _mode_text,
    "lock.token": lambda lock: str(lock.token),
    "lock.holders": _holders_text,
    "lock.waiters": lambda lock: str(len(lock.waiters)),
}
_OUR_NAMES: Final = tuple(OURS + name for name in (*_OF_STAT, *_OF_LOCK, "sequencer"))
_ACL_FIELDS: Final = {f"{OURS}acl.{field}": field for field in ("read", "write", "change")}


# -------------------------------------------------------------------------------------------------------------- reading


def names_of(stat: Stat) -> list[str]:
    """The names of all extended attributes of a node: ours, then those that programs keep."""
    kept = (name.removeprefix(KEPT_PREFIX) for name, value in stat.attributes.items() if value and _is_kept(name))
    return [*_OUR_NAMES, *(_USER + name for name in kept)]


def need_of(name: str) -> Need:
    """What `value_of` has to be given for this name besides the Stat. Raises OSError EOPNOTSUPP: it has no value.

    Nothing has to be known of the node for that: `security.capability` is asked for before every write.
    """
    _check_space(name)
    if name == SEQUENCER:
        return Need.SEQUENCER
    return Need.LOCK if name.startswith(OURS) and name.removeprefix(OURS) in _OF_LOCK else Need.NOTHING


def value_of(name: str, stat: Stat, lock: LockInfo | None = None, sequencer: bytes = b"") -> bytes:
    """The value of an extended attribute. `sequencer`: that of the lock which the caller holds.

    `lock` must be given where `need_of` says so. Raises OSError ENODATA: there is none; and what `need_of` raises.
    """
    _check_space(name)
    if name == SEQUENCER:
        return sequencer.hex().encode()
    if name.startswith(OURS):
        ours = name.removeprefix(OURS)
        if ours in _OF_STAT:
            return _OF_STAT[ours](stat).encode()
        if ours in _OF_LOCK:
            assert lock is not None, f"{name} needs the lock"
            return _OF_LOCK[ours](lock).encode()
        raise _missing(name)
    value = stat.attributes.get(_kept_name(name))
    if not value:
        raise _missing(name)
    return value if value.strip(b"\0") else value[:-1]


# ------------------------------------------------------------------------------------------------------------- changing


def setting(name: str, value: bytes, flags: int, stat: Stat, fresh: bool = False) -> Change:
    """What setting `name` comes to. `fresh`: this is a new file that was not closed yet.

    Raises OSError: EOPNOTSUPP (cannot be set), EINVAL (not such a value), EEXIST or ENODATA (`flags`), ENOSPC (no
    room), EILSEQ (the name is no text).
    """
    if name in _OUR_NAMES:
        if flags & XATTR_CREATE:
            raise OSError(errno.EEXIST, f"{name} is always there")
        return _setting_ours(name, value, stat, fresh)
    if _text_bytes(name) is None:
        raise OSError(errno.EILSEQ, "the name of an extended attribute is UTF-8 text here", ascii(name))
    if name.startswith(OURS) or not _is_keepable(name):
        raise OSError(errno.EOPNOTSUPP, f"{name!a} cannot be set here")
    key = _kept_name(name)
    there = bool(stat.attributes.get(key))
    if flags & XATTR_CREATE and there:
        raise OSError(errno.EEXIST, f"{name} is there")
    if flags & XATTR_REPLACE and not there:
        raise _missing(name)
    stored = value if value.strip(b"\0") else value + b"\0"
    if stat.attributes.get(key) == stored:
        return Nothing()
    return Kept(keeping_times(stat, {key: stored}))


def removal(name: str, stat: Stat) -> Kept:
    """What removing `name` comes to. Raises OSError ENODATA if it is not there, EOPNOTSUPP if it is one of ours."""
    if name in _OUR_NAMES:
        raise OSError(errno.EOPNOTSUPP, f"{name} is always there")
    if name.startswith(OURS) or not name.startswith(_USER) or not stat.attributes.get(_kept_name(name)):
        raise _missing(name)
    return Kept(keeping_times(stat, {_kept_name(name): b""}))


def _setting_ours(name: str, value: bytes, stat: Stat, fresh: bool) -> Change:
    if name == EPHEMERAL:
        ephemeral = _TRUTHS.get(value.lower())
        if ephemeral is None:
            raise OSError(errno.EINVAL, f"{name} is 1 or 0")
        if ephemeral == stat.ephemeral:
            return Nothing()
        if not fresh:
            raise OSError(errno.EOPNOTSUPP, f"{name} can be set until a new file is first closed")
        return MadeEphemeral(ephemeral)
    if name in _ACL_FIELDS:
        try:
            list_name = paths.validate_acl_name(value.decode())
        except (UnicodeDecodeError, BadPath):
            raise OSError(errno.EINVAL, f"{name} is the name of an access-control list") from None
        acl = msgspec.structs.replace(stat.acl, **{_ACL_FIELDS[name]: list_name})
        return Nothing() if acl == stat.acl else AclNamed(acl.read, acl.write, acl.change, stat.acl_generation)
    if need_of(name) is Need.NOTHING and value_of(name, stat) == value:
        return Nothing()
    raise OSError(errno.EOPNOTSUPP, f"{name} cannot be set")


def _is_keepable(name: str) -> bool:
    """Whether this may be the name of an attribute kept in the node."""
    size = _text_bytes(name)
    return size is not None and name.startswith(_USER) and len(_USER) < size <= _NAME_BYTES and "\0" not in name


def _text_bytes(name: str) -> int | None:
    """How long the name is in UTF-8; None if it is no text."""
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        return None


def _is_kept(attribute: str) -> bool:
    """Whether an attribute of a node keeps an extended attribute; one with a name that cannot be is somebody else's."""
    if not attribute.startswith(KEPT_PREFIX):
        return False
    name = _USER + attribute.removeprefix(KEPT_PREFIX)
    return not name.startswith(OURS) and _is_keepable(name)


def _kept_name(name: str) -> str:
    return KEPT_PREFIX + name.removeprefix(_USER)


def _check_space(name: str) -> None:
    if not name.startswith(_USER):
        raise OSError(errno.EOPNOTSUPP, f"there is nothing but {_USER}* here, and so no {name!a}")


def _missing(name: str) -> OSError:
    return OSError(errno.ENODATA, f"there is no {name!a}")
