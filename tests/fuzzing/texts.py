"""What people write: configuration, names, quantities, transactions, lists, attributes of files on a mount."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from chubby import paths
from chubby.cli import txn_format, txn_json
from chubby.config.addresses import parse_addresses
from chubby.config.load import load_cell
from chubby.config.parse import parse_cell
from chubby.config.units import parse_duration, parse_ratio, parse_size
from chubby.errors import BadArgument, BadPath, ConfigError
from chubby.namespace.acl import AccessLists
from chubby.namespace.nodes import new_node
from chubby.namespace.tree import Tree
from chubby.types.calls import Transact
from chubby.types.nodes import ANYONE, AclNames
from chubby.types.transaction import Create
from fuse_mount import names, xattrs
from tests.config.cells import SOURCE, local
from tests.fuse_mount.stats import a_lock, a_stat
from tests.fuzzing.program import Program, block
from tests.fuzzing.target import KIB, MIB, Target
from tests.house.sources import ROOT

FILES: Final = sorted((ROOT / "cell_config").glob("*.toml"))


def text_of(data: bytes) -> str:
    """Text as Python gets it from a terminal or a file system: what is no UTF-8 becomes lone surrogates."""
    return data.decode(errors="surrogateescape")


# ------------------------------------------------------------------------------------------------------- configuration


def configure(data: bytes) -> None:
    """A configuration file's text."""
    config = parse_cell(data.decode(errors="replace"), SOURCE)
    assert config.replicas and config.source == SOURCE


def configure_file(data: bytes) -> None:
    """A configuration file, whatever is in it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "cell.toml"
        file.write_bytes(data)
        load_cell(file)


def measure(data: bytes) -> None:
    """A quantity, or a list of addresses."""
    program = Program(data)
    read: Callable[[str], object] = program.one_of((parse_duration, parse_size, parse_ratio, _addresses))
    read(text_of(program.rest()))


def _addresses(text: str) -> None:
    """What is canonical is its own canonical spelling."""
    addresses = parse_addresses(text)
    assert parse_addresses(",".join(addresses)) == addresses


def _configurations() -> list[bytes]:
    small = f'[cell]\nname = "test"\n{local(3)}\nadmins = ["a"]\n[timing]\nmaster_lease = "1s"\n[limits]\nnodes = 10\n'
    return [file.read_bytes() for file in FILES] + [small.encode()]


def _quantities() -> list[bytes]:
    return [
        *(b"\0" + text for text in (b"12s", b"1.5ms", b"2 h", b"0.0000000001s", b"9" * 30 + b"s")),
        *(b"\1" + text for text in (b"64MiB", b"1.5GiB", b"4096")),
        *(b"\2" + text for text in (b"1%", b"0.5 %", b"200ppm")),
        *(b"\3" + text for text in (b"127.0.0.1:7201", b"[::1]:1, a.example:65535", b"[fe80::1%eth0]:1", b"a..b:1")),
    ]


# --------------------------------------------------------------------------------------------------------------- names


def name(data: bytes) -> None:
    """A name as a path inside a cell, a full name, a component, a cell."""
    program = Program(data)
    match program.number() % 5:
        case 0:
            path = text_of(program.rest())
            assert paths.validate(path) == path
            assert paths.parse(paths.full_name("local", path)) == ("local", path)
            if path != paths.ROOT:
                assert paths.join(paths.parent(path), paths.name_of(path)) == path
        case 1:
            cell, path = paths.parse(text_of(program.rest()))
            assert paths.parse(paths.full_name(cell, path)) == (cell, path)
        case 2:
            found = text_of(program.rest())
            assert paths.acl_file(found) == f"/acl/{paths.validate_name(found)}"
        case 3:
            paths.validate_cell(text_of(program.rest()))
        case _:
            base, relative = paths.validate(text_of(program.block())), text_of(program.rest())
            assert paths.is_below(paths.join(base, relative), base)


def name_on_mount(data: bytes) -> None:
    """A path in a mount, of one cell or of all, of what is there or is to be made."""
    program = Program(data)
    how, path = program.number(), text_of(program.rest())
    place = (names.parse_new if how & 2 else names.parse)(path, bool(how & 1))
    assert names.parse(names.path_of(place), bool(how & 1)) == place


def _names() -> list[bytes]:
    return [
        b"\0/",
        b"\0/a/b.c/\xc3\xa4",
        b"\0/" + b"x" * 300,
        b"\0" + b"/y" * 65,
        b"\1/ls/local/svc/leader",
        b"\1/ls/x",
        b"\2staff",
        b"\3cell-1.example",
        b"\4" + block(b"/a") + b"b/c",
    ]


def _names_on_mount() -> list[bytes]:
    found = (
        b"/",
        b"/a/b",
        b"/.chubby",
        b"/.chubby/status",
        b"/a/.contents",
        b"/.chubby/x/y",
        b"/a/.contents/b",
        b"/\xff",
    )
    return [bytes((how,)) + prefix + path for how in range(4) for prefix in (b"", b"/cell") for path in found]


# ---------------------------------------------------------------------------------------------------------- attributes


def attribute(data: bytes) -> None:
    """An extended attribute asked for, set or removed, of a node whose own attributes are anybody's, too."""
    program = Program(data)
    how = program.number()
    found, value = text_of(program.block()), program.block()
    attributes = {program.block().decode(errors="replace"): program.block() for _ in range(program.number() % 4)}
    stat = a_stat(attributes=attributes)
    xattrs.names_of(stat)
    match how % 3:
        case 0:
            xattrs.need_of(found)
            xattrs.value_of(found, stat, a_lock(), b"sequencer")
        case 1:
            xattrs.setting(found, value, program.number() % 4, stat, bool(how & 4))
        case _:
            xattrs.removal(found, stat)


