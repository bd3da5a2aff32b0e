"""Names: `/ls/<cell>/a/b/c`, taken apart, checked, and walked (DESIGN §1, §4; paper §2.3).

A *full name* is what a human types. It has three parts: the prefix `/ls`, the cell, and the *path* of the node inside
that cell, which is all that the cell itself ever sees. `/ls/local/svc/addr` is the path `/svc/addr` in the cell
`local`; `/ls/local` is that cell's root, the path `/`.

| a path                                             | because                                                        |
|----------------------------------------------------|----------------------------------------------------------------|
| begins with `/` and does not end with one (but `/`)| every node has exactly one spelling, so names compare as text  |
| has no component that is empty, `.` or `..`        | the same; a mount would give those three a meaning of its own  |
| is UTF-8 without NUL and other control characters  | a listing must not be able to forge lines on a terminal        |
| fits `PATH_LIMIT`, `NAME_LIMIT` and `DEPTH_LIMIT`  | names live in the memory of every replica                      |
| has no component `.contents` or `.chubby`          | a mount shows a node's own content and controls under them     |

Text is compared code point by code point: no case folding, no Unicode normalisation.

`validate` is called for each path of each call, hence its cache: the check of a name seen before is one dictionary
look-up, and what it returns is the very string object it saw first, which makes the look-ups after it cheaper too.
The functions that walk names (`parent`, `name_of`, `ancestors`, `is_below`) take validated paths and check nothing.
"""

from __future__ import annotations

import functools
import re
from typing import Final, NamedTuple

from chubby.errors import BadPath
from chubby.types.limits import DEPTH_LIMIT, NAME_LIMIT, PATH_LIMIT

__all__ = [
    "ACL_DIRECTORY",
    "CELL_NAME_LIMIT",
    "LOCAL_CELL",
    "PREFIX",
    "RESERVED_NAMES",
    "ROOT",
    "Name",
    "acl_file",
    "ancestors",
    "full_name",
    "is_below",
    "join",
    "name_of",
    "parent",
    "parse",
    "validate",
    "validate_acl_name",
    "validate_cell",
    "validate_name",
]

PREFIX: Final = "/ls"
"""What every full name begins with: the lock service."""
ROOT: Final = "/"
"""The path of a cell's root node; it always exists."""
LOCAL_CELL: Final = "local"
"""The cell name that means: the cell of the client's configuration."""
ACL_DIRECTORY: Final = "/acl"
"""The node whose children are the access-control lists."""
RESERVED_NAMES: Final = frozenset({".contents", ".chubby"})
"""Names that a mount gives a meaning of its own; refused at every level, at every door."""
CELL_NAME_LIMIT: Final = 63
"""Characters of a cell's name: one label of a host name."""

