"""The protocol file itself: names as in the structs, numbers for ever, and stubs that are what it generates."""

from __future__ import annotations

import enum
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from chubby.errors import ErrorCode
from chubby.types.calls import CreateMode, MemberAction, Mode
from chubby.types.events import EventKind, EventMask
from chubby.types.nodes import LockMode, NodeKind, Sequencer
from chubby.types.status import CellStatus, Location
from chubby.types.stream import CacheKind, ClientFrame, ServerFrame
from chubby.wire import chubby_pb2 as pb
from chubby.wire import generate
from tests.wire.samples import structs

NUMBERS = Path(__file__).with_name("numbers.txt")

ENUMS: list[tuple[EnumDescriptor, type[enum.IntEnum | enum.IntFlag]]] = [
    (pb.ErrorCode.DESCRIPTOR, ErrorCode),
    (pb.Mode.DESCRIPTOR, Mode),
    (pb.CreateMode.DESCRIPTOR, CreateMode),
    (pb.MemberAction.DESCRIPTOR, MemberAction),
    (pb.EventKind.DESCRIPTOR, EventKind),
    (pb.EventMask.DESCRIPTOR, EventMask),
    (pb.NodeKind.DESCRIPTOR, NodeKind),
    (pb.LockMode.DESCRIPTOR, LockMode),
    (pb.CacheKind.DESCRIPTOR, CacheKind),
]


def prefix(name: str) -> str:
    """`LockMode` → `LOCK_MODE_`."""
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name)[1:] + "_"


@pytest.mark.parametrize(("described", "kind"), ENUMS, ids=lambda value: getattr(value, "name", None))
def test_enumerations_have_the_same_names_and_numbers(
    described: EnumDescriptor, kind: type[enum.IntEnum | enum.IntFlag]
) -> None:
    """Member by member; what the wire has besides is the zero that proto3 wants where ours has none."""
    ours = {f"{prefix(kind.__name__)}{member.name}": member.value for member in kind}
    wire = {value.name: value.number for value in described.values}
    assert ours.items() <= wire.items()
    assert {number for name, number in wire.items() if name not in ours} <= {0}


def test_every_enumeration_is_compared() -> None:
    """None is added without its twin."""
    assert {described.name for described, _ in ENUMS} == set(pb.DESCRIPTOR.enum_types_by_name)


@pytest.mark.parametrize("kind", [*structs(ClientFrame | ServerFrame), Location, CellStatus], ids=lambda k: k.__name__)
def test_messages_have_the_fields_of_their_structs(kind: type[msgspec.Struct]) -> None:
    """One word one meaning: a struct and its message have one name, and so have their fields."""
    message = pb.DESCRIPTOR.message_types_by_name[kind.__name__]
    unions = {oneof.name for oneof in message.oneofs if len(oneof.fields) > 1}
    plain = {field.name for field in message.fields if field.containing_oneof is None or optional(field)}
    assert plain | unions == {field.name for field in msgspec.structs.fields(kind)}


def optional(field: FieldDescriptor) -> bool:
    """Whether the field is `optional`, which protobuf describes as a oneof of its own."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) == 1


def test_what_may_be_none_is_optional() -> None:
    """Where a struct tells None from zero the protocol does, and nowhere else: None is never guessed."""
    for kind in [*structs(ClientFrame | ServerFrame), *structs(CellStatus)]:
        message = pb.DESCRIPTOR.message_types_by_name[kind.__name__]
        for field in msgspec.structs.fields(kind):
            shape = msgspec.inspect.type_info(field.type)
            nullable = isinstance(shape, msgspec.inspect.UnionType) and shape.includes_none
            wire = message.fields_by_name.get(field.name)
            if wire is not None and wire.message_type is None:
                assert optional(wire) == nullable, f"{kind.__name__}.{field.name}"


def test_the_service_is_what_others_rely_on() -> None:
    """Names, kinds and types of the RPCs."""
    service = pb.DESCRIPTOR.services_by_name["Cell"]
    assert service.full_name == "chubby.v1.Cell"
    assert {
        (method.name, method.client_streaming, method.input_type.name, method.server_streaming, method.output_type.name)
        for method in service.methods
    } == {
        ("Session", True, "ClientPacket", True, "ServerPacket"),
        ("Locate", False, "LocateRequest", False, "Location"),
        ("Follow", False, "LocateRequest", True, "Location"),
        ("Status", False, "StatusRequest", False, "CellStatus"),
        ("Export", False, "ExportRequest", True, "Chunk"),
    }


def numbered() -> Iterator[str]:
    """Every number of the protocol, one a line."""
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        for field in message.fields:
            repeated = "repeated " if field.is_repeated else "optional " if optional(field) else ""
            yield f"{message.name}.{field.name} = {field.number} {repeated}{type_name(field)}"
    for described in pb.DESCRIPTOR.enum_types_by_name.values():
        for value in described.values:
            yield f"{value.name} = {value.number}"


def type_name(field: FieldDescriptor) -> str:
    """The type of a field as the protocol file writes it."""
    if field.message_type is not None:
        return field.message_type.name
    if field.enum_type is not None:
        return field.enum_type.name
    names = {
        FieldDescriptor.TYPE_INT64: "int64",
        FieldDescriptor.TYPE_UINT32: "uint32",
        FieldDescriptor.TYPE_FIXED64: "fixed64",
        FieldDescriptor.TYPE_BOOL: "bool",
        FieldDescriptor.TYPE_STRING: "string",
        FieldDescriptor.TYPE_BYTES: "bytes",
    }
    return names[field.type]


def test_numbers_are_for_ever() -> None:
    """A field or enum number, once published, keeps its meaning: `numbers.txt` holds them, and only ever grows.

    A new line is added there by hand, together with the field. A line that has to change would break every client
    there is.
    """
    assert sorted(numbered()) == NUMBERS.read_text(encoding="utf-8").splitlines()


def test_the_sequencer_is_opaque() -> None:
    """DESIGN §4: what a sequencer means is the machine's alone; the protocol carries bytes and has no such message."""
    assert Sequencer.__name__ not in pb.DESCRIPTOR.message_types_by_name


def test_the_stubs_are_what_the_protocol_generates() -> None:
    """Committed stubs are never edited and never forgotten."""
    assert generate.stale() == []
    assert isinstance(pb.LockMode, EnumTypeWrapper)


def test_a_stale_stub_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, or a byte different; the generator writes what it checks."""
    generate.generate(tmp_path)
    assert generate.stale(tmp_path) == []
    edited, missing, *_ = generate.STUBS
    (tmp_path / edited).write_bytes((tmp_path / edited).read_bytes() + b"\n")
    (tmp_path / missing).unlink()
    assert generate.stale(tmp_path) == [edited, missing]
    assert generate.main(["--check"]) == 0
    assert generate.main(["--chekc"]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_client_can_use_the_wire_without_a_replica() -> None:
    """The client's room may import wire and not replica: no module of wire brings the replica in."""
    program = (
        "import pkgutil, sys, chubby.wire\n"
        "for module in pkgutil.iter_modules(chubby.wire.__path__):\n"
        "    __import__(f'chubby.wire.{module.name}')\n"
        "rooms = ('replica', 'master', 'namespace', 'paxos', 'frontends', 'daemon', 'client')\n"
        "print([name for name in sys.modules for room in rooms if name.startswith(f'chubby.{room}')])\n"
    )
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, cwd=generate.ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
