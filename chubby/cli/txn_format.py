"""The text form of a transaction for `chubby txn`: one guard or operation a line.

::

    # who leads, only if nobody did
    if absent  /ls/local/svc/leader
    if token   /ls/local/svc/lock 4711
    then
    create     /ls/local/svc/leader "10.0.0.7:80" --acl readers writers admins
    else
    read       /ls/local/svc/leader

| line                                       | meaning                                                             |
|--------------------------------------------|---------------------------------------------------------------------|
| `if exists PATH [INSTANCE]`                | the node is there (and is that instance)                            |
| `if absent PATH`                           | no node of that name is there                                       |
| `if generation PATH N`                     | its content generation is N                                         |
| `if acl-generation PATH N`                 | its ACL generation is N                                             |
| `if content PATH VALUE`                    | its content is exactly VALUE                                        |
| `if token PATH N`                          | its lock is held, in the hold period of token N                     |
| `then`                                     | what follows is done if all guards hold (may be left out)           |
| `else`                                     | what follows is done otherwise                                      |
| `create PATH [VALUE] [OPTION...]`          | make a node: --directory --sequential --may-exist,                  |
|                                            | --acl READ WRITE CHANGE, --attribute NAME VALUE                     |
| `write PATH VALUE`                         | replace the content                                                 |
| `remove PATH`                              | delete a node without children                                      |
| `acl PATH READ WRITE CHANGE`               | replace the three ACL names                                         |
| `attribute PATH NAME VALUE [NAME VALUE]...`| set attributes; the empty VALUE removes one                         |
| `read PATH`                                | read content and metadata                                           |

Words are quoted as in a shell. A VALUE is text, or `base64:...` for any bytes (and for a text that begins with
`base64:` or `--`). Lines that are empty or begin with `#` say nothing. Guards come first.

There is no word for ephemeral nodes: they would go with the session of the command that made them.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Callable
from typing import Final

from chubby.errors import BadArgument, ChubbyError
from chubby.types.calls import Transact
from chubby.types.nodes import AclNames, NodeKind
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Read,
    Remove,
    TokenIs,
    Write,
    WriteAcl,
    WriteAttributes,
)


def _help() -> str:
    """The chapter above for a terminal: the example, and the table without its lines."""
    example, _, rest = (__doc__ or "").partition("::\n\n")[2].partition("\n\n| line")
    table, _, rules = rest.partition("\n\n")
    rows = [[cell.strip().replace("`", "") for cell in row.split("| ")] for row in table.split("\n")[2:]]
    lines = [f"  {row[1]:<42} {row[2].rstrip('| ')}" for row in rows]
    return "\n".join([example, "", "\b", *lines, "", rules.replace("`", "")])


HELP: Final = _help()
BASE64: Final = "base64:"
PathRule = Callable[[str], str]
"""Turns a name as a user writes it into the path inside the cell; raises BadPath."""


def parse(text: str, path_of: PathRule) -> Transact:
    """The transaction that `text` writes. Raises BadArgument or BadPath, naming the line."""
    guards: list[Guard] = []
    then: list[Operation] = []
    otherwise: list[Operation] | None = None
    began = False
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(line)
            if words[0] == "if":
                if began or otherwise is not None:
                    raise BadArgument("guards come before the operations")
                guards.append(_guard(words[1:], path_of))
            elif words == ["then"]:
                if began or otherwise is not None:
                    raise BadArgument("'then' comes once, after the guards and before the operations")
                began = True
            elif words == ["else"]:
                if otherwise is not None:
                    raise BadArgument("'else' comes once")
                otherwise = []
            else:
                began = True
                (then if otherwise is None else otherwise).append(_operation(words, path_of))
        except ChubbyError as error:
            raise type(error)(f"line {number}: {error}") from None
        except ValueError as error:
            raise BadArgument(f"line {number}: {str(error).lower()}") from None
    return Transact(tuple(guards), tuple(then), tuple(otherwise or ()))


def render(transact: Transact) -> str:
    """The text form of `transact`, with paths inside the cell: the inverse of `parse`."""
    lines = [f"if {_guard_text(guard)}" for guard in transact.guards]
    lines += ["then", *(_operation_text(operation) for operation in transact.then)]
    if transact.otherwise:
        lines += ["else", *(_operation_text(operation) for operation in transact.otherwise)]
    return "".join(f"{line}\n" for line in lines)


def value_of(word: str) -> bytes:
    """The bytes that a VALUE writes. Raises BadArgument."""
    if not word.startswith(BASE64):
        return word.encode()
    try:
        return base64.b64decode(word.removeprefix(BASE64), validate=True)
    except (binascii.Error, ValueError):
        raise BadArgument(f"{word!r} is not base64") from None


def value_text(value: bytes) -> str:
    """How a VALUE is written, as one shell word on one line."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = BASE64
    if text.startswith((BASE64, "--")) or not text.isprintable():
        text = BASE64 + base64.b64encode(value).decode()
    return shlex.quote(text)


