"""Where a mount's process says what it has to say: its terminal, syslog or a file; and to systemd, how it fares."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from logging.handlers import SysLogHandler, WatchedFileHandler
from pathlib import Path
from typing import Final

SYSLOG: Final = Path("/dev/log")
"""Where syslogd or journald listens."""
NOTIFY_VARIABLE: Final = "NOTIFY_SOCKET"
"""Environment: where systemd listens to a service of Type=notify."""

_LINE: Final = "chubby: %(message)s"
_FILE_LINE: Final = "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"
_SYSLOG_LINE: Final = "chubby-mount[%(process)d]: %(message)s"


def log_to_terminal() -> None:
    """Log to stderr, as a mount in the foreground does."""
    _log_to(logging.StreamHandler(), _LINE)


def log_to_file(file: str) -> None:
    """Log to the end of `file`; to a new one of that name when it was moved away. Raises OSError."""
    _log_to(WatchedFileHandler(file, encoding="utf-8"), _FILE_LINE)


def log_to_system(listener: Path = SYSLOG) -> None:
    """Log to syslog, or to the journal, which listens there where it is; where neither does nothing is kept."""
    if listener.exists():
        _log_to(SysLogHandler(str(listener), SysLogHandler.LOG_DAEMON), _SYSLOG_LINE)
    else:
        _log_to(logging.NullHandler(), "")


def notify(state: str) -> None:
    """Tell systemd, if it wants to know: see sd_notify(3)."""
    address = os.environ.get(NOTIFY_VARIABLE, "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(state.encode())


def _log_to(handler: logging.Handler, line: str) -> None:
    handler.setFormatter(logging.Formatter(line))
    root = logging.getLogger()
    for other in root.handlers[:]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("fuse_mount").setLevel(logging.INFO)
