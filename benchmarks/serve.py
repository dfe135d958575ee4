"""``python -m benchmarks.serve``: what the server adds to an upstream, on one machine over loopback.

Latency at 100 requests a second of 8 texts, 768 -> 96 dims, in turn with the same requests to the upstream
itself; vectors per second of ``/v1/compress`` with Arrow; with ``--soak N`` the memory over N requests.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.loopback import TEXTS, WIDTH, Connection, request, table
from benchmarks.markdown import table as markdown_table
from smec.block import Block
from smec.compressor import Compressor
from smec.server.vectors_wire import ARROW
from smec.vectors import FloatArray

RESULTS = Path(__file__).resolve().parent / "results" / "serve.json"
DIM = 96
RATE = 100
TEXTS_EACH = 8
ROUND_SECONDS = 5
ROUNDS = 6
BULK_ROWS = 16_384
BULK_REQUESTS = 12

Document = dict[str, Any]


def compressor() -> Compressor:
    """Random orthonormal columns: how long a product takes does not depend on the numbers."""
    rng = np.random.default_rng(1)
    matrix = np.linalg.qr(rng.standard_normal((WIDTH, DIM)))[0].astype(np.float32)
    manifest = {
        "smec_version": "0",
        "preset": "default",
        "supervised": False,
        "training": {},
        "data": {"name": "made up"},
        "libraries": {},
    }
    return Compressor.assemble([Block(matrix, (DIM,), "smec")], manifest, table()[:4], table().mean(axis=0))


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def process(*arguments: str, port: int) -> Iterator[psutil.Process]:
    """A Python process that listens on a port, ended with the block."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, *arguments], env=environment) as running:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield psutil.Process(running.pid)
        finally:
            running.terminate()


@contextmanager
def servers(delay: float = 0.0) -> Iterator[tuple[int, int, psutil.Process]]:
    """Ports of an upstream and of a proxy before it, and the proxy's process."""
    upstream, proxy = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        compressor().save(Path(folder) / "model")
        serve = ["-c", "from smec.cli.main import main; main()", "serve", f"{folder}/model", "--name", "m"]
        serve += ["--upstream", f"http://127.0.0.1:{upstream}/v1", "--port", str(proxy)]
        with (
            process("-m", "benchmarks.loopback", str(upstream), str(delay), port=upstream),
            process(*serve, port=proxy) as running,
        ):
            yield upstream, proxy, running


async def paced(port: int, fields: Document) -> list[float]:
    """Milliseconds of each request at `RATE` a second, from when it was due."""
    free: list[Connection] = []
    rng = np.random.default_rng(0)
    start = time.perf_counter() + 0.05

    async def one(number: int, body: bytes) -> float:
        due = start + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = free.pop() if free else Connection(port)
        began = time.perf_counter()
        status, _ = await connection.post("/v1/embeddings", body)
        free.append(connection)
        assert status == 200, status
        return (time.perf_counter() - began) * 1000

    bodies = [
        request(rng.integers(0, TEXTS, TEXTS_EACH).tolist(), **fields) for _ in range(RATE * ROUND_SECONDS)
    ]
    taken = await asyncio.gather(*(one(number, body) for number, body in enumerate(bodies)))
    for connection in free:
        connection.close()
    return taken


def latency() -> Document:
    """Percentiles of both, and their differences."""
    taken: dict[str, list[float]] = {"upstream": [], "proxy": []}
    with servers() as (upstream, proxy, _):
        for turn in range(ROUNDS + 1):  # in turn, so that both see the same machine; the first is not counted
            for name, port, fields in (("upstream", upstream, {}), ("proxy", proxy, {"dimensions": DIM})):
                measured = asyncio.run(paced(port, fields))
                taken[name] += measured if turn else []
    rows = {name: np.percentile(values, [50, 90, 99]).round(2).tolist() for name, values in taken.items()}
    added = np.subtract(rows["proxy"], rows["upstream"]).round(2).tolist()
    return {**rows, "added": added, "requests": len(taken["proxy"])}


