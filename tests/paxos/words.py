"""What the core says, in words, for transcripts and failure messages."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import Ballot, Entry, Message, Value, ValueKind, configuration_of
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, LeaseRecord, PromisedRecord, Ready, Record
from chubby.types.time import MILLISECOND

HIDDEN = frozenset({"incarnation", "sent_at"})
"""Fields that would only make transcripts longer."""
TIMES = frozenset({"lease", "retry_after"})


def ballot_words(ballot: Ballot) -> str:
    """Round and replica, and the incarnation if it is not the first."""
    life = "" if ballot.incarnation in (0, 100 + ballot.replica) else f"'{ballot.incarnation}"
    return f"{ballot.round}.{ballot.replica}{life}"


def configuration_words(configuration: Configuration) -> str:
    """Voters, then learners in brackets."""

    def names(members: tuple[object, ...]) -> str:
        return " ".join(str(getattr(member, "replica", member)) for member in members)

    learners = f" ({names(configuration.learners)})" if configuration.learners else ""
    return f"voters {names(configuration.voters)}{learners}"


def value_words(value: Value) -> str:
    """What a slot holds."""
    match value.kind:
        case ValueKind.NOOP:
            return "noop"
        case ValueKind.CONFIGURATION:
            return f"<{configuration_words(configuration_of(value))}>"
        case ValueKind.COMMANDS:
            words = [payload.decode() for payload in value.payloads]
            shown = words if len(words) < 6 else [*words[:2], f"… {len(words)} in all"]
            return f"[{' '.join(shown)}]"


def entry_words(entry: Entry) -> str:
    """slot@ballot value."""
    return f"{entry.slot}@{ballot_words(entry.ballot)} {value_words(entry.value)}"


def message_words(message: Message) -> str:
    """Kind and fields of a message."""
    words = [type(message).__name__]
    for field in msgspec.structs.fields(message):
        value = getattr(message, field.name)
        if field.name not in HIDDEN:
            words.append(f"{field.name}={_field(field.name, value)}")
    return " ".join(words)


def record_words(record: Record) -> str:
    """A record."""
    match record:
        case PromisedRecord():
            return f"promised {ballot_words(record.ballot)}"
        case AcceptedRecord():
            return f"accepted {entry_words(record.entry)}"
        case ChosenRecord():
            return f"chosen {record.slot}"
        case LeaseRecord():
            return f"lease {record.bound // MILLISECOND}ms"


def ready_words(ready: Ready) -> Iterator[str]:
    """A line per thing that a `Ready` asks for."""
    for record in ready.records:
        yield f"sync #{ready.number}: {record_words(record)}"
    for envelope in ready.messages:
        yield f"sends {envelope.to}: {message_words(envelope.message)}"
    for envelope in ready.gated:
        yield f"after #{ready.number} sends {envelope.to}: {message_words(envelope.message)}"
    for entry in ready.chosen:
        yield f"chosen {entry_words(entry)}"
    for request in ready.snapshot_requests:
        yield f"{type(request).__name__} {request.slot} from {request.offset}"


def _field(name: str, value: object) -> str:
    match value:
        case Ballot():
            return ballot_words(value)
        case Value():
            return value_words(value)
        case bytes():
            return f"{len(value)} bytes"
        case tuple():
            return "[" + ", ".join(entry_words(each) if isinstance(each, Entry) else str(each) for each in value) + "]"
        case int() if name in TIMES:
            return f"{value // MILLISECOND}ms"
        case bool() | int() if not hasattr(value, "name"):
            return str(value)
        case _:
            return str(getattr(value, "name", value))
