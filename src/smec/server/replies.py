"""What an upstream answered, believed only after a look: as many vectors as inputs, all of them usable."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np
import pybase64
from pydantic_core import from_json

from smec.server.refusals import Refusal
from smec.vectors import Float32Array


@dataclass(frozen=True)
class Embedded:
    """Vectors in the order of the inputs, and what the upstream counted."""

    vectors: Float32Array  # (n, D)
    usage: dict[str, Any]


def invalid(what: str, code: str = "invalid_upstream_response") -> Refusal:
    """The refusal of an answer that cannot be used."""
    return Refusal(502, f"the upstream's answer cannot be used: {what}", kind="upstream_error", code=code)


def most_bytes(count: int, width: int) -> int:
    """Bytes that an answer with so many vectors cannot exceed: 32 a number, and room for the rest."""
    return 32 * count * width + (1 << 20)


def read_reply(body: bytes | bytearray, count: int, width: int) -> Embedded:
    """Read the JSON of an answer to ``count`` inputs.

    Raises
    ------
    Refusal
        Not JSON of the expected shape, another number of vectors, indices that are not 0 to
        ``count`` - 1, vectors of another width than ``width``, or an unusable one.
    """
    try:
        document = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        raise invalid("it is not JSON") from None  # the message might quote it
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise invalid("it has no list 'data' of objects")
    if len(data) != count:
        raise invalid(f"{len(data)} vectors for {count} inputs")
    vectors = np.empty((count, width), dtype=np.float32)
    seen = set()
    for position, item in enumerate(data):
        index = item.get("index", position)
        if type(index) is not int or not 0 <= index < count or index in seen:
            raise invalid("its indices are not those of the inputs")
        seen.add(index)
        vectors[index] = _vector(item.get("embedding"), width)
    if not (np.isfinite(vectors).all() and vectors.any(axis=1).all()):
        raise invalid("a vector has NaN, Inf or only zeros")
    return Embedded(vectors, _usage(document.get("usage")))


def _vector(given: Any, width: int) -> Float32Array:
    try:
        row = _decoded(given) if isinstance(given, str) else _converted(given)
    except (ValueError, OverflowError, binascii.Error):
        raise invalid("a vector is neither a list of numbers nor base64 of float32") from None
    if len(row) != width:
        message = f"its vectors have {len(row)} dims, but the compressor takes {width}: another model?"
        raise invalid(message, code="upstream_width_mismatch")
    return row


def _decoded(text: str) -> Float32Array:
    return np.frombuffer(pybase64.b64decode(text, validate=True), dtype="<f4")


def _converted(given: Any) -> Float32Array:
    # Without a dtype, so that strings of digits or nested lists are not taken for numbers.
    row = np.asarray(given if isinstance(given, list) else None)
    # Among numbers, numpy takes true and false for 1 and 0.
    if row.ndim != 1 or row.dtype.kind not in "fi" or bool in set(map(type, given)):
        raise ValueError
    with np.errstate(over="ignore"):  # becomes Inf, which is refused
        return row.astype(np.float32, copy=False)


def _usage(given: Any) -> dict[str, Any]:
    known = given if isinstance(given, dict) else {}
    counts = {name: known.get(name) for name in ("prompt_tokens", "total_tokens")}
    return {name: count if type(count) is int else 0 for name, count in counts.items()}
