"""A store that answers to S3's protocol, on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

BUCKET = "bucket"


class Store:
    """A bucket in a running server."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.filesystem = fs.S3FileSystem(
            access_key="key", secret_key="secret", endpoint_override=self.endpoint, allow_bucket_creation=True
        )
        self.filesystem.create_dir(BUCKET)

    def put(self, path: Path, prefix: str) -> str:
        """Upload a file with the ids beside it, or the files of a folder; returns its URI."""
        files = list(path.iterdir()) if path.is_dir() else path.parent.glob(f"{path.stem}*")
        folder = f"{prefix}/{path.name}" if path.is_dir() else prefix
        for file in files:
            self.write(f"{folder}/{file.name}", file.read_bytes())
        return f"s3://{BUCKET}/{prefix}/{path.name}"

    def write(self, key: str, content: bytes) -> None:
        with self.filesystem.open_output_stream(f"{BUCKET}/{key}") as stream:
            stream.write(content)

    def read(self, key: str) -> bytes:
        with self.filesystem.open_input_file(f"{BUCKET}/{key}") as file:
            content: bytes = file.read()
        return content

    def names(self, prefix: str) -> list[str]:
        """Of the objects below a folder."""
        selector = fs.FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return sorted(info.path[len(f"{BUCKET}/{prefix}/") :] for info in found if info.is_file)

    def contents(self, prefix: str) -> dict[str, bytes]:
        return {name: self.read(f"{prefix}/{name}") for name in self.names(prefix)}

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Only known keys are let in, of which there are none."""
        self._let_in(0)
        try:
            yield
        finally:
            self._let_in(10**9)

    def _let_in(self, requests: int) -> None:
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/reset-auth",
            data=str(requests).encode(),
            headers={"Content-Type": "text/plain"},
        )
        urllib.request.urlopen(request).close()


@contextmanager
def running() -> Iterator[Store]:
    """A server, which the environment points to meanwhile."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        while not _answers(port):
            assert server.poll() is None
            time.sleep(0.01)
        yield Store(port)
    finally:
        server.kill()
        server.wait()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
