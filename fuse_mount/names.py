"""What a path in the mount means, and back. PURE.

A mount shows more than nodes. Two names, which no node can bear (`chubby.paths.RESERVED_NAMES`), make room for it:

| path (mount of one cell)        | means                                                                            |
|---------------------------------|----------------------------------------------------------------------------------|
| `/`, `/a/b`                     | the node of that path: `Node`                                                    |
| `/.contents`, `/a/b/.contents`  | the content of a node that is shown as a directory: `ContentsOf`                 |
| `/.chubby`                      | the directory of what the mount says of itself: `ControlDirectory`               |
| `/.chubby/status` ...           | one of its files: `ControlFile`, see `Control`                                   |

Whether the node is there, and is shown as a directory, is for those to say who know it; whether `.contents` *is* there
follows (length > 0, or being written). With `--all` the first component is the cell's name and the rest as above; `/`
is `AllCells`. `.chubby` is at the root of a cell only.

| refused                                                       | as                                                 |
|---------------------------------------------------------------|----------------------------------------------------|
| bytes that are no UTF-8 (they come as surrogates)             | `EILSEQ`, as file systems that insist on it do     |
| a component, a path or a depth beyond its limit               | `ENAMETOOLONG`                                     |
| `.chubby` below another directory, unknown names in it        | `ENOENT`; to make something of that name: `EPERM`  |
| anything below `.contents` or below a control file            | `ENOTDIR`                                          |
| with `--all`: a first component that cannot be a cell's name  | `ENOENT`                                           |
| every other name that no node can bear (control characters)   | `EINVAL`                                           |

All of it as OSError: no text makes these functions raise anything else.
"""

from __future__ import annotations

import enum
import errno
import functools
from typing import Final

import msgspec

from chubby import paths
from chubby.errors import BadPath
from chubby.types.limits import DEPTH_LIMIT, NAME_LIMIT, PATH_LIMIT

__all__ = [
    "CONTENTS_NAME",
    "CONTROL_NAME",
    "AllCells",
    "ContentsOf",
    "Control",
    "ControlDirectory",
    "ControlFile",
    "Made",
    "Node",
    "Place",
    "parse",
    "parse_new",
    "path_of",
    "split_cell",
]

CONTENTS_NAME: Final = ".contents"
"""The name, in a node shown as a directory, of that node's own content."""
CONTROL_NAME: Final = ".chubby"
"""The name, in a cell's root, of what the mount says of itself."""
assert {CONTENTS_NAME, CONTROL_NAME} == paths.RESERVED_NAMES, "no node bears the names that mean something else here"

_CACHED: Final = 4096
"""Paths whose meaning is remembered: every call brings one, mostly one of a few."""


class Control(enum.Enum):
    """The files in `.chubby`, by their names."""

    STATUS = "status"
    MASTER = "master"
    SESSION = "session"
    EVENTS = "events"
    VERSION = "version"


class AllCells(msgspec.Struct, frozen=True, tag="all_cells"):
    """The root of a mount of all cells."""


class Node(msgspec.Struct, frozen=True, tag="node"):
    """The node at `path` of `cell` (empty: of the only one)."""

    path: str
    cell: str = ""


class ContentsOf(msgspec.Struct, frozen=True, tag="contents_of"):
    """The content of the node at `path`, shown as a file in it."""

    path: str
    cell: str = ""


class ControlDirectory(msgspec.Struct, frozen=True, tag="control_directory"):
    """The directory `.chubby` of `cell`."""

    cell: str = ""


class ControlFile(msgspec.Struct, frozen=True, tag="control_file"):
    """One of its files."""

    control: Control
    cell: str = ""


Place = AllCells | Node | ContentsOf | ControlDirectory | ControlFile
"""What a path may mean."""
Made = Node | ContentsOf
"""What may be made, or renamed to."""

_CONTROLS: Final = {control.value: control for control in Control}


@functools.lru_cache(maxsize=_CACHED)
def parse(path: str, every_cell: bool = False) -> Place:
    """What `path` means in a mount of one cell, or of every cell. Raises OSError as the module's table says."""
    if not every_cell:
        return _parse(path)
    if path == paths.ROOT:
        return AllCells()
    cell, rest = split_cell(path)
    return _in_cell(_parse(rest), cell)


