"""Generate the stubs: ``python -m bench.peers.stubs.generate``. Needs the extra `dev`; see `chubby.wire.generate`."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""Root of the checkout: the stubs import each other from there."""
PROTOS = tuple(Path("bench/peers/stubs") / name for name in ("etcd.proto", "etcd_lock.proto"))


def generate(into: Path) -> None:
    """Write the stubs below the directory `into`; raises CalledProcessError if the compiler fails."""
    plugins = Path(sysconfig.get_path("scripts"))
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc"),
        f"--proto_path={ROOT}",
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        f"--python_out={into}",
        f"--grpc_python_out={into}",
        f"--mypy_out=quiet:{into}",
        f"--mypy_grpc_out=quiet:{into}",
        *map(str, PROTOS),
    ]
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    generate(ROOT)
