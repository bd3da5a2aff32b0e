"""Configuration files of cells that tests of commands start."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cells import free_ports


def configured(file: Path, replicas: int, data: Path | None = None) -> Path:
    """Write one, with ports of its own; the cell is called like the file. `data`: where it says that the data is."""
    ports = free_ports(2 * replicas)
    members = [
        f'{{id = {number}, peer = "127.0.0.1:{ports[2 * number - 2]}", client = "127.0.0.1:{ports[2 * number - 1]}"}}'
        for number in range(1, replicas + 1)
    ]
    text = f'[cell]\nname = "{file.stem}"\nreplicas = [{", ".join(members)}]\n'
    file.write_text(text if data is None else f'{text}[storage]\ndirectory = "{data}"\n')
    return file
