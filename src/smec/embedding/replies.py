"""Replies of OpenAI-compatible embedding endpoints: vectors in the order of the texts."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from smec.errors import EncoderError
from smec.vectors import Float32Array


def reply_vectors(reply: Any, count: int) -> list[Float32Array]:
    """The vectors of a parsed reply to ``count`` texts, whatever order its items come in.

    Parameters
    ----------
    reply : parsed JSON
        ``{"data": [{"index": 0, "embedding": ...}, ...]}``; an embedding is a list of numbers, or base64 of
        little-endian float32. Items without any ``index`` are in the order of the texts.
    count : int

    Raises
    ------
    EncoderError
        Not such a reply, or not exactly one vector for each text.
    """
    items = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise EncoderError("the reply has no list 'data' of embeddings")
    if len(items) != count:
        raise EncoderError(f"the reply has {len(items)} vectors for {count} texts")
    places = [item.get("index") for item in items]
    if all(place is None for place in places):
        places = list(range(count))
    if not all(isinstance(place, int) for place in places):
        raise EncoderError("the reply's indices are no whole numbers")
    vectors = {place: _vector(item) for place, item in zip(places, items, strict=True)}
    if set(vectors) != set(range(count)):
        lost = next(place for place in range(count) if place not in vectors)
        raise EncoderError(f"the reply has no vector for text {lost} of {count}, counted from 0")
    return [vectors[place] for place in range(count)]


def _vector(item: dict[str, Any]) -> Float32Array:
    embedding = item.get("embedding")
    try:
        if isinstance(embedding, str):
            return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        vector = np.asarray(embedding, dtype=np.float32)
    except (binascii.Error, ValueError, TypeError) as error:
        raise EncoderError(
            f"the embedding at index {item.get('index')} is neither numbers nor base64 of float32"
        ) from error
    if vector.ndim != 1 or not vector.size:
        raise EncoderError(f"the embedding at index {item.get('index')} is no list of numbers")
    return vector
