"""What users and other libraries hand over: a compressor or its folder, vectors as lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smec.compressor import Compressor
from smec.errors import DataError
from smec.vectors import Float32Array


def loaded(compressor: Compressor | str | Path) -> Compressor:
    """The compressor, read from its folder if that is what was given; ArtefactError where it is none."""
    return compressor if isinstance(compressor, Compressor) else Compressor.load(compressor)


def as_table(vectors: Sequence[Sequence[float]] | Sequence[float]) -> Float32Array:
    """One vector, or several of one width, as an array; DataError where they are not of one width."""
    try:
        return np.asarray(vectors, dtype=np.float32)
    except ValueError as error:
        raise DataError("the embeddings are not all numbers, or not all of one width") from error
