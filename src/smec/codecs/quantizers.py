"""faiss, where it is installed, and moving arrays in and out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.errors import MissingExtraError
from smec.vectors import Float32Array


def faiss(codec: str) -> Any:
    """The faiss module.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        import faiss as module
    except ModuleNotFoundError as error:
        raise MissingExtraError("faiss", "faiss", f"codec {codec!r}") from error
    return module


def numbers(vector: Any, codec: str) -> Float32Array:
    """A faiss vector of floats as an array that outlives it."""
    array: Float32Array = np.array(faiss(codec).vector_to_array(vector), dtype=np.float32)
    return array


def fill(vector: Any, values: NDArray[Any], codec: str) -> None:
    """Put numbers into a faiss vector of floats."""
    faiss(codec).copy_array_to_vector(np.ascontiguousarray(values, dtype=np.float32).ravel(), vector)
