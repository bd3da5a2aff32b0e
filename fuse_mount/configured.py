"""Which cells are configured: the names that `chubby mount --all` shows.

| a cell is configured                                                                | as                      |
|-------------------------------------------------------------------------------------|-------------------------|
| in the file of `CHUBBY_CONFIG`                                                      | `local`, and its name   |
| by `CHUBBY_CELL`: addresses, or a name                                              | `local`                 |
| in a file `NAME.toml` in ./cell_config, ~/.config/chubby or /etc/chubby             | NAME                    |

These are the names under which `chubby.config.resolve` finds something. Only names are looked at, but for the file of
`CHUBBY_CONFIG`: one whose file is wrong is shown, and whoever goes into it gets the error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from chubby import paths
from chubby.config import CELL_VARIABLE, CONFIG_VARIABLE, load_cell, search_folders
from chubby.errors import BadPath, ConfigError


def configured_cells(environment: Mapping[str, str], directory: Path) -> list[str]:
    """The names of the cells that are configured now, in order; `directory` is where the user was."""
    return sorted({*_by_variables(environment, directory), *_by_files(environment, directory)})


def _by_variables(environment: Mapping[str, str], directory: Path) -> Iterator[str]:
    file = environment.get(CONFIG_VARIABLE, "")
    if file or environment.get(CELL_VARIABLE, ""):
        yield paths.LOCAL_CELL
    if file:
        with contextlib.suppress(ConfigError):
            yield load_cell(directory / file).name


def _by_files(environment: Mapping[str, str], directory: Path) -> Iterator[str]:
    for folder in search_folders(environment, directory):
        with contextlib.suppress(OSError):
            for file in folder.iterdir():
                if file.suffix == ".toml" and _legal(file.stem) and file.is_file():
                    yield file.stem


def _legal(name: str) -> bool:
    try:
        paths.validate_cell(name)
    except BadPath:
        return False
    return True