_CACHED_PATHS: Final = 16_384
"""Paths whose check is remembered: more than a cell's clients hold open, 16 MiB were all as long as they may be."""
_QUOTED: Final = 80
"""Characters of a refused name that its error repeats."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f]")
_CELL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")


class Name(NamedTuple):
    """A full name taken apart: the cell, and the path of the node inside it."""

    cell: str
    path: str


@functools.lru_cache(maxsize=_CACHED_PATHS)
def parse(name: str) -> Name:
    """Take the full name `/ls/<cell>/a/b/c` apart into `(cell, "/a/b/c")`, both checked.

    The cell may be `LOCAL_CELL`; what that stands for is the client's business. Raises BadPath.
    """
    if not name.startswith(PREFIX + "/"):
        raise _refusal(name, f"a full name begins with {PREFIX}/<cell>")
    cell, _, rest = name[len(PREFIX) + 1 :].partition("/")
    return Name(validate_cell(cell), validate("/" + rest))


def full_name(cell: str, path: str) -> str:
    """The full name of the node at `path` of `cell`: the inverse of `parse`."""
    return f"{PREFIX}/{cell}" if path == ROOT else f"{PREFIX}/{cell}{path}"


@functools.lru_cache(maxsize=_CACHED_PATHS)
def validate(path: str) -> str:
    """Return `path` if it is the legal path of a node inside a cell, else raise BadPath naming the rule it breaks."""
    if path == ROOT:
        return path
    if not path.startswith("/"):
        raise _refusal(path, "a path is absolute: it begins with '/'")
    _check_text(path, path, "path", PATH_LIMIT)
    if path.endswith("/"):
        raise _refusal(path, "a path does not end with '/'")
    names = path[1:].split("/")
    if len(names) > DEPTH_LIMIT:
        raise _refusal(path, f"a path has at most {DEPTH_LIMIT} components, this one has {len(names)}")
    for name in names:
        _check_component(name, path)
    return path


def validate_name(name: str) -> str:
    """Return `name` if it is legal as one component of a path, else raise BadPath naming the rule it breaks."""
    if "/" in name:
        raise _refusal(name, "a single name contains no '/'")
    _check_text(name, name, "name", NAME_LIMIT)
    _check_component(name, name)
    return name


def validate_cell(cell: str) -> str:
    """Return `cell` if it is a legal cell name, else raise BadPath.

    Cell names are also file names and directories of a mount: ASCII letters, digits, `-`, `_` and `.`, beginning
    with a letter or digit, at most `CELL_NAME_LIMIT` characters.
    """
    if not cell:
        raise _refusal(cell, f"the name of a cell is empty: write {PREFIX}/{LOCAL_CELL}/...")
    if len(cell) > CELL_NAME_LIMIT:
        raise _refusal(cell, f"the name of a cell has at most {CELL_NAME_LIMIT} characters, this one has {len(cell)}")
    if _CELL_NAME.match(cell) is None:
        raise _refusal(cell, "the name of a cell is ASCII letters, digits, '-', '_', '.', the first a letter or digit")
    return cell


def validate_acl_name(name: str) -> str:
    """Return `name` if it may name an access-control list (`anyone` may), else raise BadPath.

    What is legal is exactly what may be a child of `ACL_DIRECTORY`.
    """
    return validate_name(name)


def acl_file(name: str) -> str:
    """The path of the file that holds the access-control list `name`: `/acl/NAME`. Raises BadPath."""
    return validate(f"{ACL_DIRECTORY}/{validate_acl_name(name)}")


def parent(path: str) -> str:
    """The path of the node that `path` is a child of. Raises BadPath for the root, which has none."""
    if path == ROOT:
        raise _refusal(path, "the root has no parent")
    return path[: path.rfind("/")] or ROOT


def name_of(path: str) -> str:
    """The last component of `path`. Raises BadPath for the root, which has none."""
    if path == ROOT:
        raise _refusal(path, "the root has no name")
    return path[path.rfind("/") + 1 :]


def join(path: str, relative: str) -> str:
    """The path of `relative` (one component, or several with `/` between them) below the valid `path`.

    The result is checked: raises BadPath.
    """
    if not relative:
        raise _refusal(relative, "a relative name is empty")
    return validate(path + relative if path == ROOT else f"{path}/{relative}")


def ancestors(path: str) -> tuple[str, ...]:
    """All nodes that `path` lies below, the root first, its parent last; none for the root."""
    if path == ROOT:
        return ()
    found = [ROOT]
    end = path.find("/", 1)
    while end != -1:
        found.append(path[:end])
        end = path.find("/", end + 1)
    return tuple(found)


def is_below(path: str, ancestor: str) -> bool:
    """Whether `path` lies strictly below `ancestor`, at any depth."""
    if ancestor == ROOT:
        return path != ROOT
    return path.startswith(ancestor) and path[len(ancestor) : len(ancestor) + 1] == "/"


def _check_text(text: str, whole: str, what: str, limit: int) -> None:
    """Check the rules of `text` as a whole: its characters and its length in UTF-8."""
    if len(text) > limit:  # characters, at least as many bytes: spares encoding what is far too long
        raise _refusal(whole, f"a {what} has at most {limit} bytes of UTF-8, this one has more")
    if _UNPRINTABLE.search(text) is not None:
        raise _refusal(whole, f"a {what} contains no NUL and no other control character")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise _refusal(whole, f"a {what} is UTF-8 text, this one contains a lone surrogate") from None
    if size > limit:
        raise _refusal(whole, f"a {what} has at most {limit} bytes of UTF-8, this one has {size}")


def _check_component(name: str, whole: str) -> None:
    """Check the rules of one component `name` of the name `whole`, whose characters are known to be legal."""
    if not name:
        raise _refusal(whole, "a component is empty")
    if name[0] == ".":
        if name in (".", ".."):
            raise _refusal(whole, "the components '.' and '..' are not allowed: a name has one spelling")
        if name in RESERVED_NAMES:
            raise _refusal(whole, f"{name!r} is a reserved name")
    if len(name) * 4 > NAME_LIMIT:  # no code point takes more than four bytes: short names are not encoded
        size = len(name.encode())
        if size > NAME_LIMIT:
            raise _refusal(whole, f"a component has at most {NAME_LIMIT} bytes of UTF-8, one here has {size}")


def _refusal(name: str, rule: str) -> BadPath:
    """The error that refuses `name` because of `rule`; a long name is cut, so that no message grows beyond bounds."""
    shown = name if len(name) <= _QUOTED else name[:_QUOTED] + "..."
    return BadPath(f"{ascii(shown) if not shown.isprintable() else repr(shown)}: {rule}")