def describe(operation: Operation) -> str:
    """The operation in two words, for results: `create /svc/addr`."""
    return f"{_WORDS[type(operation)]} {operation.path}"


def describe_guard(guard: Guard) -> str:
    """The guard as it is written, after `if`."""
    return _guard_text(guard)


def _guard(words: list[str], path_of: PathRule) -> Guard:
    match words:
        case ["exists", path]:
            return Exists(path_of(path))
        case ["exists", path, instance]:
            return Exists(path_of(path), _number(instance))
        case ["absent", path]:
            return Absent(path_of(path))
        case ["generation", path, generation]:
            return GenerationIs(path_of(path), _number(generation))
        case ["acl-generation", path, generation]:
            return AclGenerationIs(path_of(path), _number(generation))
        case ["content", path, value]:
            return ContentIs(path_of(path), value_of(value))
        case ["token", path, token]:
            return TokenIs(path_of(path), _number(token))
    raise BadArgument(
        f"no guard: {shlex.join(words)!r}; guards are exists PATH [INSTANCE], absent PATH, generation PATH N, "
        "acl-generation PATH N, content PATH VALUE, token PATH N"
    )


def _operation(words: list[str], path_of: PathRule) -> Operation:
    match words:
        case ["create", path, *rest]:
            return _create(path_of(path), rest)
        case ["write", path, value]:
            return Write(path_of(path), value_of(value))
        case ["remove", path]:
            return Remove(path_of(path))
        case ["acl", path, read, write, change]:
            return WriteAcl(path_of(path), AclNames(read, write, change))
        case ["attribute", path, _, _, *_] if len(words) % 2 == 0:
            values = [value_of(value) for value in words[3::2]]
            return WriteAttributes(path_of(path), dict(zip(words[2::2], values, strict=True)))
        case ["read", path]:
            return Read(path_of(path))
    raise BadArgument(
        f"no operation: {shlex.join(words)!r}; operations are create PATH [VALUE] [OPTION...], write PATH VALUE, "
        "remove PATH, acl PATH READ WRITE CHANGE, attribute PATH NAME VALUE..., read PATH"
    )


def _create(path: str, words: list[str]) -> Create:
    contents = value_of(words.pop(0)) if words and not words[0].startswith("--") else b""
    kind, sequential, may_exist = NodeKind.FILE, False, False
    acl: AclNames | None = None
    attributes: dict[str, bytes] = {}
    while words:
        match words:
            case ["--directory", *words]:
                kind = NodeKind.DIRECTORY
            case ["--sequential", *words]:
                sequential = True
            case ["--may-exist", *words]:
                may_exist = True
            case ["--acl", read, write, change, *words]:
                acl = AclNames(read, write, change)
            case ["--attribute", name, value, *words]:
                attributes[name] = value_of(value)
            case _:
                raise BadArgument(
                    f"no option of create: {shlex.join(words)!r}; options are --directory, --sequential, --may-exist, "
                    "--acl READ WRITE CHANGE, --attribute NAME VALUE"
                )
    return Create(path, contents, kind, False, sequential, may_exist, acl, attributes)


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise BadArgument(f"{word!r} is not a number")
    return int(word)


_WORDS: Final[dict[type[Operation], str]] = {
    Create: "create",
    Write: "write",
    Remove: "remove",
    WriteAcl: "acl",
    WriteAttributes: "attribute",
    Read: "read",
}


def _guard_text(guard: Guard) -> str:
    path = shlex.quote(guard.path)
    match guard:
        case Exists(instance=instance):
            return f"exists {path}" if instance is None else f"exists {path} {instance}"
        case Absent():
            return f"absent {path}"
        case GenerationIs(generation=generation):
            return f"generation {path} {generation}"
        case AclGenerationIs(generation=generation):
            return f"acl-generation {path} {generation}"
        case ContentIs(contents=contents):
            return f"content {path} {value_text(contents)}"
        case TokenIs(token=token):
            return f"token {path} {token}"


def _operation_text(operation: Operation) -> str:
    head = f"{_WORDS[type(operation)]} {shlex.quote(operation.path)}"
    match operation:
        case Create():
            return head + _create_text(operation)
        case Write(contents=contents):
            return f"{head} {value_text(contents)}"
        case WriteAcl(acl=acl):
            return f"{head} {shlex.join((acl.read, acl.write, acl.change))}"
        case WriteAttributes(attributes=attributes):
            return head + "".join(f" {shlex.quote(name)} {value_text(value)}" for name, value in attributes.items())
        case Read() | Remove():
            return head


def _create_text(create: Create) -> str:
    words = [value_text(create.contents)]
    words += ["--directory"] if create.kind is NodeKind.DIRECTORY else []
    words += ["--sequential"] if create.sequential else []
    words += ["--may-exist"] if create.may_exist else []
    if create.acl is not None:
        words += ["--acl", shlex.join((create.acl.read, create.acl.write, create.acl.change))]
    for name, value in create.attributes.items():
        words += ["--attribute", shlex.quote(name), value_text(value)]
    return "".join(f" {word}" for word in words)
