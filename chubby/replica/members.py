"""Operators' changes of the membership: from a call to a configuration, and back to an answer (DESIGN §3 Membership).

`chubby replica add` and `replace` put a *placeholder* into the configuration, a learner with incarnation 0 at the given
addresses; the new process finds it when it asks to join, and takes its place under its own incarnation. `remove` takes
a voter out. Whether a change is safe is judged by `paxos.membership`.

A call can come twice, or late: its answer was lost and it was made again, or it waited for a master while the operator
looked elsewhere. So it names the incarnation that it means, and an effect that is there already is an answer:

| call    | the cell has                                             | then                                     |
|---------|----------------------------------------------------------|------------------------------------------|
| ADD     | that replica, at these addresses                         | done already                             |
| ADD     | that replica, elsewhere                                  | refused: `replace` gives its place away  |
| REMOVE  | no such replica                                          | done already, if it names an incarnation |
| REMOVE  | another incarnation: added again, or begun anew          | refused: nobody looked at that one       |
| REPLACE | another incarnation or a placeholder, at these addresses | done already                             |
| REPLACE | another incarnation or a placeholder, elsewhere          | refused: that was another change         |
| REPLACE | the placeholder that is meant, at these addresses        | done already                             |
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.paxos.configuration import Configuration, Member
from chubby.types.calls import ChangeMembers, MemberAction
from chubby.types.identity import ReplicaId

PLACEHOLDER = 0
"""The incarnation of a learner that is expected but has not come yet."""


def wanted(call: ChangeMembers, latest: Configuration, me: ReplicaId) -> Configuration | Failure | None:
    """The configuration that `call` asks for, or why there is none; None: the members are as it asks already."""
    present = latest.member(call.replica)
    if call.action is MemberAction.ADD:
        return _addition(call, latest, present)
    if present is None:
        if call.action is MemberAction.REMOVE and call.incarnation is not None:
            return None
        return _refused(f"replica {call.replica} is not a member")
    if call.incarnation not in (None, present.incarnation):
        if call.action is MemberAction.REPLACE and _stands_as_asked(present, call):
            return None
        return _refused(
            f"replica {call.replica} is another one by now, at {present.peer_address}: nothing was changed; "
            "look at it, and ask again if it is meant"
        )
    if call.replica == me:
        return _refused(f"replica {call.replica} is the master itself: let it step down first")
    if call.action is MemberAction.REMOVE:
        return latest.without(call.replica)
    after = latest.with_learner(
        Member(
            call.replica,
            PLACEHOLDER,
            call.peer_address or present.peer_address,
            call.client_address or present.client_address,
        )
    )
    return after if after != latest else None


def _addition(call: ChangeMembers, latest: Configuration, present: Member | None) -> Configuration | Failure | None:
    if not (call.peer_address and call.client_address):
        return _refused("a new replica needs a peer and a client address")
    if present is None:
        return latest.with_learner(Member(call.replica, PLACEHOLDER, call.peer_address, call.client_address))
    if _stands_as_asked(present, call):
        return None
    return _refused(f"replica {call.replica} is a member already, at {present.peer_address}: use replace")


def _stands_as_asked(present: Member, call: ChangeMembers) -> bool:
    """Whether `present` is where `call` wants a replica; an empty address asks for none in particular."""
    return call.peer_address in ("", present.peer_address) and call.client_address in ("", present.client_address)


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
