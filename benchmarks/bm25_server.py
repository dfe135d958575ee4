"""A reranker to run on any machine: BM25 (bm25s) over a corpus, behind ``POST /rerank``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import bm25s

if TYPE_CHECKING:
    from typing import Self

Reply = tuple[int, dict[str, str], bytes]
"""Status, headers and content."""


class Bm25Server(ThreadingHTTPServer):
    """Scores documents of one corpus for a query, best first, as Cohere's, Voyage's and TEI's servers do.

    Parameters
    ----------
    corpus : sequence of str
        What is indexed; no other document is known.
    """

    daemon_threads = True

    def __init__(self, corpus: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._rows = {text: row for row, text in enumerate(corpus)}
        self._index = bm25s.BM25()
        self._index.index(bm25s.tokenize(list(corpus), show_progress=False), show_progress=False)
        self.lock = Lock()
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """The base that ``/rerank`` is below."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def scores(self, query: str, documents: Sequence[str]) -> list[float]:
        """BM25 of each document, in their order; KeyError where one is not of the corpus."""
        (tokens,) = bm25s.tokenize([query], return_ids=False, show_progress=False)
        with self.lock:
            scores = self._index.get_scores(list(tokens))
        return [float(scores[self._rows[document]]) for document in documents]

    def reply(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        """Return the reply to a request, in the shape of its server."""
        if path != "/rerank":
            return 404, {}, b'{"error": "not found"}'
        documents = body.get("documents") or body["texts"]
        scores = self.scores(body["query"], documents)
        ranking = sorted(range(len(scores)), key=lambda place: -scores[place])
        tokens = sum(len(text.split()) for text in (body["query"], *documents))
        return 200, {}, json.dumps(shaped(body, ranking, scores, tokens)).encode()


def shaped(body: dict[str, Any], ranking: Sequence[int], scores: Sequence[float], tokens: int) -> Any:
    """The reply to a request of any shape."""
    if "texts" in body:
        return [{"index": place, "score": scores[place]} for place in ranking]
    items = [{"index": place, "relevance_score": scores[place]} for place in ranking]
    member = "data" if "top_k" in body else "results"
    return {member: items, "usage": {"total_tokens": tokens}}


class _Handler(BaseHTTPRequestHandler):
    server: Bm25Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(body)
        code, headers, content = self.server.reply(self.path, body, dict(self.headers))
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the command's."""
