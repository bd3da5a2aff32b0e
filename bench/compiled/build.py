"""Build the compiled generators, with Debian's compilers and libraries and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.peers.system import Unavailable
from bench.peers.zookeeper import JAR

HERE = Path(__file__).resolve().parent
GO_PACKAGES = ("golang-go", "golang-etcd-server-dev")
GO_LIBRARIES = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go libraries: etcd's client and all that it needs among them."""
JAVA_PACKAGES = ("zookeeper", "default-jdk-headless")


def build_etcd(into: Path) -> list[str]:
    """Build the generator for etcd below `into`: its command. Raises Unavailable."""
    go = _tool("go", GO_PACKAGES)
    if not (GO_LIBRARIES / "src/go.etcd.io/etcd/clientv3").is_dir():
        raise Unavailable(f"etcd's client library for Go is not here: as root, apt-get install {' '.join(GO_PACKAGES)}")
    into.mkdir(parents=True, exist_ok=True)
    binary = into / "etcd-load"
    offline = {"GO111MODULE": "off", "GOPATH": str(GO_LIBRARIES), "GOFLAGS": "", "GOCACHE": str(into / "go")}
    _run([go, "build", "-o", str(binary), "."], HERE / "etcd", offline)
    return [str(binary)]


def build_zookeeper(into: Path) -> list[str]:
    """Build the generator for ZooKeeper below `into`: its command. Raises Unavailable."""
    compiler, java = _tool("javac", JAVA_PACKAGES), _tool("java", JAVA_PACKAGES)
    if not JAR.exists():
        raise Unavailable(f"ZooKeeper's client is not here: as root, apt-get install {' '.join(JAVA_PACKAGES)}")
    classes = into / "zookeeper"
    classes.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(file) for file in (HERE / "zookeeper").glob("*.java"))
    _run([compiler, "-cp", str(JAR), "-d", str(classes), *sources], HERE, {})
    (classes / "log4j.properties").write_text("log4j.rootLogger=OFF\n")
    return [java, "-cp", f"{classes}:{JAR}", "Load"]


def _tool(name: str, packages: tuple[str, ...]) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"there is no {name} here: as root, apt-get install {' '.join(packages)}")
    return found


def _run(command: list[str], directory: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=directory, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
