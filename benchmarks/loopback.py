"""A made-up embeddings API and a plain HTTP client, for measuring the server between them on one machine.

``python -m benchmarks.loopback PORT`` is the API: text "17" has row 17 of a seeded table as its embedding.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Any

import numpy as np
import uvicorn
from starlette.types import Receive, Scope, Send

from smec.vectors import Float32Array, normalise

WIDTH = 768
TEXTS = 1000
PART = 1 << 18
"""Bytes that the client hands to the system together."""


def table() -> Float32Array:
    """Embeddings of the texts "0", "1", ...: rows around a common direction."""
    rng = np.random.default_rng(5)
    return normalise((rng.standard_normal((TEXTS, WIDTH)) + 0.5).astype(np.float32))


class Upstream:
    """The API as an ASGI application; it knows base64 only, and takes ``seconds`` for an answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._coded = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in table()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if self._seconds:
            await asyncio.sleep(self._seconds)
        given = json.loads(body)["input"]
        data = [
            {"object": "embedding", "index": index, "embedding": self._coded[int(text)]}
            for index, text in enumerate(given if isinstance(given, list) else [given])
        ]
        usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
        answer = json.dumps({"object": "list", "data": data, "model": "m", "usage": usage}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


class Connection:
    """One kept-open HTTP connection, with as little between request and answer as there can be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: bytes, kind: str = "application/json") -> tuple[int, bytes]:
        """Status and body of the answer."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 26)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        if len(body) <= PART:
            self._writer.writelines([head.encode(), body])
        else:  # handed over whole, a body is copied twice before the system gets it
            self._writer.write(head.encode())
            view = memoryview(body)
            for start in range(0, len(body), PART):
                self._writer.write(view[start : start + PART])
                await self._writer.drain()
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        answer = await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), answer

    def close(self) -> None:
        """Close it; the next request opens another one."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def request(texts: list[int], **fields: Any) -> bytes:
    """A request for the embeddings of texts, as the ``openai`` client sends it."""
    document = {"model": "m", "input": list(map(str, texts)), "encoding_format": "base64", **fields}
    return json.dumps(document).encode()


if __name__ == "__main__":
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    uvicorn.run(Upstream(seconds), port=int(sys.argv[1]), log_level="warning", access_log=False)