def parse_new(path: str, every_cell: bool = False) -> Made:
    """What `path` means as the name of something to make, or the new name of something.

    Raises OSError: EPERM for what is not the user's to make, otherwise as `parse`. `.contents` can be made as a file
    only (it gives its node content); that, and whether its node is a directory, is for the caller to see to.
    """
    _check_text(path)
    first, *below = path[1:].split("/")
    controls = CONTROL_NAME in (below if every_cell else (first, *below))
    if controls or (every_cell and not below):
        raise OSError(errno.EPERM, "a mount shows cells and its own controls; nobody makes them here", path)
    place = parse(path, every_cell)
    assert isinstance(place, Node | ContentsOf), "everything else was refused above"
    return place


def path_of(place: Place) -> str:
    """The path in the mount that means `place`: the inverse of `parse`."""
    match place:
        case AllCells():
            return paths.ROOT
        case Node(path, cell):
            inside = path
        case ContentsOf(path, cell):
            inside = _below(path, CONTENTS_NAME)
        case ControlDirectory(cell):
            inside = f"/{CONTROL_NAME}"
        case ControlFile(control, cell):
            inside = f"/{CONTROL_NAME}/{control.value}"
    if not cell:
        return inside
    return f"/{cell}" if inside == paths.ROOT else f"/{cell}{inside}"


def split_cell(path: str) -> tuple[str, str]:
    """A path in a mount of all cells, other than its root: the cell, and the path in a mount of that cell alone.

    Raises OSError if the first component cannot be the name of a cell; whether there is one is not known here.
    """
    _check_text(path)
    cell, slash, rest = path[1:].partition("/")
    try:
        paths.validate_cell(cell)
    except BadPath as refusal:
        raise OSError(errno.ENOENT, str(refusal), path) from None
    if slash and not rest:
        raise OSError(errno.EINVAL, "a path does not end with '/'", path)
    return cell, "/" + rest


def _parse(path: str) -> Place:
    """What `path` means in a mount of one cell."""
    _check_text(path)
    components = path[1:].split("/")
    if components[0] == CONTROL_NAME:
        return _control(path, components[1:])
    if CONTROL_NAME in components:
        raise OSError(errno.ENOENT, f"{CONTROL_NAME} is in the root of a cell only", path)
    if CONTENTS_NAME not in components:
        return Node(_checked(path))
    if components.index(CONTENTS_NAME) != len(components) - 1:
        raise OSError(errno.ENOTDIR, f"{CONTENTS_NAME} is a file", path)
    return ContentsOf(_checked(path[: -len(CONTENTS_NAME) - 1] or paths.ROOT))


def _control(path: str, below: list[str]) -> ControlDirectory | ControlFile:
    """What the components `below` the control directory mean."""
    if not below:
        return ControlDirectory()
    control = _CONTROLS.get(below[0])
    if control is None:
        raise OSError(errno.ENOENT, f"{CONTROL_NAME} has {', '.join(_CONTROLS)}", path)
    if len(below) > 1:
        raise OSError(errno.ENOTDIR, f"{CONTROL_NAME}/{control.value} is a file", path)
    return ControlFile(control)


def _check_text(path: str) -> None:
    """Refuse what is no text, or not absolute, or has a component that is too long for any file system."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, "a name is UTF-8 text", ascii(path)) from None
    if encoded[:1] != b"/":
        raise OSError(errno.EINVAL, "a path in the mount is absolute", path)
    if len(encoded) > NAME_LIMIT and max(map(len, encoded.split(b"/"))) > NAME_LIMIT:
        raise OSError(errno.ENAMETOOLONG, f"a name has at most {NAME_LIMIT} bytes of UTF-8", path)


def _checked(path: str) -> str:
    """`path` if a node can have it: what the cell itself would refuse is refused here, by its cause."""
    try:
        return paths.validate(path)
    except BadPath as refusal:
        beyond = len(path.encode()) > PATH_LIMIT or path.count("/") > DEPTH_LIMIT
        raise OSError(errno.ENAMETOOLONG if beyond else errno.EINVAL, str(refusal), path) from None


def _in_cell(place: Place, cell: str) -> Place:
    """The same in a mount of all cells."""
    assert not isinstance(place, AllCells), "a mount of one cell has no such place"
    return msgspec.structs.replace(place, cell=cell)


def _below(path: str, name: str) -> str:
    return f"/{name}" if path == paths.ROOT else f"{path}/{name}"
