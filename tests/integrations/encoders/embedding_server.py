"""An OpenAI-compatible embeddings server with a real model, which can be told to go wrong."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

Items = list[dict[str, Any]]
Status = tuple[int, dict[str, str], bytes]


def error(code: int, message: str, kind: str = "", **headers: str) -> Status:
    return code, headers, json.dumps({"error": {"message": message, "code": kind}}).encode()


STATUS: dict[str, Status] = {
    "429": error(429, "slow down", **{"Retry-After": "0"}),
    "429 for long": error(429, "slow down", **{"Retry-After": "86400"}),
    "quota": error(429, "you have no credit", "insufficient_quota"),
    "500": error(500, "out of memory"),
    "520": error(520, "the origin is unreachable"),
    "coding": (200, {"Content-Encoding": "gzip"}, b"not gzip"),
    "error in 200": (200, {}, b'{"error": {"message": "no such model"}}'),
    "401": error(401, "Incorrect API key provided: secret-key-1"),
    "400": error(400, "this model's maximum context length is 8192 tokens"),
    "html": (200, {}, b"<html>welcome to the proxy</html>"),
}


def _renumbered(items: Items) -> Items:
    return [{**item, "index": 0} for item in items]


CHANGES: dict[str, Callable[[Items], Items]] = {
    "fewer": lambda items: items[:-1],
    "shuffled": lambda items: items[::-1],
    "without index": lambda items: [{"embedding": item["embedding"]} for item in items],
    "one index": _renumbered,
    "narrow": lambda items: [{**item, "embedding": item["embedding"][:-1]} for item in items],
    "NaN": lambda items: [*items[:-1], {**items[-1], "embedding": [float("nan")] * 384}],
    "index in a list": lambda items: [{**item, "index": [item["index"]]} for item in items],
    "words": lambda items: [{**item, "embedding": ["a"]} for item in items],
}
"""What becomes of the items of a right reply; those that touch the numbers are for float replies."""


class EmbeddingServer(ThreadingHTTPServer):
    """Serves ``POST /v1/embeddings`` on a free port of this machine.

    ``faults`` are used up, one per request: names of `STATUS` or `CHANGES`, "cut" for a connection that
    ends within the reply, "hang" for one that is never answered, "" for none.
    """

    daemon_threads = True

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        self.base64 = True
        self.faults: deque[str] = deque()
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answered: list[str] = []
        self.hanging = Event()
        self.released = Event()
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> EmbeddingServer:
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def reply(self, body: dict[str, Any], fault: str) -> Status:
        """What a request is answered with."""
        if fault in STATUS:
            return STATUS[fault]
        asked = None if fault == "all dimensions" else body.get("dimensions")
        with self.lock:
            vectors = self.model.encode(body["input"], truncate_dim=asked)
        packed = self.base64 and body.get("encoding_format") == "base64"
        items: Items = [
            {
                "object": "embedding",
                "index": n,
                "embedding": base64.b64encode(v.astype("<f4").tobytes()).decode() if packed else v.tolist(),
            }
            for n, v in enumerate(vectors.astype(np.float32))
        ]
        items = CHANGES.get(fault, list)(items)
        tokens = sum(len(text.split()) for text in body["input"])
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        reply = {"object": "list", "model": body["model"], "data": items, "usage": usage}
        return 200, {}, json.dumps(reply).encode()


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append(body)
            server.keys.append(self.headers.get("Authorization"))
            fault = server.faults.popleft() if server.faults else ""
        if fault == "hang":
            server.hanging.set()
            server.released.wait()
            self.close_connection = True
            return
        code, headers, content = server.reply(body, fault)
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "cut":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        with server.lock:
            if code == 200:
                server.answered += body["input"]
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is pytest's."""
