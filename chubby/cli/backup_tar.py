"""A cell as a tar archive that anyone can unpack: for reading, grepping, moving elsewhere. It is not for restoring.

Directories are directories, files are files with the node's last change as their time. A node that has both content and
children is a directory with its content in `.contents`. What tar has no place for (generations, ACL names, attributes,
kind) is in pax headers SCHILY.xattr.user.chubby.*, which tar programs keep (as extended attributes, if asked to) or
ignore.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import msgspec

from chubby import paths
from chubby.namespace.machine import Machine
from chubby.namespace.nodes import Node
from chubby.storage.backup_format import BackupLabel
from chubby.types.nodes import NodeKind

CONTENTS = ".contents"
PAGE = 1000


class _Drain(io.RawIOBase):
    """Collects what the archive writes until it is taken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        chunk = bytes(memoryview(data))  # type: ignore[arg-type]  # tarfile writes bytes-like objects only
        self._chunks.append(chunk)
        return len(chunk)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


def tar_of(machine: Machine, label: BackupLabel) -> Iterator[bytes]:
    """The bytes of the archive. Everything lies below a folder named after the cell."""
    drain = _Drain()
    with tarfile.open(fileobj=drain, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path, node, has_children in _walk(machine, paths.ROOT):
            name = label.cell + ("" if path == paths.ROOT else path)
            for member, contents in _members(name, node, has_children):
                archive.addfile(member, io.BytesIO(contents))
            yield drain.take()
    yield drain.take()


def _walk(machine: Machine, path: str) -> Iterator[tuple[str, Node, bool]]:
    """Every node, parents before children, with whether it has any."""
    node = machine.node(path)
    assert node is not None, "only what is there is walked"
    after, more, first = "", True, True
    while more:
        entries, more = machine.children(path, after, PAGE)
        if first:
            yield path, node, bool(entries)
            first = False
        for entry in entries:
            yield from _walk(machine, paths.join(path, entry.name))
            after = entry.name


def _members(name: str, node: Node, has_children: bool) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    is_directory = has_children or node.stat.kind is NodeKind.DIRECTORY
    member = _member(name, node)
    if not is_directory:
        member.size = len(node.contents)
        yield member, node.contents
        return
    member.type = tarfile.DIRTYPE
    member.mode = 0o755
    yield member, b""
    if node.contents:
        inner = _member(f"{name}/{CONTENTS}", node)
        inner.size = len(node.contents)
        yield inner, node.contents


def _member(name: str, node: Node) -> tarfile.TarInfo:
    stat = node.stat
    member = tarfile.TarInfo(name)
    member.mode = 0o644
    member.mtime = stat.modified_ms // 1000
    member.pax_headers = {
        "SCHILY.xattr.user.chubby.kind": stat.kind.name.lower(),
        "SCHILY.xattr.user.chubby.instance": str(stat.instance),
        "SCHILY.xattr.user.chubby.content_generation": str(stat.content_generation),
        "SCHILY.xattr.user.chubby.acl_generation": str(stat.acl_generation),
        "SCHILY.xattr.user.chubby.acl": ",".join((stat.acl.read, stat.acl.write, stat.acl.change)),
        "SCHILY.xattr.user.chubby.ephemeral": str(stat.ephemeral).lower(),
    }
    if stat.attributes:
        member.pax_headers["SCHILY.xattr.user.chubby.attributes"] = msgspec.json.encode(stat.attributes).decode()
    return member
