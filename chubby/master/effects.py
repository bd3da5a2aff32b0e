"""What the master asks of its shell (DESIGN §2, "effects point up"; §5).

| effect          | the shell does                                                 | answered by                    |
| --------------- | -------------------------------------------------------------- | ------------------------------ |
| `Propose`       | hands the command to Paxos, in the order of the effects        | `Master.applied`, or `deposed` |
| `Deliver`       | sends the frames on the stream, in order                       | –                              |
| `EndStream`     | closes the stream after the frames delivered before            | –                              |
| `HandOver`      | gives the mastership up in good order                          | `Master.deposed`               |
| `ChangeMembers` | changes the configuration of the cell                          | `Master.membership_answered`   |

The master relies on this: commands of one epoch are applied in the order of their `sequence`, and each of them either
is applied or never will be because the mastership has ended.
"""

from __future__ import annotations

import msgspec

from chubby.namespace.commands import Command
from chubby.types.calls import ChangeMembers as ChangeMembersCall
from chubby.types.identity import ReplicaId
from chubby.types.stream import ServerFrame


class Propose(msgspec.Struct, frozen=True, tag="propose"):
    """Put this command into the log."""

    command: Command


class Deliver(msgspec.Struct, frozen=True, tag="deliver"):
    """Send these frames on a stream, in order."""

    stream: int
    frames: tuple[ServerFrame, ...]


class EndStream(msgspec.Struct, frozen=True, tag="end_stream"):
    """Close a stream once everything delivered on it is sent. The master has forgotten it already."""

    stream: int


class HandOver(msgspec.Struct, frozen=True, tag="hand_over"):
    """Give up the mastership in good order, to `successor` if that replica is fit (0: whoever is)."""

    successor: ReplicaId


class ChangeMembers(msgspec.Struct, frozen=True, tag="change_members"):
    """Change the configuration; the result is told by `Master.membership_answered(ticket, ...)`."""

    ticket: int
    call: ChangeMembersCall


MasterEffect = Propose | Deliver | EndStream | HandOver | ChangeMembers
