"""What all tests share: how hypothesis searches.

No example has a deadline (the machine may be busy), and in continuous integration (`CI` is set) the search is the same
every time: a red run there can be repeated, and new counter-examples are hunted at the desk.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
