"""An embeddings API over HTTP that answers with recorded MiniLM embeddings, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from smec.demo import demo_dataset
from smec.vectors import Float32Array, normalise

WIDTH = 384


@cache
def recorded() -> dict[str, Float32Array]:
    """Questions of MedQuAD -> their embeddings by all-MiniLM-L6-v2, as they come with smec."""
    queries = demo_dataset().queries
    assert queries is not None and queries.texts is not None
    return dict(zip(queries.texts, normalise(queries.vectors), strict=True))


def texts() -> list[str]:
    return list(recorded())


def tokens_of(text: str) -> list[int]:
    """A token list for a text: its bytes."""
    return list(text.encode())


class RecordedUpstream:
    """What it was asked, and how it is to answer the next requests."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[str] = []
        """Taken from the front, one for a request; an empty list means good answers."""
        self.always: str | None = None
        """A fault of every request."""
        self.understands_base64 = True
        self.turn: Float32Array | None = None
        """Another embedding model: the recorded vectors times this matrix."""
        self.hold: threading.Event | None = None
        """Requests wait for it."""
        self.url = ""

    async def embeddings(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        while self.hold is not None and not self.hold.is_set():
            await asyncio.sleep(0.005)
        fault = self.faults.pop(0) if self.faults else self.always
        answer = FAULTS[fault](self.document(body)) if fault else JSONResponse(self.document(body))
        return answer if isinstance(answer, Response) else await answer

    def document(self, body: dict[str, Any]) -> dict[str, Any]:
        given = body["input"]
        inputs = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        known = recorded()
        rows = np.array([known[t if isinstance(t, str) else bytes(t).decode()] for t in inputs])
        rows = rows if self.turn is None else rows @ self.turn
        coded = body.get("encoding_format") == "base64" and self.understands_base64
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
                if coded
                else row.tolist(),
            }
            for index, row in enumerate(rows)
        ]
        used = sum(map(len, inputs))
        usage = {"prompt_tokens": used, "total_tokens": used}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _status(status: int, **headers: str) -> Callable[[dict[str, Any]], Response]:
    error = {"error": {"message": f"failed with {status} for key sk-upstream-secret", "type": "x"}}
    return lambda document: JSONResponse(error, status, headers)


def _changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Response]:
    def answer(document: dict[str, Any]) -> Response:
        change(document)
        return Response(json.dumps(document), media_type="application/json")

    return answer


def _cut(document: dict[str, Any]) -> Response:
    async def half() -> AsyncIterator[bytes]:
        yield json.dumps(document)[:100].encode()
        raise ConnectionError  # uvicorn closes the connection in the middle of the answer

    return StreamingResponse(half(), media_type="application/json")


async def _hang(document: dict[str, Any]) -> Response:
    await asyncio.sleep(3)
    return JSONResponse(document)


async def _slow(document: dict[str, Any]) -> Response:
    await asyncio.sleep(0.2)
    return JSONResponse(document)


def _swap(document: dict[str, Any]) -> None:
    document["data"].reverse()  # with its indices: the order of the list means nothing


def _each(value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for item in document["data"]:
            item["embedding"] = value

    return change


def _repeated(document: dict[str, Any]) -> None:
    for item in document["data"]:
        item["index"] = 0


FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "slow": _slow,
    "hangs": _hang,
    "500": _status(500),
    "503": _status(503),
    "429": _status(429, **{"Retry-After": "0"}),
    "429 for long": _status(429, **{"Retry-After": "2"}),
    "429 without end": _status(429, **{"Retry-After": "inf"}),
    "429 for no number": _status(429, **{"Retry-After": "nan"}),
    "compressed 503": _status(503, **{"Content-Encoding": "gzip"}),
    "400": _status(400),
    "401": _status(401),
    "redirect": lambda document: Response(status_code=307, headers={"Location": "http://127.0.0.1:9/steal"}),
    "cut": _cut,
    "garbage": lambda document: Response(b"<html>not JSON", media_type="application/json"),
    "no data": lambda document: JSONResponse({"object": "list"}),
    "fewer": _changed(lambda document: document["data"].pop()),
    "more": _changed(lambda document: document["data"].append(document["data"][0])),
    "repeated indices": _changed(_repeated),
    "reordered": _changed(_swap),
    "wrong width": _changed(_each([0.5] * 100)),
    "nan": _changed(_each([float("nan")] * WIDTH)),
    "zero": _changed(_each([0.0] * WIDTH)),
    "infinite": _changed(_each([1e300] * WIDTH)),
    "true and false": _changed(_each([True] + [0.5] * (WIDTH - 1))),
    "strings": _changed(_each(["1"] * WIDTH)),
    "bad base64": _changed(_each("%%%")),
    "too long": lambda document: Response(b" " * (8 << 20), media_type="application/json"),
}


@contextmanager
def running(app: Any, **options: Any) -> Iterator[str]:
    """Serve an application on a free port of 127.0.0.1; its base address."""
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, **options)
    with serving(uvicorn.Server(config)) as url:
        yield url


@contextmanager
def serving(server: uvicorn.Server) -> Iterator[str]:
    """Run a uvicorn server in a thread for the length of a ``with`` block."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        started = threading.Event()
        startup = server.startup

        async def observed(sockets: list[socket.socket] | None = None) -> None:
            await startup(sockets)
            started.set()

        server.startup = observed  # type: ignore[method-assign]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        # Client, proxy and upstream are threads here: at Python's 5 ms a request waits for several turns.
        usual = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)
        thread.start()
        assert started.wait(30)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            sys.setswitchinterval(usual)
            assert not thread.is_alive()


@contextmanager
def recorded_upstream() -> Iterator[RecordedUpstream]:
    """A running `RecordedUpstream`."""
    upstream = RecordedUpstream()
    app = Starlette(routes=[Route("/v1/embeddings", upstream.embeddings, methods=["POST"])])
    with running(app) as url:
        upstream.url = f"{url}/v1"
        yield upstream
