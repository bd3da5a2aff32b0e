"""Generate the protobuf and gRPC stubs from `chubby.proto`: ``python -m chubby.wire.generate [--check]``.

The stubs are committed, so that nobody needs a compiler to install the package. The generator is deterministic: the
same versions of grpcio-tools and mypy-protobuf give the same bytes. With ``--check`` nothing is written; the exit
status is 1 if a committed stub differs from what would be generated.

protoc runs at the root of the checkout, so the stubs import each other as `chubby.wire.chubby_pb2` and need no path
surgery. Only this module needs grpcio-tools and mypy-protobuf; neither is needed at run time.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Root of the checkout: what the package path `chubby/wire` is relative to."""
PROTO = Path("chubby/wire/chubby.proto")
STUBS = tuple(
    PROTO.with_name(name) for name in ("chubby_pb2.py", "chubby_pb2.pyi", "chubby_pb2_grpc.py", "chubby_pb2_grpc.pyi")
)
"""What is generated, relative to the root."""


def generate(into: Path) -> None:
    """Write the four stubs below the directory `into`; raise CalledProcessError if the compiler fails."""
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
        str(PROTO),
    ]
    subprocess.run(command, cwd=ROOT, check=True)


def stale(root: Path = ROOT) -> list[Path]:
    """The stubs below `root` that differ from what the generator gives now, or are missing."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        return [stub for stub in STUBS if not _same(Path(scratch) / stub, root / stub)]


def _same(fresh: Path, committed: Path) -> bool:
    return committed.is_file() and fresh.read_bytes() == committed.read_bytes()


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    if list(arguments) == ["--check"]:
        outdated = stale()
        for stub in outdated:
            print(f"{stub} is out of date: run python -m chubby.wire.generate", file=sys.stderr)
        return 1 if outdated else 0
    if arguments:
        print("usage: python -m chubby.wire.generate [--check]", file=sys.stderr)
        return 2
    generate(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
