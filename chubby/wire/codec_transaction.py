"""Guards, operations and results of a transaction, to and from their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    OperationResult,
    Read,
    Remove,
    TokenIs,
    TransactionResult,
    Write,
    WriteAcl,
    WriteAttributes,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import attributes, content, member, natural, naturals, present, text
from chubby.wire.choice import Choice, row
from chubby.wire.codec_nodes import (
    NODE_KINDS,
    node_kind,
    put_acl,
    put_failure,
    put_stat,
    take_acl,
    take_attributes,
    take_failure,
    take_stat,
)


def _put_exists(message: pb.Exists, guard: Exists) -> None:
    message.path = text(guard.path, "path")
    if guard.instance is not None:
        message.instance = natural(guard.instance, "instance")


def _take_exists(message: pb.Exists) -> Exists:
    instance = natural(message.instance, "instance") if message.HasField("instance") else None
    return Exists(text(message.path, "path"), instance)


def _put_absent(message: pb.Absent, guard: Absent) -> None:
    message.path = text(guard.path, "path")


def _take_absent(message: pb.Absent) -> Absent:
    return Absent(text(message.path, "path"))


def _put_generation(message: pb.GenerationIs, guard: GenerationIs) -> None:
    message.path = text(guard.path, "path")
    message.generation = natural(guard.generation, "generation")


def _take_generation(message: pb.GenerationIs) -> GenerationIs:
    return GenerationIs(text(message.path, "path"), natural(message.generation, "generation"))


def _put_acl_generation(message: pb.AclGenerationIs, guard: AclGenerationIs) -> None:
    message.path = text(guard.path, "path")
    message.generation = natural(guard.generation, "generation")


def _take_acl_generation(message: pb.AclGenerationIs) -> AclGenerationIs:
    return AclGenerationIs(text(message.path, "path"), natural(message.generation, "generation"))


def _put_content(message: pb.ContentIs, guard: ContentIs) -> None:
    message.path = text(guard.path, "path")
    message.contents = content(guard.contents)


def _take_content(message: pb.ContentIs) -> ContentIs:
    return ContentIs(text(message.path, "path"), content(message.contents))


def _put_token(message: pb.TokenIs, guard: TokenIs) -> None:
    message.path = text(guard.path, "path")
    message.token = natural(guard.token, "token")


def _take_token(message: pb.TokenIs) -> TokenIs:
    return TokenIs(text(message.path, "path"), natural(message.token, "token"))


GUARDS: Final[Choice[pb.Guard, Guard]] = Choice(
    pb.Guard.DESCRIPTOR,
    "guard",
    Guard,
    (
        row(Exists, "exists", lambda guard: guard.exists, _put_exists, _take_exists),
        row(Absent, "absent", lambda guard: guard.absent, _put_absent, _take_absent),
        row(GenerationIs, "generation", lambda guard: guard.generation, _put_generation, _take_generation),
        row(
            AclGenerationIs,
            "acl_generation",
            lambda guard: guard.acl_generation,
            _put_acl_generation,
            _take_acl_generation,
        ),
        row(ContentIs, "content", lambda guard: guard.content, _put_content, _take_content),
        row(TokenIs, "token", lambda guard: guard.token, _put_token, _take_token),
    ),
)


def _put_create(message: pb.Create, operation: Create) -> None:
    message.path = text(operation.path, "path")
    message.contents = content(operation.contents)
    message.kind = node_kind(operation.kind)
    message.ephemeral = operation.ephemeral
    message.sequential = operation.sequential
    message.may_exist = operation.may_exist
    if operation.acl is not None:
        put_acl(message.acl, operation.acl)
    if operation.attributes:
        message.attributes.update(attributes(operation.attributes))


def _take_create(message: pb.Create) -> Create:
    return Create(
        text(message.path, "path"),
        content(message.contents),
        member(NODE_KINDS, message.kind, "Create.kind"),
        message.ephemeral,
        message.sequential,
        message.may_exist,
        take_acl(message.acl) if message.HasField("acl") else None,
        take_attributes(message.attributes),
    )


def _put_write(message: pb.Write, operation: Write) -> None:
    message.path = text(operation.path, "path")
    message.contents = content(operation.contents)


def _take_write(message: pb.Write) -> Write:
    return Write(text(message.path, "path"), content(message.contents))


def _put_remove(message: pb.Remove, operation: Remove) -> None:
    message.path = text(operation.path, "path")


def _take_remove(message: pb.Remove) -> Remove:
    return Remove(text(message.path, "path"))


def _put_write_acl(message: pb.WriteAcl, operation: WriteAcl) -> None:
    message.path = text(operation.path, "path")
    put_acl(message.acl, operation.acl)


def _take_write_acl(message: pb.WriteAcl) -> WriteAcl:
    present(message.HasField("acl"), "WriteAcl.acl")
    return WriteAcl(text(message.path, "path"), take_acl(message.acl))


def _put_write_attributes(message: pb.WriteAttributes, operation: WriteAttributes) -> None:
    message.path = text(operation.path, "path")
    message.attributes.update(attributes(operation.attributes))


def _take_write_attributes(message: pb.WriteAttributes) -> WriteAttributes:
    return WriteAttributes(text(message.path, "path"), take_attributes(message.attributes))


def _put_read(message: pb.Read, operation: Read) -> None:
    message.path = text(operation.path, "path")


def _take_read(message: pb.Read) -> Read:
    return Read(text(message.path, "path"))


OPERATIONS: Final[Choice[pb.Operation, Operation]] = Choice(
    pb.Operation.DESCRIPTOR,
    "operation",
    Operation,
    (
        row(Create, "create", lambda operation: operation.create, _put_create, _take_create),
        row(Write, "write", lambda operation: operation.write, _put_write, _take_write),
        row(Remove, "remove", lambda operation: operation.remove, _put_remove, _take_remove),
        row(WriteAcl, "write_acl", lambda operation: operation.write_acl, _put_write_acl, _take_write_acl),
        row(
            WriteAttributes,
            "write_attributes",
            lambda operation: operation.write_attributes,
            _put_write_attributes,
            _take_write_attributes,
        ),
        row(Read, "read", lambda operation: operation.read, _put_read, _take_read),
    ),
)


def put_transaction_result(message: pb.TransactionResult, result: TransactionResult) -> None:
    """Fill `message`."""
    message.succeeded = result.succeeded
    message.revision = result.revision
    for outcome in result.results:
        _put_operation_result(message.results.add(), outcome)
    if result.failed_guard is not None:
        message.failed_guard = result.failed_guard
    if result.failed_operation is not None:
        message.failed_operation = result.failed_operation
    if result.failure is not None:
        put_failure(message.failure, result.failure)


def take_transaction_result(message: pb.TransactionResult) -> TransactionResult:
    """What `message` says a transaction gave; raises BadArgument, TooLarge."""
    naturals("TransactionResult", message.revision, message.failed_guard, message.failed_operation)
    return TransactionResult(
        message.succeeded,
        message.revision,
        _take_operation_results(message.results),
        message.failed_guard if message.HasField("failed_guard") else None,
        message.failed_operation if message.HasField("failed_operation") else None,
        take_failure(message.failure) if message.HasField("failure") else None,
    )


def _put_operation_result(message: pb.OperationResult, result: OperationResult) -> None:
    message.path = result.path
    if result.stat is not None:
        put_stat(message.stat, result.stat)
    if result.contents is not None:
        message.contents = result.contents
    message.created = result.created


def _take_operation_results(messages: Sequence[pb.OperationResult]) -> tuple[OperationResult, ...]:
    return tuple([_take_operation_result(message) for message in messages])


def _take_operation_result(message: pb.OperationResult) -> OperationResult:
    return OperationResult(
        message.path,
        take_stat(message.stat) if message.HasField("stat") else None,
        content(message.contents) if message.HasField("contents") else None,
        message.created,
    )
