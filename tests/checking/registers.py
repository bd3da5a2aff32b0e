"""Two textbook objects, those of the recorded histories: a register with compare-and-set, and a string that grows."""

from __future__ import annotations

import msgspec

from tests.checking.history import UNKNOWN, Unknown

NIL = -1
"""What a register holds before anything is written to it; values are not negative."""


class ReadRegister(msgspec.Struct, frozen=True, gc=False):
    """Answered with the value."""


class WriteRegister(msgspec.Struct, frozen=True, gc=False):
    """Answered with True."""

    value: int


class Swap(msgspec.Struct, frozen=True, gc=False):
    """Compare-and-set: answered with whether the value was `old`, and then is `new`."""

    old: int
    new: int


RegisterCall = ReadRegister | WriteRegister | Swap
RegisterResult = int | bool


class RegisterModel:
    """One number."""

    def initial(self) -> int:
        """Nothing written."""
        return NIL

    def step(self, state: int, call: RegisterCall, result: RegisterResult | Unknown) -> int | None:
        """See `Model`."""
        if isinstance(call, ReadRegister):
            return state if result is UNKNOWN or result == state else None
        if isinstance(call, WriteRegister):
            return call.value
        swapped = state == call.old
        if result is not UNKNOWN and result is not swapped:
            return None
        return call.new if swapped else state

    def observes(self, call: RegisterCall, result: RegisterResult) -> bool:
        """See `Model`."""
        return isinstance(call, ReadRegister) or result is False

    def show(self, state: int) -> str:
        """See `Model`."""
        return "nil" if state == NIL else str(state)


class Get(msgspec.Struct, frozen=True, gc=False):
    """Answered with the string."""


class Put(msgspec.Struct, frozen=True, gc=False):
    """Replace the string. Answered with the empty string."""

    value: str


class Append(msgspec.Struct, frozen=True, gc=False):
    """Add to the end of the string. Answered with the empty string."""

    value: str


StringCall = Get | Put | Append


class StringModel:
    """One string, empty at first. It may grow long, so a state is the number of a string, the same for equal ones."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}
        self._strings: list[str] = [""]
        self._longer: dict[tuple[int, str], int] = {}

    def initial(self) -> int:
        """The empty string."""
        return 0

    def step(self, state: int, call: StringCall, result: str | Unknown) -> int | None:
        """See `Model`."""
        if isinstance(call, Get):
            return state if result is UNKNOWN or result == self._strings[state] else None
        if isinstance(call, Put):
            return self._number(call.value)
        longer = self._longer.get((state, call.value))
        if longer is None:
            longer = self._longer[state, call.value] = self._number(self._strings[state] + call.value)
        return longer

    def observes(self, call: StringCall, result: str) -> bool:
        """See `Model`."""
        return isinstance(call, Get)

    def show(self, state: int) -> str:
        """See `Model`."""
        return repr(self._strings[state])

    def _number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self._strings)
            self._strings.append(text)
        return self._numbers[text]
