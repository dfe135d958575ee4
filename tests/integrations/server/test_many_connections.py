"""10,000 connections at once, each with a request: all are answered, with right vectors or with 429."""

from __future__ import annotations

import asyncio
import json
import resource
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from server.proxies import NAME, expected
from server.recorded_upstream import recorded_upstream, texts
from server.test_serve_command import file_of, process

CONNECTIONS = 10_000


@pytest.mark.timeout(240)
def test_ten_thousand_connections(tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < CONNECTIONS + 1000:
        pytest.skip(f"this system allows {most} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    given = texts()[:2]
    body = json.dumps({"model": NAME, "input": given}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    right = expected(given)
    statuses: Counter[int] = Counter()
    opened: list[asyncio.StreamWriter] = []

    async def ask(port: int, all_open: asyncio.Event, opening: asyncio.Semaphore) -> None:
        async with opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        if len(opened) == CONNECTIONS:
            all_open.set()
        await all_open.wait()
        writer.write(head + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        answer = json.loads(await reader.readexactly(int(fields["content-length"])))
        status = int(lines[0].split()[1])
        statuses[status] += 1
        if status == 200:
            found = [item["embedding"] for item in answer["data"]]
            np.testing.assert_allclose(found, right, atol=1e-5)
        else:
            assert (status, answer["error"]["code"]) == (429, "queue_full")
            assert "retry-after" in fields
        writer.close()

    async def all_at_once(port: int) -> None:
        all_open, opening = asyncio.Event(), asyncio.Semaphore(500)
        await asyncio.gather(*(ask(port, all_open, opening) for _ in range(CONNECTIONS)))

    with recorded_upstream() as upstream:
        limits = {"header_seconds": 120}  # none is closed while the others are still being opened
        config = file_of(upstream, tmp_path, port=0, limits=limits)
        with process("--config", config) as (running, address, lines):
            asyncio.run(all_at_once(int(address.rpartition(":")[2])))
            assert running.poll() is None
        assert not [line for line in lines if "ERROR" in line]
    assert statuses.total() == CONNECTIONS
    assert set(statuses) <= {200, 429}
    assert statuses[200] >= 1000
    print(f"{CONNECTIONS} connections: {dict(statuses)}")  # noqa: T201
