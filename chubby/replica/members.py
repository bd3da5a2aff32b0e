"""Operators' changes of the membership: from a call to a configuration, and back to an answer (DESIGN §3 Membership).

`chubby replica add` and `replace` put a *placeholder* into the configuration, a learner with incarnation 0 at the given
addresses; the new process finds it when it asks to join, and takes its place under its own incarnation. `remove` takes
a voter out. Whether a change is safe is judged by `paxos.membership`.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.paxos.configuration import Configuration, Member
from chubby.types.calls import ChangeMembers, MemberAction
from chubby.types.identity import ReplicaId

PLACEHOLDER = 0
"""The incarnation of a learner that is expected but has not come yet."""


def wanted(call: ChangeMembers, latest: Configuration, me: ReplicaId) -> Configuration | Failure:
    """The configuration that `call` asks for, or why there is none."""
    present = latest.member(call.replica)
    if call.action is MemberAction.ADD:
        if present is not None:
            return _refused(f"replica {call.replica} is a member already: use replace")
        if not (call.peer_address and call.client_address):
            return _refused("a new replica needs a peer and a client address")
        return latest.with_learner(Member(call.replica, PLACEHOLDER, call.peer_address, call.client_address))
    if present is None:
        return _refused(f"replica {call.replica} is not a member")
    if call.replica == me:
        return _refused(f"replica {call.replica} is the master itself: let it step down first")
    if call.action is MemberAction.REMOVE:
        return latest.without(call.replica)
    return latest.with_learner(
        Member(
            call.replica,
            PLACEHOLDER,
            call.peer_address or present.peer_address,
            call.client_address or present.client_address,
        )
    )


class PendingChanges:
    """Calls that wait until the configuration they asked for is chosen."""

    def __init__(self) -> None:
        """None waits."""
        self._waiting: list[tuple[int, Configuration]] = []

    def wait(self, ticket: int, configuration: Configuration) -> None:
        """`ticket` is answered once `configuration` governs."""
        self._waiting.append((ticket, configuration))

    def chosen(self, latest: Configuration) -> list[int]:
        """The tickets that `latest` answers."""
        done = [ticket for ticket, configuration in self._waiting if configuration == latest]
        self._waiting = [(ticket, each) for ticket, each in self._waiting if each != latest]
        return done

    def clear(self) -> None:
        """Mastership is over: nobody is answered from here any more."""
        self._waiting.clear()


def _refused(message: str) -> Failure:
    return Failure(ErrorCode.MEMBERSHIP_REFUSED, message)
