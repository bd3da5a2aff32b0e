"""A configuration file under an editor: lines come, go, are repeated and moved; it is read after each change.

The reader never does more than complain, in one line that names the file; and it is a function of the text.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chubby.config import parse_cell
from chubby.errors import ConfigError
from tests.config.cells import SOURCE
from tests.config.test_fuzz import KEYS, SECTIONS, VALUES
from tests.fuzzing.texts import FILES

PLACES = st.integers(0, 200)


class Editor(RuleBasedStateMachine):
    """The model: the lines, and whether nothing was changed yet."""

    def __init__(self) -> None:
        """No file."""
        super().__init__()
        self.lines: list[str] = []
        self.untouched = False

    @initialize(file=st.sampled_from([file.read_text() for file in FILES]))
    def begin(self, file: str) -> None:
        """One of the files we ship."""
        self.lines = file.split("\n")
        self.untouched = True

    def _at(self, place: int) -> int:
        self.untouched = False
        return place % (len(self.lines) + 1)

    @rule(place=PLACES, key=KEYS, value=VALUES)
    def set(self, place: int, key: str, value: str) -> None:
        """A key of the right name, or nearly, anywhere."""
        self.lines.insert(self._at(place), f'"{key}" = {value}')

    @rule(place=PLACES, section=st.sampled_from([*SECTIONS, "celll", "[cell.replicas]", "cell.replicas.x"]))
    def open_section(self, place: int, section: str) -> None:
        """A header."""
        self.lines.insert(self._at(place), f"[{section}]")

    @rule(place=PLACES, text=st.text(max_size=20))
    def scribble(self, place: int, text: str) -> None:
        """Anything."""
        self.lines.insert(self._at(place), text)

    @precondition(lambda self: self.lines)
    @rule(place=PLACES)
    def drop(self, place: int) -> None:
        """A line goes."""
        del self.lines[self._at(place) % len(self.lines)]

    @precondition(lambda self: self.lines)
    @rule(place=PLACES, other=PLACES)
    def repeat(self, place: int, other: int) -> None:
        """A line is there twice."""
        self.lines.insert(self._at(place), self.lines[other % len(self.lines)])

    @precondition(lambda self: self.lines)
    @rule(place=PLACES, count=st.integers(1, 12))
    def cut_words(self, place: int, count: int) -> None:
        """A line ends too early."""
        at = self._at(place) % len(self.lines)
        self.lines[at] = self.lines[at][:-count]

    @invariant()
    def it_is_read_or_complained_of(self) -> None:
        """The same twice; what we ship is read."""
        text = "\n".join(self.lines)
        try:
            config = parse_cell(text, SOURCE)
        except ConfigError as error:
            assert not self.untouched or not self.lines, f"a file of ours is refused: {error}"
            assert str(error).startswith(f"{SOURCE}: ") and "\n" not in str(error)
            with pytest.raises(ConfigError, match=re.escape(str(error))):
                parse_cell(text, SOURCE)
        else:
            assert parse_cell(text, SOURCE) == config


TestEditor = Editor.TestCase
TestEditor.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
