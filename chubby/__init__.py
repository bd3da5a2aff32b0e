"""Chubby as everyone can have it: a lock service with a file-system interface.

    import chubby

    with chubby.connect("/ls/local") as session:               # or: async with chubby.aio.connect(...)
        with session.open("/ls/local/svc/leader", create=True, events={chubby.Event.LOCK_ACQUIRED}) as handle:
            handle.acquire()                                     # EXCLUSIVE; .try_acquire(), mode=SHARED, timeout=
            handle.set_contents(b"10.0.0.7:8080")
            sequencer = handle.get_sequencer()                   # bytes to pass on; .token is the number

Everything is loaded when it is first used: `import chubby` itself brings nothing in. What there is:

| names                                                         | what they are                                       |
|---------------------------------------------------------------|-----------------------------------------------------|
| `connect`, `Session`, `Handle`, `Watch`                       | the client, for ordinary threads                    |
| `aio`                                                         | the same for asyncio                                |
| `Election`, `Lock`, `ServiceRegistry`, `ConfigWatcher`, `Barrier`, `fencing` | recipes that stand on it             |
| `Event`, `EventKind`                                          | what one may ask to be told of, and what happened   |
| `Mode`, `LockMode`, `CreateMode`, `NodeKind`, `AclNames`, ... | arguments and results                               |
| `Create`, `Write`, ..., `Exists`, `GenerationIs`, ...         | operations and guards of a transaction              |
| `ChubbyError` and all below it                                | `chubby.errors`                                     |

**gRPC's surroundings.** gRPC reads its environment once, when it is first imported. Whoever imports anything of this
package first gets two defaults of ours, unless the environment says otherwise already:

| variable                   | default | why                                                                           |
|----------------------------|---------|-------------------------------------------------------------------------------|
| `GRPC_ENABLE_FORK_SUPPORT` | `false` | its fork handlers crash children; a fork must not use it (`ForkedProcess`)    |
| `GRPC_VERBOSITY`           | `ERROR` | at a fail-over its C core prints GOAWAY lines of what the client mends itself |

They are put behind the back of `os.environ`, so that a program that hands its `os.environ` to another does not pass
them on. A program that imports `grpc` before `chubby` sets them itself.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chubby import aio
    from chubby.client.recipes import fencing
    from chubby.client.recipes.barrier import Barrier
    from chubby.client.recipes.config_watcher import ConfigWatcher
    from chubby.client.recipes.election import Election
    from chubby.client.recipes.lock import Lock
    from chubby.client.recipes.service_registry import ServiceRegistry
    from chubby.client.sequencer import SequencerBytes
    from chubby.client.state import SessionState
    from chubby.client.sync import Session, connect
    from chubby.client.sync_events import Watch
    from chubby.client.sync_handle import Handle
    from chubby.errors import (
        AvailabilityError,
        BadArgument,
        BadPath,
        Cancelled,
        CellError,
        ChubbyError,
        ConditionError,
        ConfigError,
        CorruptData,
        DeadlineExceeded,
        ForkedProcess,
        GenerationMismatch,
        HandleError,
        HandleInvalid,
        HandlePoisoned,
        InternalError,
        LockConflict,
        LockNotHeld,
        MembershipRefused,
        NodeExists,
        NoNode,
        NoQuorum,
        NotEmpty,
        NotMaster,
        OutcomeUnknown,
        Overloaded,
        PermissionDenied,
        QuotaExceeded,
        ReplicasDisagree,
        RequestError,
        SequencerInvalid,
        SessionError,
        SessionExpired,
        SessionUnknown,
        StorageFailed,
        TooLarge,
    )
    from chubby.types.calls import CreateMode, MemberAction, Mode
    from chubby.types.events import EventKind
    from chubby.types.events import EventMask as Event
    from chubby.types.nodes import AclNames, DirEntry, LockInfo, LockMode, NodeKind, Stat
    from chubby.types.transaction import (
        Absent,
        AclGenerationIs,
        ContentIs,
        Create,
        Exists,
        GenerationIs,
        Read,
        Remove,
        TokenIs,
        TransactionResult,
        Write,
        WriteAcl,
        WriteAttributes,
    )

__all__ = [
    "Absent",
    "AclGenerationIs",
    "AclNames",
    "AvailabilityError",
    "BadArgument",
    "BadPath",
    "Barrier",
    "Cancelled",
    "CellError",
    "ChubbyError",
    "ConditionError",
    "ConfigError",
    "ConfigWatcher",
    "ContentIs",
    "CorruptData",
    "Create",
    "CreateMode",
    "DeadlineExceeded",
    "DirEntry",
    "Election",
    "Event",
    "EventKind",
    "Exists",
    "ForkedProcess",
    "GenerationIs",
    "GenerationMismatch",
    "Handle",
    "HandleError",
    "HandleInvalid",
    "HandlePoisoned",
    "InternalError",
    "Lock",
    "LockConflict",
    "LockInfo",
    "LockMode",
    "LockNotHeld",
    "MemberAction",
    "MembershipRefused",
    "Mode",
    "NoNode",
    "NoQuorum",
    "NodeExists",
    "NodeKind",
    "NotEmpty",
    "NotMaster",
    "OutcomeUnknown",
    "Overloaded",
    "PermissionDenied",
    "QuotaExceeded",
    "Read",
    "Remove",
    "ReplicasDisagree",
    "RequestError",
    "SequencerBytes",
    "SequencerInvalid",
    "ServiceRegistry",
    "Session",
    "SessionError",
    "SessionExpired",
    "SessionState",
    "SessionUnknown",
    "Stat",
    "StorageFailed",
    "TokenIs",
    "TooLarge",
    "TransactionResult",
    "Watch",
    "Write",
    "WriteAcl",
    "WriteAttributes",
    "aio",
    "connect",
    "fencing",
]

__version__ = "0.1.0"

_GRPC_DEFAULTS: Final = {"GRPC_ENABLE_FORK_SUPPORT": "false", "GRPC_VERBOSITY": "ERROR"}
"""What gRPC finds in its environment unless somebody said otherwise."""

for _variable, _default in _GRPC_DEFAULTS.items():
    if _variable not in os.environ:
        os.putenv(_variable, _default)

_MODULES: Final = {"aio": "chubby.aio", "fencing": "chubby.client.recipes.fencing"}
"""Names that are modules themselves."""

_HOMES: Final = {
    "chubby.client.recipes.barrier": "Barrier",
    "chubby.client.recipes.config_watcher": "ConfigWatcher",
    "chubby.client.recipes.election": "Election",
    "chubby.client.recipes.lock": "Lock",
    "chubby.client.recipes.service_registry": "ServiceRegistry",
    "chubby.client.sequencer": "SequencerBytes",
    "chubby.client.state": "SessionState",
    "chubby.client.sync": "Session connect",
    "chubby.client.sync_events": "Watch",
    "chubby.client.sync_handle": "Handle",
    "chubby.errors": (
        "AvailabilityError BadArgument BadPath Cancelled CellError ChubbyError ConditionError ConfigError "
        "CorruptData DeadlineExceeded ForkedProcess GenerationMismatch HandleError HandleInvalid "
        "HandlePoisoned InternalError LockConflict LockNotHeld MembershipRefused NoNode NoQuorum NodeExists "
        "NotEmpty NotMaster OutcomeUnknown Overloaded PermissionDenied QuotaExceeded ReplicasDisagree RequestError "
        "SequencerInvalid SessionError SessionExpired SessionUnknown StorageFailed TooLarge "
    ),
    "chubby.types.calls": "CreateMode MemberAction Mode",
    "chubby.types.events": "EventKind",
    "chubby.types.nodes": "AclNames DirEntry LockInfo LockMode NodeKind Stat",
    "chubby.types.transaction": (
        "Absent AclGenerationIs ContentIs Create Exists GenerationIs Read Remove TokenIs TransactionResult "
        "Write WriteAcl WriteAttributes "
    ),
}
"""Where each other name lives."""

_LAZY: Final = {name: (home, name) for home, names in _HOMES.items() for name in names.split()} | {
    "Event": ("chubby.types.events", "EventMask")
}


def __getattr__(name: str) -> object:
    """Load what is asked for, once."""
    if name in _MODULES:
        found: object = importlib.import_module(_MODULES[name])
    elif name in _LAZY:
        home, original = _LAZY[name]
        found = getattr(importlib.import_module(home), original)
    else:
        raise AttributeError(f"module 'chubby' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """What is here, and what can be had."""
    return sorted({*globals(), *_MODULES, *_LAZY})
