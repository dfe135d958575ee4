"""Clients that do not read their answers, and heads without an end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from server.proxies import NAME, document
from server.recorded_upstream import RecordedUpstream, serving
from server.test_compress_endpoint import arrow
from server.test_under_load import connected
from smec.config import parsed
from smec.server.connections import bounded_protocol
from smec.server.lifecycle import Server
from smec.server.settings import ServerSettings
from smec.server.vectors_wire import ARROW


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def running(upstream: RecordedUpstream, folder: Path, send_seconds: float) -> Iterator[tuple[str, Server]]:
    fields = document(upstream, folder, limits={"send_seconds": send_seconds})
    server = Server(parsed(ServerSettings, fields, "test"))
    with serving(server) as url:
        yield url, server


def asked_for_much(url: str) -> tuple[socket.socket, int]:
    """A client that has asked for more than the system keeps for it, and the bytes of that."""
    vectors = np.random.default_rng(0).standard_normal((100, 384)).astype(np.float32)
    body = arrow(vectors, blob=pa.array([b"x" * 160_000] * 100))
    host, _, port = url.removeprefix("http://").partition(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(20)
    client.connect((host, int(port)))
    head = f"POST /v1/compress?model={NAME} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {ARROW}\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return client, 100 * 160_000


def test_a_client_that_never_reads_is_cut_off(upstream: RecordedUpstream, tmp_path: Path) -> None:
    with running(upstream, tmp_path / "model", 0.3) as (url, server):
        client, size = asked_for_much(url)
        with client:
            assert client.recv(12) == b"HTTP/1.1 200"
            until(lambda: not server.server_state.connections)
            received = 0
            with contextlib.suppress(ConnectionError):
                while part := client.recv(1 << 20):
                    received += len(part)
        assert received < size


def test_a_client_that_never_reads_does_not_delay_the_end(upstream: RecordedUpstream, tmp_path: Path) -> None:
    with running(upstream, tmp_path / "model", 0.3) as (url, _):
        client, _ = asked_for_much(url)
        assert client.recv(12) == b"HTTP/1.1 200"
    # `serving` has waited for the end: less than shutdown_seconds
    client.close()


def test_a_slow_reader_gets_everything(upstream: RecordedUpstream, tmp_path: Path) -> None:
    with running(upstream, tmp_path / "model", 0.4) as (url, _):
        client, size = asked_for_much(url)
        received, began = 0, time.monotonic()
        with client:
            while received < size:
                part = client.recv(1 << 18)
                assert part
                received += len(part)
                time.sleep(0.02)
        assert time.monotonic() - began > 0.8  # longer than send_seconds


class Unread:
    """A transport whose client reads nothing."""

    def __init__(self, left: list[int]) -> None:
        self.left = left
        self.closed = self.aborted = False

    def get_extra_info(self, name: str) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("closing", ["head", "keep-alive", "400", "shutdown", "resumed"])
def test_a_connection_that_closes_is_cut_off_if_its_client_does_not_read(closing: str) -> None:
    async def lives() -> tuple[bool, bool]:
        transport = Unread([3, 2, 1, 1])
        protocol = made(transport, 0.01 if closing == "head" else 10)
        if closing == "keep-alive":
            protocol.timeout_keep_alive_handler()
        elif closing == "400":
            protocol.data_received(b"no HTTP\r\n\r\n")
        elif closing == "shutdown":
            protocol.shutdown()
        elif closing == "resumed":  # little is left, which the system does not tell of
            protocol.pause_writing()
            transport.close()
            protocol.resume_writing()
        await asyncio.sleep(0.2)
        protocol.connection_lost(ConnectionError())
        return transport.closed, transport.aborted

    assert asyncio.run(lives()) == (True, True)


def test_no_timer_outlives_its_connection() -> None:
    async def lives() -> bool:
        transport = Unread([5])
        protocol = made(transport, 10)
        protocol.pause_writing()
        protocol.connection_lost(ConnectionError())
        await asyncio.sleep(0.05)
        return transport.aborted

    assert not asyncio.run(lives())


def made(transport: Any, head_seconds: float) -> Any:
    import uvicorn
    from uvicorn.server import ServerState

    config = uvicorn.Config(lambda scope: None, log_config=None, ws="none")
    kind: Any = bounded_protocol(head_seconds, 0.02)
    protocol = kind(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(transport)
    return protocol


BEGIN = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "begin",
    [BEGIN + b"X: ", BEGIN, BEGIN + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: "],
    ids=["value", "name", "trailer"],
)
def test_a_single_header_without_an_end_is_refused(url: str, begin: bytes) -> None:
    with connected(url) as client:
        client.sendall(begin)
        time.sleep(0.05)
        client.sendall(b"a" * (60 << 10))
        time.sleep(0.05)
        client.sendall(b"a" * (10 << 10))
        assert client.recv(1000).startswith(b"HTTP/1.1 400")


def test_a_long_body_in_many_parts_is_no_head(url: str) -> None:
    with connected(url) as client:
        client.sendall(BEGIN + b"Content-Length: 300000\r\n\r\n")
        for _ in range(30):
            client.sendall(b" " * 10_000)
        answer = client.recv(1000)
        assert b"invalid_json" in answer
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
