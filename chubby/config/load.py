"""Where configuration comes from: files, and the few environment variables that name them.

This module is the only one of the room that reads anything; the environment and the working directory are arguments.
The package docstring states the order in which a client's cell is looked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from chubby import paths
from chubby.config.addresses import parse_addresses
from chubby.config.cell import CellConfig
from chubby.config.parse import parse_cell
from chubby.config.table import complaint
from chubby.errors import BadPath, ConfigError

CONFIG_VARIABLE = "CHUBBY_CONFIG"
"""Environment: the file that configures the local cell."""
CELL_VARIABLE = "CHUBBY_CELL"
"""Environment: the local cell's name, or the client addresses of its replicas, separated by commas."""


class CellAddresses(msgspec.Struct, frozen=True):
    """Where a client finds a cell.

    `cell` is the cell's own name where a file told it, else the name that was asked for. `addresses` are the client
    addresses of replicas, at least one; any of them leads to all the others. `origin` says who told, for messages.
    """

    cell: str
    addresses: tuple[str, ...]
    origin: str


def load_cell(file: Path) -> CellConfig:
    """Read the configuration `file`. Raises ConfigError, also if it cannot be read."""
    source = str(file)
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise complaint(source, "", f"cannot be read ({error.strerror}): check the name and its permissions") from None
    except UnicodeDecodeError as error:
        raise complaint(source, "", f"is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    config = parse_cell(text, source)
    storage = msgspec.structs.replace(config.storage, directory=str(Path(config.storage.directory).resolve()))
    return msgspec.structs.replace(config, storage=storage)


def search_folders(environment: Mapping[str, str], directory: Path) -> tuple[Path, ...]:
    """The folders in which `<cell>.toml` is looked for, in order; `directory` is the working directory."""
    home = environment.get("HOME")
    personal = (Path(home) / ".config" / "chubby",) if home else ()
    return (directory / "cell_config", *personal, Path("/etc/chubby"))


def find_file(cell: str, environment: Mapping[str, str], directory: Path) -> Path:
    """The first `<cell>.toml` in the search folders. Raises ConfigError if there is none or the name is not legal."""
    try:
        paths.validate_cell(cell)
    except BadPath as error:
        raise ConfigError(str(error)) from None
    candidates = [folder / f"{cell}.toml" for folder in search_folders(environment, directory)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise ConfigError(
        f"no configuration of the cell {cell!r} (looked for {looked}): "
        f"write one of these files, or name a file in {CONFIG_VARIABLE} or replicas in {CELL_VARIABLE}"
    )


def cell_names(environment: Mapping[str, str], directory: Path) -> tuple[str, ...]:
    """The cells that are configured, by name in order: those of which `resolve` says where they are, or what is wrong.

    `local` if either variable is set, the cell of the file in `CHUBBY_CONFIG`, and every `<cell>.toml` in the search
    folders. Of these only the names are read. A folder that cannot be read has none.
    """
    found = {file.stem for folder in search_folders(environment, directory) for file in _toml_files(folder)}
    file = environment.get(CONFIG_VARIABLE, "")
    if file or environment.get(CELL_VARIABLE, ""):
        found.add(paths.LOCAL_CELL)
    if file:
        with contextlib.suppress(ConfigError):
            found.add(load_cell(directory / file).name)
    return tuple(sorted(name for name in found if _may_be_a_cell(name)))


def find_cell(cell: str, environment: Mapping[str, str], directory: Path) -> CellConfig:
    """The configuration of `cell` (`local`: of whichever cell the environment means), by steps 2 to 4 of the order.

    Raises ConfigError if there is none, or if the environment knows the cell by addresses alone.
    """
    found = _from_environment(cell, environment, directory)
    if isinstance(found, CellAddresses):
        raise ConfigError(
            f"{CELL_VARIABLE} holds only addresses, and a configuration file is needed: name one in {CONFIG_VARIABLE}"
        )
    return found


def resolve(
    cell: str,
    environment: Mapping[str, str],
    directory: Path,
    addresses: Sequence[str] = (),
) -> CellAddresses:
    """Where a client finds `cell`, by the order that the package docstring states.

    `addresses` is what the caller gave explicitly. Raises ConfigError: nothing found, or what was found is wrong.
    """
    if addresses:
        return CellAddresses(cell, _addresses(",".join(addresses), "addresses"), "the caller")
    found = _from_environment(cell, environment, directory)
    if isinstance(found, CellAddresses):
        return found
    return CellAddresses(found.name, found.client_addresses, found.source)


def _from_environment(cell: str, environment: Mapping[str, str], directory: Path) -> CellConfig | CellAddresses:
    """Steps 2 to 4 of the order. An empty variable counts as unset."""
    file = environment.get(CONFIG_VARIABLE, "")
    if file:
        config = load_cell(directory / file)
        if cell in (paths.LOCAL_CELL, config.name):
            return config
    wanted = cell
    if cell == paths.LOCAL_CELL:
        told = environment.get(CELL_VARIABLE, "")
        if ":" in told:
            return CellAddresses(cell, _addresses(told, CELL_VARIABLE), CELL_VARIABLE)
        wanted = told or cell
    config = load_cell(find_file(wanted, environment, directory))
    if config.name != wanted:
        raise complaint(
            config.source,
            "[cell] name",
            f"{config.name!r} is not what the file is named after: write name = {wanted!r} or rename the file",
        )
    return config


def _toml_files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.suffix == ".toml" and file.is_file()]
    except OSError:
        return []


def _may_be_a_cell(name: str) -> bool:
    try:
        paths.validate_cell(name)
    except BadPath:
        return False
    return True


def _addresses(text: str, origin: str) -> tuple[str, ...]:
    try:
        return parse_addresses(text)
    except ValueError as error:
        raise ConfigError(f"{origin}: {error}") from None
