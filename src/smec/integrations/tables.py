"""Vectors as other libraries hand them over: lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smec.errors import DataError
from smec.vectors import Float32Array


def as_table(vectors: Sequence[Sequence[float]] | Sequence[float]) -> Float32Array:
    """One vector, or several of one width, as an array; DataError where they are not of one width."""
    try:
        return np.asarray(vectors, dtype=np.float32)
    except ValueError as error:
        raise DataError("the embeddings are not all numbers, or not all of one width") from error
