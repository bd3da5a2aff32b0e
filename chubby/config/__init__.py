"""The configuration of a cell, and how a client finds one (DESIGN §1, §2 `cell_config/`).

A file says which replicas make up a cell and with which figures it starts::

    [cell]
    name = "local"
    replicas = [{id = 1, peer = "127.0.0.1:7101", client = "127.0.0.1:7201"}, ...]

It bootstraps. Once a cell is formatted, membership, master lease and clock drift live in the log, and the log is right
where the two differ; limits live there as well, and a new master puts those of its file into it.
`cell_config/production.example.toml` explains every key.

| module      | what it does                                                            |
|-------------|-------------------------------------------------------------------------|
| `cell`      | `CellConfig` and its parts: frozen values                               |
| `units`     | "12s", "64MiB", "1%" and back                                           |
| `addresses` | "host:port" and what of it is loopback                                  |
| `table`     | reads a TOML table key by key; every complaint names file, key, remedy  |
| `parse`     | text → `CellConfig`                                                     |
| `rules`     | how the values of a configuration must agree                            |
| `load`      | reads files; `resolve`, the order below; `cell_names`, all there are    |

Only `load` reads anything, and it takes environment and working directory as arguments.

**Where a client's cell comes from.** The first that applies:

1. addresses that the caller gives: `connect("/ls/local", addresses=[...])`;
2. `CHUBBY_CONFIG`, a file: it configures `/ls/local`, and the cell whose name it states;
3. for `/ls/local` alone, `CHUBBY_CELL`: replicas' client addresses, separated by commas (they contain colons), or the
   name of a cell, looked up as in 4;
4. `<cell>.toml` in `./cell_config`, `~/.config/chubby`, `/etc/chubby`. With nothing set, `/ls/local` therefore is
   `./cell_config/local.toml` wherever that file is there.

A file that is found and wrong is an error, never passed over for a later one.
"""

from __future__ import annotations

from chubby.config.addresses import Address, parse_address, parse_addresses
from chubby.config.cell import CellConfig, Limits, Network, ReplicaConfig, Storage, Timing
from chubby.config.load import (
    CELL_VARIABLE,
    CONFIG_VARIABLE,
    CellAddresses,
    cell_names,
    find_cell,
    find_file,
    load_cell,
    resolve,
    search_folders,
)
from chubby.config.parse import parse_cell
from chubby.config.rules import check_bootstrap
from chubby.config.units import format_duration, format_size, parse_duration, parse_size

__all__ = [
    "CELL_VARIABLE",
    "CONFIG_VARIABLE",
    "Address",
    "CellAddresses",
    "CellConfig",
    "Limits",
    "Network",
    "ReplicaConfig",
    "Storage",
    "Timing",
    "cell_names",
    "check_bootstrap",
    "find_cell",
    "find_file",
    "format_duration",
    "format_size",
    "load_cell",
    "parse_address",
    "parse_addresses",
    "parse_cell",
    "parse_duration",
    "parse_size",
    "resolve",
    "search_folders",
]
