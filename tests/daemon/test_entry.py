"""How programs begin."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chubby.daemon.entry import load


def test_ctrl_c_while_a_program_is_loaded_ends_it_without_a_word(tmp_path: Path) -> None:
    """There is nothing to clean up yet, and nobody wants to read where Python was."""
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\ndef main(): pass\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from chubby.daemon.entry import load; load('slow')()"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_ctrl_c_means_afterwards_what_it_meant_before(handler: signal.Handlers) -> None:
    """Also to a program that was told to ignore it."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert callable(load("chubby.daemon.main"))
        assert signal.getsignal(signal.SIGINT) is handler
        with pytest.raises(ModuleNotFoundError):
            load("chubby.no_such_room")
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("program", ["chubby.daemon", "chubby.cli"])
def test_programs_begin_so(program: str) -> None:
    """As a module, which is what `chubbyd` and `chubby` run."""
    ended = subprocess.run(
        [sys.executable, "-m", program, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0 and "version" in ended.stdout
