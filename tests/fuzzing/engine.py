"""One target under atheris, in a process of its own: `python -m tests.fuzzing.engine TARGET [OPTION of libFuzzer]...`.

Only the product is instrumented: coverage of the tests themselves would lead the search astray.
"""

from __future__ import annotations

import logging
import sys
from typing import NoReturn


def main(arguments: list[str]) -> NoReturn:
    """Fuzz until libFuzzer ends the process: with 0 after its time, otherwise because it found something."""
    import atheris

    name, *options = arguments
    logging.disable()
    with atheris.instrument_imports(include=["chubby", "fuse_mount"]):
        from tests.fuzzing.table import TARGETS
    target = TARGETS[name]

    def taste(data: bytes) -> None:
        target.taste(data)

    atheris.Setup([sys.argv[0], f"-max_len={target.longest}", *options], taste)
    atheris.Fuzz()
    raise AssertionError("libFuzzer ends the process")


if __name__ == "__main__":
    main(sys.argv[1:])