def arrow(vectors: FloatArray) -> bytes:
    """Vectors as an Arrow stream."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    batch = pa.record_batch({"vector": column})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


async def bulk(port: int, body: bytes, count: int) -> None:
    """Send the same vectors again and again."""
    connection = Connection(port)
    for _ in range(count):
        status, _ = await connection.post(f"/v1/compress?model=m&dimensions={DIM}", body, ARROW)
        assert status == 200, status
    connection.close()


def compress() -> Document:
    """Vectors per second, and per second of the server's processor time."""
    found: Document = {}
    with servers() as (_, proxy, running):
        for kind in ("float32", "float16"):
            vectors = np.tile(table(), (BULK_ROWS // TEXTS + 1, 1))[:BULK_ROWS].astype(kind)
            body = arrow(vectors)
            asyncio.run(bulk(proxy, body, 2))
            before, began = running.cpu_times(), time.perf_counter()
            asyncio.run(bulk(proxy, body, BULK_REQUESTS))
            seconds, after = time.perf_counter() - began, running.cpu_times()
            used = after.user + after.system - before.user - before.system
            rows = BULK_ROWS * BULK_REQUESTS
            found[kind] = {"per second": round(rows / seconds), "per core second": round(rows / used)}
    return found


async def steady(port: int, count: int, right: FloatArray, running: psutil.Process) -> Document:
    """``count`` requests over 32 connections; memory at every tenth of them, and the worst vector."""
    left, answered, worst = iter(range(count)), 0, 0.0
    memory: list[float] = []

    async def ask(seed: int) -> None:
        nonlocal answered, worst
        rng, connection = np.random.default_rng(seed), Connection(port)
        for _ in left:
            rows = rng.integers(0, TEXTS, rng.integers(1, 9)).tolist()
            status, answer = await connection.post("/v1/embeddings", request(rows, dimensions=DIM))
            assert status == 200, answer
            data = json.loads(answer)["data"]
            small = np.array([np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in data])
            worst = max(worst, float(np.abs(small - right[rows]).max()))
            answered += 1
            if answered % (count // 10) == 0:
                memory.append(round(running.memory_info().rss / 2**20, 1))
        connection.close()

    await asyncio.gather(*(ask(seed) for seed in range(32)))
    return {"requests": answered, "largest difference": worst, "rss MiB": memory}


def soak(count: int) -> Document:
    """Memory of the server over many requests, whose vectors are all checked."""
    right = compressor().encode(table(), DIM)
    with servers() as (_, proxy, running):
        return asyncio.run(steady(proxy, count, right, running))


def tables(document: Document) -> str:
    """The figures as Markdown."""
    figures = document["latency"]
    rows = [[name, *(f"{value:.2f}" for value in figures[name])] for name in ("upstream", "proxy", "added")]
    lines = markdown_table(["milliseconds", "median", "p90", "p99"], rows)
    rates = document["compress"]
    speeds = [
        [kind, *(f"{rates[kind][unit]:,}" for unit in ("per second", "per core second"))] for kind in rates
    ]
    lines += ["", *markdown_table(["Arrow vectors", "per second", "per core second"], speeds)]
    if "soak" in document:
        soaked = document["soak"]
        memory = [
            [f"{(n + 1) * soaked['requests'] // 10:,}", f"{m}"] for n, m in enumerate(soaked["rss MiB"])
        ]
        lines += ["", *markdown_table(["requests", "RSS in MiB"], memory)]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--soak", type=int, default=0, metavar="N", help="also send N requests and watch memory"
    )
    wanted = parser.parse_args()
    document: Document = {"latency": latency(), "compress": compress()}
    if wanted.soak:
        document["soak"] = soak(wanted.soak)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(tables(document))


if __name__ == "__main__":
    main()
