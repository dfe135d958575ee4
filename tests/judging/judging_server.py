"""A BM25 reranker, and a chat model that grades by BM25, which can be told to go wrong."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from benchmarks.bm25_server import Bm25Server, Reply

from smec.judging.rules import lead

Items = list[dict[str, Any]]

STATUS: dict[str, Reply] = {
    "401": (401, {}, b'{"error": {"message": "Incorrect API key provided: secret-key-1"}}'),
    "403": (403, {}, b'{"message": "not for you"}'),
    "404": (404, {}, b'{"detail": "Not Found"}'),
    "429": (429, {"Retry-After": "0"}, b'{"message": "slow down"}'),
    "429 for long": (429, {"Retry-After": "86400"}, b'{"message": "slow down"}'),
    "500": (500, {}, b'{"error": "out of memory"}'),
    "html": (200, {}, b"<html>welcome to the proxy</html>"),
    "brackets": (200, {}, b"[" * 100_000),
    "brackets in 500": (500, {}, b"[" * 100_000),
    "moved": (301, {"Location": "http://127.0.0.1:9/v2"}, b""),
    "number": (200, {}, b"7"),
    "error in 200": (200, {}, b'{"error": {"message": "no such model"}}'),
}

CHANGES: dict[str, Callable[[Items], Items]] = {
    "fewer": lambda items: items[:-1],
    "shuffled": lambda items: items[::-1],
    "index twice": lambda items: [*items[:-1], items[0]],
    "index out of range": lambda items: [*items[:-1], {**items[-1], "index": len(items)}],
    "index below 0": lambda items: [*items[:-1], {**items[-1], "index": -1}],
    "index of words": lambda items: [{**item, "index": str(item["index"])} for item in items],
    "no index": lambda items: [{"relevance_score": item["relevance_score"]} for item in items],
    "NaN": lambda items: [{**item, "relevance_score": float("nan")} for item in items],
    "infinite": lambda items: [{**item, "relevance_score": float("inf")} for item in items],
    "huge": lambda items: [{**item, "relevance_score": 10**400} for item in items],
    "words": lambda items: [{**item, "relevance_score": "0.5"} for item in items],
    "truth values": lambda items: [{**item, "relevance_score": True} for item in items],
    "no items": lambda items: ["a" for _ in items],  # type: ignore[misc]
}
"""What becomes of the items of a reranker's right reply."""

ANSWERS: dict[str, str] = {
    "prose": "The first document is the best one.",
    "a list": "[3, 2, 1]",
    "no grades": '{"answer": {"1": 3}}',
    "too few": '{"grades": {"1": 3, "2": 0}}',
    "too high": json.dumps({"grades": {str(n): 4 for n in range(1, 11)}}),
    "words as grades": json.dumps({"grades": {str(n): "3" for n in range(1, 11)}}),
    "too many": json.dumps({"grades": {str(n): 3 for n in range(1, 12)}}),
}
"""Texts that a chat model answers with where its grades were asked for."""


class JudgingServer(Bm25Server):
    """Serves ``/rerank`` and ``/chat/completions``.

    ``faults`` are used up, one per request: names of `STATUS`, `CHANGES` or `ANSWERS`, "fenced" for a chat
    answer in Markdown's fence, "hang" for a request that is never answered, "" for none.
    """

    def __init__(self, corpus: Sequence[str]) -> None:
        super().__init__(corpus)
        self.faults: deque[str] = deque()
        self.keys: list[str | None] = []
        self.on_request: Callable[[object], None] | None = None
        self.hanging = Event()
        self.released = Event()

    def __exit__(self, *_: object) -> None:
        self.released.set()
        super().__exit__()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients are killed here, and connections broken."""

    @property
    def queries(self) -> list[str]:
        """Texts of the queries that were asked, in their order."""
        return [_query(body) for body in self.requests]

    def reply(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        with self.lock:
            fault = self.faults.popleft() if self.faults else ""
            self.keys.append(headers.get("Authorization"))
        if self.on_request is not None:
            self.on_request(body)
        if fault == "hang":
            self.hanging.set()
            self.released.wait()
        if fault in STATUS:
            return STATUS[fault]
        if path == "/chat/completions":
            return self._chat(body, fault)
        code, sent, content = super().reply(path, body, headers)
        if fault not in CHANGES:
            return code, sent, content
        reply = json.loads(content)
        items = CHANGES[fault](reply if isinstance(reply, list) else reply["results"])
        changed = items if isinstance(reply, list) else {"results": items}
        return code, sent, json.dumps(changed).encode()

    def _chat(self, body: dict[str, Any], fault: str) -> Reply:
        material = json.loads(body["messages"][1]["content"])
        leads = lead(self.scores(material["query"], [d["text"] for d in material["documents"]]))
        grades = {
            str(document["number"]): 3 if value > 0 else 1 if value > -0.5 else 0
            for document, value in zip(material["documents"], leads, strict=True)
        }
        text = ANSWERS.get(fault, json.dumps({"grades": grades}))
        text = f"```json\n{text}\n```" if fault == "fenced" else text
        reply = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 7}}
        return 200, {}, json.dumps(reply).encode()


def _query(body: dict[str, Any]) -> str:
    if "messages" in body:
        body = json.loads(body["messages"][1]["content"])
    return str(body["query"])
