"""The machine once more, written to be obviously right and nothing else (DESIGN §4).

Plain dicts and lists, searched from one end to the other; a transaction works on a deep copy of everything and keeps
the original if it fails. It shares with the machine the commands, the outcomes and the check of legal names, and no
other line. Whatever follows from a rule is derived anew each time, nothing is remembered: who may be granted, which
ephemerals nobody keeps, how many bytes there are.
"""

from tests.namespace.twin.commands import Twin

__all__ = ["Twin"]
