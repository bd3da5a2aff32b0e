"""What all tests share: how hypothesis searches, and what signals mean.

No example has a deadline (the machine may be busy), and in continuous integration (`CI` is set) the search is the same
every time: a red run there can be repeated, and new counter-examples are hunted at the desk.

A shell that starts tests in the background has them ignore SIGINT, nohup SIGHUP, and every process they start inherits
that. Tests that signal one mean what a user does at a terminal.
"""

from __future__ import annotations

import os
import signal

from hypothesis import settings

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
