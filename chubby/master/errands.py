"""The master's own errands: commands that no client asked for (see `pipeline.Errand`)."""

from __future__ import annotations

from collections.abc import Callable

from chubby.master.moment import Moment
from chubby.master.pipeline import WorkPlan
from chubby.master.session import Session
from chubby.namespace.outcomes import Outcome
from chubby.types.identity import CallNumber


class OwnErrand:
    """Propose what `plan` says when its turn comes; tell `done` what became of it."""

    __slots__ = ("_done", "_plan")
    queues = True

    def __init__(
        self,
        plan: Callable[[Moment], WorkPlan | None],
        done: Callable[[Outcome, Moment], None] | None = None,
    ) -> None:
        """`plan` may say None: there is no need any more."""
        self._plan = plan
        self._done = done

    @property
    def session(self) -> Session | None:
        """Nobody's."""
        return None

    @property
    def acknowledged(self) -> CallNumber:
        """The master caches nothing."""
        return 0

    def plan(self, at: Moment) -> WorkPlan | None:
        """What to propose as things stand now."""
        return self._plan(at)

    def proposed(self) -> None:
        """It is on its way."""

    def applied(self, outcome: Outcome, at: Moment) -> None:
        """What became of it."""
        if self._done is not None:
            self._done(outcome, at)
