"""What to say before a change of membership, and how far a new member has come. PURE.

The master judges a change for itself and is right. This is for the person who asks: refuse what cannot succeed with a
better word than the master has, and ask back where a mistake would cost a quorum.
"""

from __future__ import annotations

import msgspec

from chubby.cli.status_view import LEARNER, Picture, ReplicaView, margin_text
from chubby.types.calls import MemberAction
from chubby.types.identity import ReplicaId


class Advice(msgspec.Struct, frozen=True):
    """`refusal`: do not even ask the master. `question`: ask the person. `done`: what to say when it is done."""

    refusal: str = ""
    question: str = ""
    done: str = ""


class Progress(msgspec.Struct, frozen=True):
    """How far a new member has come."""

    text: str
    voting: bool = False


def advice(picture: Picture, action: MemberAction, number: ReplicaId, client: str = "") -> Advice:
    """What to say before `action` on replica `number`, which clients are to reach at `client`, seeing the cell as in
    `picture`.
    """
    view = picture.view(number)
    if not picture.serving:
        state = "no master" if picture.margin >= 0 else margin_text(picture.margin)
        return Advice(f"the cell has {state}: its members can only change while it serves")
    if action is MemberAction.ADD:
        if view is None or view.role == "joining":
            return Advice(done=f"replica {number} is admitted and will vote once it has caught up; start it now")
        if view.address == client:
            return Advice(done=f"replica {number} was admitted already; start it now if it does not run")
        return Advice(f"replica {number} is a member already; to give its place to a new one: chubby replica replace")
    if view is None:
        known = ", ".join(str(each.replica) for each in picture.replicas)
        return Advice(f"replica {number} is not a member; members are {known}")
    if number == picture.master:
        return Advice(f"replica {number} is the master: let it hand over first, with chubby step-down")
    if action is MemberAction.REMOVE:
        return _removal(picture, view)
    return _replacement(picture, view)


def successor_refusal(picture: Picture, number: ReplicaId) -> str:
    """Why the master cannot hand over to replica `number`; "" if that is for the master to judge."""
    view = picture.view(number)
    if view is None:
        known = ", ".join(str(each.replica) for each in picture.replicas)
        return f"replica {number} is not a member; members are {known}"
    if view.role in (LEARNER, "joining"):
        return f"replica {number} does not vote yet, so it cannot be master"
    if not view.answers:
        return f"replica {number} does not answer: {view.error}"
    return ""


def progress_of(picture: Picture, number: ReplicaId) -> Progress:
    """How far replica `number` has come."""
    view = picture.view(number)
    if view is None:
        return Progress("not yet known to the replicas that answer")
    if not view.answers:
        return Progress("waiting for it to start")
    if view.role in (LEARNER, "joining"):
        return Progress(f"catching up, {view.lag} slots behind" if view.lag else "has caught up, waits for promotion")
    return Progress("votes", voting=True)


def _removal(picture: Picture, view: ReplicaView) -> Advice:
    done = f"replica {view.replica} is no member any more; stop its process if it runs"
    if view.role == LEARNER:
        return Advice(done=done)
    voters = [each for each in picture.replicas if each.role != LEARNER and each.replica != view.replica]
    margin = sum(each.answers for each in voters) - (len(voters) // 2 + 1)
    if margin < 0:
        return Advice(f"without replica {view.replica} the cell would have no quorum: {margin_text(margin)}")
    return Advice(question=f"Remove replica {view.replica}? Afterwards {margin_text(margin)}.", done=done)


def _replacement(picture: Picture, view: ReplicaView) -> Advice:
    done = f"replica {view.replica} is to be replaced; start the new one, with an empty data directory, now"
    if not view.answers:
        return Advice(done=done)
    if view.role == LEARNER:
        question = f"Replica {view.replica} answers, and is catching up. Replace it nevertheless?"
        return Advice(question=question, done=done)
    if picture.margin == 0:
        return Advice(f"replica {view.replica} answers, and without it the cell would have no quorum")
    return Advice(
        question=f"Replica {view.replica} answers. Replace it nevertheless, and give up its data?",
        done=done,
    )
