"""The page that tells the bytes tells the truth: its dumps and tables are the code's (docs/storage_format.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.paxos.messages import Ballot, Entry, Value, ValueKind
from chubby.paxos.ready import AcceptedRecord, PromisedRecord
from chubby.storage.directory import DataDirectory
from chubby.storage.records import HEAD_SIZE, SECTOR, encode_batch, parse_head
from chubby.storage.scan import scan_segment
from chubby.storage.segment import SegmentHeader, segment_name
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader
from tests.storage.fake_files import FakeFiles
from tests.storage.samples import SMALL

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "storage_format.md").read_text()
IDENTITY = Identity(cell=0xC0FFEE, replica=2, incarnation=0x1DEA)
BALLOT = Ballot(3, 2, 0x1DEA)
BATCH = (PromisedRecord(BALLOT), AcceptedRecord(Entry(1, BALLOT, Value(ValueKind.COMMANDS, (b"hello",)))))
CONFIGURATION = Configuration((Member(2, 0x1DEA, "b:1", "b:2"),))


def hexdump(data: bytes) -> str:
    """As `hexdump -C` prints it."""
    lines: list[str] = []
    before = b""
    for offset in range(0, len(data), 16):
        row = data[offset : offset + 16]
        if row == before:
            if lines[-1] != "*":
                lines.append("*")
            continue
        before = row
        half = [" ".join(f"{byte:02x}" for byte in part).ljust(23) for part in (row[:8], row[8:])]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{offset:08x}  {half[0]}  {half[1]}  |{text}|")
    return "\n".join([*lines, f"{len(data):08x}"])


def undumped(text: str) -> bytes:
    """The bytes that a dump shows."""
    data = bytearray()
    row = b""
    for line in text.splitlines():
        if line == "*":
            continue
        offset, _, rest = line.partition("  ")
        while len(data) < int(offset, 16):
            data += row
        row = bytes.fromhex(rest.partition("|")[0])
        data += row
    return bytes(data)


def shown(name: str) -> str:
    """The dump of that name on the page."""
    found = re.search(rf"<!-- dump: {name} -->\n```\n(.*?)```", PAGE, re.S)
    assert found is not None
    return found[1].rstrip("\n")


def segment() -> bytes:
    """The first segment, as far as it is in use."""
    header = SegmentHeader(IDENTITY, 1, 1)
    return header.encode() + encode_batch(BATCH, header.seed, 1)


def snapshot() -> bytes:
    """The snapshot of the page."""
    encoder = SnapshotEncoder(SnapshotHeader(IDENTITY.cell, 7, CONFIGURATION))
    return b"".join((encoder.header, encoder.block(b"one"), encoder.block(b"two"), encoder.footer()))


def identity() -> bytes:
    """The file IDENTITY."""
    files = FakeFiles()
    with DataDirectory(files) as directory:
        directory.become_new_incarnation(IDENTITY, segment_size=SMALL)
    return files.contents("current/IDENTITY")


@pytest.mark.parametrize(("name", "make"), [("identity", identity), ("segment", segment), ("snapshot", snapshot)])
def test_the_dumps_are_what_the_code_writes(name: str, make: Callable[[], bytes]) -> None:
    """To the byte, and a reader of the page gets the same bytes back from it."""
    data = make()
    assert shown(name) == hexdump(data)
    assert undumped(shown(name)) == data


def test_what_the_page_shows_is_read_back() -> None:
    """The dump verifies as a segment, with its one record."""
    data = undumped(shown("segment")) + bytes(SECTOR)
    found = scan_segment(data, IDENTITY, 1, 1, segment_name(1))
    assert found.used == 2 * SECTOR and [head.sequence for head in found.heads] == [1]


def test_the_record_is_told_field_by_field() -> None:
    """Each row's bytes are those of the record, the rows are without gaps, and the numbers are as decoded."""
    table = PAGE.partition("<!-- fields: record -->")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| `([0-9a-f ]+)` \| (.+) \|$", table, re.M)
    fields = [(int(offset), bytes.fromhex(data), meaning) for offset, data, meaning in rows]
    record = segment()[SECTOR:]
    for offset, data, _ in fields:
        assert record[offset : offset + len(data)] == data
    for (offset, data, _), (following, _, _) in pairwise(fields):
        assert offset + len(data) == following
    head = parse_head(record, 0, SegmentHeader(IDENTITY, 1, 1).seed)
    assert head is not None
    meanings = " ".join(meaning for _, _, meaning in fields)
    assert f"length {head.length}" in meanings and f"{head.checksum:#010x}" in meanings
    last, mark, _ = fields[-1]
    assert mark[:1] == b"\xa5" and last == HEAD_SIZE + head.length


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    """Every fixed field the code packs has its row: offsets and sizes add up."""
    for section, size in (("## Sealed blocks", 20), ("## Segments", SECTOR), ("## Records", HEAD_SIZE)):
        table = PAGE.partition(section)[2].partition("\n## ")[0]
        rows = [(int(at), int(length)) for at, length in re.findall(r"^\| (\d+) \| (\d+) \|", table, re.M)]
        assert rows[0][0] == 0
        for (at, length), (following, _) in pairwise(rows):
            assert at + length == following
        assert sum(rows[-1]) == size
