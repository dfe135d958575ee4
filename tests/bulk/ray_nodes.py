"""A Ray cluster of two node processes on loopback addresses of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

FAULT = """
import os, signal, sys

def notice(event, arguments):
    if event != "open" or not isinstance(arguments[0], str) or not arguments[0].endswith(".npy"):
        return
    if "deadly" in arguments[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    with os.fdopen(os.open(os.environ["NODE_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), "w") as log:
        log.write(arguments[0] + "\\n")

sys.addaudithook(notice)
for lacking in os.environ.get("NODE_LACKS", "").split():
    sys.modules[lacking] = None
"""
"""Of all Python on the nodes: opening an array called deadly ends the process, any other is noted down."""

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
"""Nothing is sent anywhere; and whoever runs the tests may have a token for another cluster."""


@dataclass
class Node:
    """``ray start --block`` and all that it started."""

    process: subprocess.Popen[bytes]
    log: Path

    def all_processes(self) -> list[psutil.Process]:
        """Itself first."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def workers(self) -> list[psutil.Process]:
        """The processes that are at a task now."""
        return [one for one in self.all_processes() if _title(one).startswith("ray::_make")]

    def lose_power(self) -> None:
        """End all processes at once."""
        everything = self.all_processes()
        for one in everything:
            one.kill()
        self.process.wait()
        psutil.wait_procs(everything, timeout=10)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@dataclass
class Cluster:
    """A head and more nodes of one core each; leaves neither processes nor files behind."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="ray-")))  # sockets: short
    nodes: list[Node] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """For ``RAY_ADDRESS``. Not 127.0.0.1, for which Ray takes the machine's own address."""
        return f"127.0.0.2:{self.port}"

    def start(self) -> Cluster:
        """Start the head and one more node."""
        (self.folder / "hook").mkdir()
        (self.folder / "hook" / "sitecustomize.py").write_text(FAULT)
        with socket.socket() as free:
            free.bind(("127.0.0.2", 0))
            self.port = free.getsockname()[1]
        self._start("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}")
        self.add_node()
        return self

    def add_node(self, lacks: str = "") -> Node:
        """Start a node on an address of its own, perhaps one where a module cannot be imported."""
        return self._start(f"--address={self.address}", lacks=lacks)

    def _start(self, *options: str, lacks: str = "") -> Node:
        number = len(self.nodes)
        log = self.folder / f"opened-{number}"
        ray = Path(sys.executable).with_name("ray")
        path = os.pathsep.join([str(self.folder / "hook"), os.environ.get("PYTHONPATH", "")])
        with (self.folder / f"node-{number}.out").open("wb") as output:
            process = subprocess.Popen(
                [
                    ray,
                    "start",
                    *options,
                    f"--node-ip-address=127.0.0.{number + 2}",
                    "--num-cpus=1",
                    "--block",
                ],
                env=os.environ | SETTINGS | {"PYTHONPATH": path, "NODE_LOG": str(log), "NODE_LACKS": lacks},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.nodes.append(Node(process, log))
        said = self.folder / f"node-{number}.out"
        while "Ray runtime started" not in said.read_text(errors="replace"):
            assert process.poll() is None, said.read_text(errors="replace")
            time.sleep(0.05)
        return self.nodes[-1]

    def stop(self) -> None:
        """End what is left of all nodes."""
        for node in reversed(self.nodes):
            if node.process.poll() is None:
                node.lose_power()
        shutil.rmtree(self.folder)
