"""Many requests at once: right vectors, a bounded queue, and connections that nobody can hold open."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from server.proxies import DIMS, NAME, compressor, expected, proxy
from server.recorded_upstream import RecordedUpstream, texts
from smec.compressor import Compressor
from smec.errors import DataError
from smec.server.batching import Batcher
from smec.server.metrics import Metrics
from smec.server.vectors_wire import CompressRequest
from smec.server.wire import EmbeddingRequest


def head(url: str, path: str, length: int | None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {url.removeprefix('http://')}"]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connected(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").removesuffix("/v1").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_concurrent_requests_of_all_sizes_get_their_own_vectors(url: str) -> None:
    known = texts()

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        rng = np.random.default_rng(number)
        given = [known[row] for row in rng.integers(0, len(known), rng.integers(1, 9))]
        dim = DIMS[number % 2]
        body = {"model": NAME, "input": given, "dimensions": dim}
        answer = await client.post(f"{url}/embeddings", json=body)
        found = np.array([item["embedding"] for item in answer.json()["data"]])
        np.testing.assert_allclose(found, expected(given, dim), atol=1e-5)

    async def all_at_once() -> None:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            await asyncio.gather(*(ask(client, number) for number in range(200)))

    asyncio.run(all_at_once())


def test_vectors_that_arrive_together_are_projected_together_and_a_bad_one_alone_fails() -> None:
    rng = np.random.default_rng(2)
    good = [rng.standard_normal((n, 384)).astype(np.float32) for n in (1, 3, 2)]
    nothing = np.full((2, 384), np.nan, dtype=np.float32)

    async def together() -> list[object]:
        batcher = Batcher(metrics)
        try:
            jobs = [batcher.encode(compressor(), vectors, 48) for vectors in (*good, nothing)]
            return await asyncio.gather(*jobs, return_exceptions=True)
        finally:
            batcher.close()

    metrics = Metrics()
    *found, failed = asyncio.run(together())
    for small, vectors in zip(found, good, strict=True):
        np.testing.assert_allclose(small, compressor().encode(vectors, 48), atol=1e-6)  # type: ignore[call-overload]
    assert isinstance(failed, DataError)
    page = metrics.page().decode()
    assert "smec_batch_requests_sum 4.0" in page
    assert "smec_batch_rows_sum 8.0" in page


def test_a_batch_that_fails_unforeseen_is_still_answered() -> None:
    class Broken(Compressor):
        def encode(self, *vectors: Any, **options: Any) -> Any:
            raise MemoryError

    async def together() -> list[object]:
        batcher, good = Batcher(Metrics()), compressor()
        broken = Broken(good.blocks, good.manifest, good.tensors)
        rows = np.ones((2, 384), dtype=np.float32)
        try:
            jobs = [batcher.encode(broken, rows, 48) for _ in range(2)]
            return await asyncio.wait_for(asyncio.gather(*jobs, return_exceptions=True), 10)
        finally:
            batcher.close()

    assert [type(result) for result in asyncio.run(together())] == [MemoryError, MemoryError]


@pytest.mark.parametrize("path", ["embeddings", "compress"])
def test_what_waits_is_not_kept_parsed(upstream: RecordedUpstream, tmp_path: Path, path: str) -> None:
    """Parsed lists take many times the bytes of a body, which are what is counted."""
    held: list[bool] = []

    def parsed_ones() -> bool:
        gc.collect()
        kinds = (EmbeddingRequest, CompressRequest)
        # By their types: to ask some objects of other libraries for their class makes them warn.
        return any(issubclass(type(one), kinds) for one in gc.get_objects())

    with proxy(upstream, tmp_path / "model") as (url, service):
        model = service.models.named(NAME)
        embed, encode = model.upstream.embed, service._batcher.encode

        async def embedding(*arguments: Any) -> Any:
            held.append(parsed_ones())
            return await embed(*arguments)

        async def encoding(*arguments: Any) -> Any:
            held.append(parsed_ones())
            return await encode(*arguments)

        model.upstream.embed = embedding  # type: ignore[method-assign, assignment]
        service._batcher.encode = encoding  # type: ignore[method-assign, assignment]
        rows = np.ones((100, 384)) + np.arange(384)  # more than 256 kB: read in a thread
        given = {"embeddings": {"input": texts()[:2]}, "compress": {"vectors": rows.tolist()}}[path]
        answer = httpx.post(f"{url}/v1/{path}", json={"model": NAME, **given})
        assert answer.status_code == 200
    assert held
    assert not any(held)


def test_a_full_queue_answers_429_and_what_was_accepted_is_answered(
    upstream: RecordedUpstream, tmp_path: Path
) -> None:
    upstream.hold = threading.Event()
    given = texts()[:2]
    try:
        with (
            proxy(upstream, tmp_path / "model", limits={"waiting": 3}) as (url, service),
            httpx.Client(timeout=20) as http,
            ThreadPoolExecutor(3) as pool,
        ):
            body = {"model": NAME, "input": given}
            accepted = [pool.submit(http.post, f"{url}/v1/embeddings", json=body) for _ in range(3)]
            while service.metrics.registry.get_sample_value("smec_requests_in_flight") != 3:
                time.sleep(0.001)
            refused = http.post(f"{url}/v1/embeddings", json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
            assert refused.headers["retry-after"] == "1"
            assert http.get(f"{url}/healthz").status_code == 200
            upstream.hold.set()
            for future in accepted:
                found = [item["embedding"] for item in future.result().json()["data"]]
                np.testing.assert_allclose(found, expected(given), atol=1e-6)
            assert http.post(f"{url}/v1/embeddings", json=body).status_code == 200
    finally:
        upstream.hold = None


def test_bodies_share_a_bounded_memory(upstream: RecordedUpstream, tmp_path: Path) -> None:
    limits = {"memory_bytes": 3000, "body_bytes": 2500, "bulk_bytes": 2500, "body_seconds": 30}
    with proxy(upstream, tmp_path / "model", limits=limits) as (url, service), connected(url) as slow:
        slow.sendall(head(url, "/v1/embeddings", 2500) + b"{")
        while service.metrics.registry.get_sample_value("smec_requests_in_flight") != 1:
            time.sleep(0.001)
        body = json.dumps({"model": NAME, "input": texts()[0], "user": "x" * 600})
        with httpx.Client() as http:
            assert http.post(f"{url}/v1/embeddings", content=body).json()["error"]["code"] == "queue_full"
            slow.close()
            while service.metrics.registry.get_sample_value("smec_requests_in_flight") != 0:
                time.sleep(0.001)
            assert http.post(f"{url}/v1/embeddings", content=body).status_code == 200


def test_a_client_that_goes_away_leaves_nothing_behind(upstream: RecordedUpstream, tmp_path: Path) -> None:
    upstream.hold = threading.Event()
    body = json.dumps({"model": NAME, "input": texts()[:2]}).encode()
    try:
        with proxy(upstream, tmp_path / "model") as (url, service):
            for _ in range(5):
                with connected(url) as client:
                    client.sendall(head(url, "/v1/embeddings", len(body)) + body)
            while service.metrics.registry.get_sample_value("smec_requests_in_flight") != 5:
                time.sleep(0.001)
            upstream.hold.set()
            while service.metrics.registry.get_sample_value("smec_requests_in_flight") != 0:
                time.sleep(0.001)
            assert httpx.post(f"{url}/v1/embeddings", content=body).status_code == 200
    finally:
        upstream.hold = None


@pytest.mark.parametrize("sent", [b"", b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
def test_a_connection_without_a_request_is_closed(
    upstream: RecordedUpstream, tmp_path: Path, sent: bytes
) -> None:
    with (
        proxy(upstream, tmp_path / "model", limits={"header_seconds": 0.2}) as (url, _),
        connected(url) as idle,
    ):
        idle.sendall(sent)
        assert idle.recv(100) == b""


def test_a_body_that_does_not_arrive_is_not_waited_for(upstream: RecordedUpstream, tmp_path: Path) -> None:
    limits = {"body_seconds": 0.2, "header_seconds": 0.3}
    with proxy(upstream, tmp_path / "model", limits=limits) as (url, _), connected(url) as slow:
        slow.sendall(head(url, "/v1/embeddings", 1000) + b"{")
        answer = slow.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 408")
        slow.sendall(b"x")
        assert slow.recv(100) == b""  # and the connection is not held open by the rest


@pytest.mark.parametrize("part", ["line", "headers"])
def test_an_endless_head_is_refused(url: str, part: str) -> None:
    with connected(url) as client:
        client.sendall(b"GET /" + (b"a" * (80 << 10) if part == "line" else b" HTTP/1.1\r\n"))
        if part == "headers":
            client.sendall(b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(80)))
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