def _attributes() -> list[bytes]:
    ours = [found.encode() for found in xattrs.names_of(a_stat(attributes={}))]
    kept = b"\1" + block(b"xattr.k") + block(b"v")
    asked = [bytes((how,)) + block(found) + block(b"1") + kept for how in range(6) for found in ours]
    return asked[::3] + [bytes((how,)) + block(b"user.k") + block(b"v") + kept + bytes((how,)) for how in range(6)]


def access_list(data: bytes) -> None:
    """A list's file, and who asks."""
    program = Program(data)
    principal, contents = program.block().decode(errors="replace"), program.rest()
    acl = AclNames(ANYONE, ANYONE, ANYONE)
    tree = Tree()
    for path, content in (("/", b""), ("/acl", b""), ("/acl/staff", contents)):
        tree.add(path, new_node(Create(path, contents=content), acl, instance=1, revision=1, time_ms=0))
    lists = AccessLists(tree)
    admitted = lists.admits("staff", principal, ("root",))
    assert admitted == lists.admits("staff", principal, ("root",)), "an answer is an answer"
    assert lists.admits("staff", "root", ("root",)) and not lists.admits("none", "bob", ())


def _lists() -> list[bytes]:
    return [
        block(b"bob") + b"# staff\nbob\n alice \r\n\n",
        block(b"\xc3\xa4") + b"\xc3\xa4",
        block(b"x") + b"\xff\n#x\nx",
    ]


# -------------------------------------------------------------------------------------------------------- transactions


def transaction(data: bytes) -> None:
    """A transaction as text or as JSON; what it means can be written again."""
    program = Program(data)
    as_json = bool(program.number() & 1)
    text = text_of(program.rest())
    if as_json:
        transact = txn_json.parse(text, paths.validate)
        assert txn_json.parse(txn_json.render(transact).decode(), paths.validate) == transact
    else:
        transact = txn_format.parse(text, paths.validate)
        again = txn_format.parse(txn_format.render(transact), paths.validate)
        assert again == transact or transact == Transact(), f"{again} is not {transact}"


TEXT: Final = b"""# a comment
if exists /a
if generation /a 3
if absent /b
then
write /a "some text"
create /b base64:aGVsbG8=
else
read /a
delete /a
"""
JSON: Final = b"""{"guards": [{"type": "generation", "path": "/a", "generation": 3}],
"then": [{"type": "write", "path": "/a", "text": "x"}, {"type": "create", "path": "/b", "contents": "aGk="}],
"otherwise": [{"type": "read", "path": "/a"}]}"""


TARGETS: Final = (
    Target(
        name="configuration",
        door="the text of a configuration file: `config.parse.parse_cell`",
        feed=configure,
        refusals=(ConfigError,),
        samples=_configurations,
        bombs={
            "nested without end": lambda size: b"x = " + b"[" * size,
            "dotted without end": lambda size: b"a" + b".a" * (size // 2) + b" = 1",
            "a number without end": lambda size: b"x = " + b"9" * size,
            "very many keys": lambda size: b"".join(b"k%d = 1\n" % index for index in range(size // 8)),
        },
    ),
    Target(
        name="configuration_file",
        door="a configuration file: `config.load.load_cell`",
        feed=configure_file,
        refusals=(ConfigError,),
        samples=lambda: [*_configurations(), b"\xff\xfe", b"\xef\xbb\xbf[cell]\n"],
    ),
    Target(
        name="quantities",
        door="durations, sizes, ratios, addresses: `config.units`, `config.addresses`",
        feed=measure,
        refusals=(ValueError,),
        samples=_quantities,
        bombs={
            "digits without end": lambda size: b"\0" + b"9" * size + b"s",
            "decimals without end": lambda size: b"\0" + b"1." + b"0" * size + b"s",
            "addresses without end": lambda size: b"\3" + b",".join(b"a:%d" % (1 + n) for n in range(size // 6)),
        },
    ),
    Target(
        name="paths",
        door="names: `chubby.paths`",
        feed=name,
        refusals=(BadPath,),
        samples=_names,
        bombs={
            "components without end": lambda size: b"\0" + b"/a" * (size // 2),
            "a component without end": lambda size: b"\1/ls/local/" + b"a" * size,
        },
    ),
    Target(
        name="mount_paths",
        door="names on a mount: `fuse_mount.names`",
        feed=name_on_mount,
        refusals=(OSError,),
        samples=_names_on_mount,
    ),
    Target(
        name="attributes",
        door="extended attributes on a mount: `fuse_mount.xattrs`",
        feed=attribute,
        refusals=(OSError,),
        samples=_attributes,
    ),
    Target(
        name="access_list",
        door="the file of an access-control list: `namespace.acl.AccessLists`",
        feed=access_list,
        samples=_lists,
        bombs={"very many lines": lambda size: block(b"x") + b"y\nz\n" * (size // 4)},
    ),
    Target(
        name="transaction",
        door="a transaction as text or JSON: `cli.txn_format`, `cli.txn_json`",
        feed=transaction,
        refusals=(BadArgument, BadPath),
        samples=lambda: [b"\0" + TEXT, b"\1" + JSON],
        bombs={
            "nested without end": lambda size: b'\1{"then": ' + b"[" * size,
            "nested values": lambda size: b'\1{"then": [{"type": ' + b"[" * size,
            "quotes without end": lambda size: b"\0write /a " + b"'x'" * (size // 3),
        },
        longest=2 * KIB,
        memory=8 * MIB,
    ),
)
