"""The checks that every entrance makes on an ``(n, D)`` array, and unit-length rows."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smec.errors import DataError

FloatArray = NDArray[np.floating[Any]]
Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]

BLOCK_ROWS = 8192
"""Rows looked at together: about 25 MB of float32 at 768 dims."""


LARGE_MAP = 1 << 28
"""Bytes of a memory map from which its pages are let go: smaller ones are read faster when they stay."""


ROWS_TAKEN = 1024
"""Rows that are taken from a map together: the kernel maps what is around each, about 64 MB."""


def row_blocks(rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover ``range(rows)`` in order, each at most ``size`` long."""
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def vector_blocks(vectors: FloatArray) -> Iterator[FloatArray]:
    """Blocks of the rows of ``vectors`` of shape (n, D), in order.

    Of a large read-only memory map, pages are let go with their block, as they count as the process' while they are
    mapped: memory is that of a block, however many rows there are.
    """
    mapping = _large_map(vectors)
    for block in row_blocks(len(vectors)):
        yield vectors[block]
        if mapping is not None:
            mapping.madvise(mmap.MADV_DONTNEED)


def take_rows(vectors: FloatArray, rows: IntArray) -> FloatArray:
    """Copy of some rows of ``vectors``; of a large memory map, memory is that of the copy and of few pages."""
    mapping = _large_map(vectors)
    if mapping is None:
        return np.asarray(vectors[rows])
    taken: FloatArray = np.empty((len(rows), vectors.shape[1]), dtype=vectors.dtype)
    for block in row_blocks(len(rows), ROWS_TAKEN):
        taken[block] = vectors[rows[block]]
        mapping.madvise(mmap.MADV_DONTNEED)
    return taken


def _large_map(vectors: FloatArray) -> mmap.mmap | None:
    if sys.platform != "linux" or vectors.flags.writeable or vectors.nbytes < LARGE_MAP:
        return None
    base: Any = vectors
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def check_vectors(
    vectors: ArrayLike,
    name: str,
    *,
    dim: int | None = None,
    ids: Sequence[str] | None = None,
    first_row: int = 0,
) -> FloatArray:
    """Return ``vectors`` as a float array, or say which row is at fault.

    Parameters
    ----------
    vectors : array-like of shape (n, D)
        float16, float32 or float64; not copied (a memory map stays one).
    name : str
        What the array is, for the message ("corpus.parquet").
    dim : int, optional
        The width it must have.
    ids : sequence of n str, optional
        Named in the message beside the row number.
    first_row : int
        Number of the first row in the file, where ``vectors`` is only a block of it.

    Raises
    ------
    DataError
        Not two-dimensional, no rows, no columns, not floating point, of another width,
        or a row with NaN, Inf or only zeros (cosine is not defined there).
    """
    array = check_table(vectors, name, dim=dim)
    for place, block in enumerate(vector_blocks(array)):
        _check_rows(block, name, place * BLOCK_ROWS, first_row, ids)
    return array


def check_table(vectors: ArrayLike, name: str, *, dim: int | None = None) -> FloatArray:
    """`check_vectors` without a look at the numbers: shape, width and type."""
    array = np.asanyarray(vectors)
    if array.ndim != 2:
        raise DataError(f"{name}: vectors must be a table of shape (rows, dims), got shape {array.shape}")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise DataError(f"{name}: holds no vectors (shape {array.shape})")
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise DataError(f"{name}: vectors must be float16, float32 or float64, got {array.dtype}")
    if dim is not None and array.shape[1] != dim:
        raise DataError(f"{name}: vectors have {array.shape[1]} dims, but {dim} are expected")
    return array


def usable(energy: NDArray[np.float64]) -> bool:
    """Whether no row of this `row_energy` has NaN or Inf or is all zeros."""
    return bool(np.isfinite(energy).all() and energy.min() > 0)


def row_energy(rows: FloatArray) -> NDArray[np.float64]:
    """Sum of squares of each row of shape (n, d): finite and positive exactly when the row is usable."""
    energy: NDArray[np.float64] = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return energy


def _check_rows(rows: FloatArray, name: str, start: int, first_row: int, ids: Sequence[str] | None) -> None:
    given = rows
    if rows.dtype == np.float64:  # as all that is computed is float32, a row must be one there
        with np.errstate(over="ignore"):
            rows = rows.astype(np.float32)
    energy = row_energy(rows)
    if usable(energy):
        return
    row = int(np.flatnonzero(~(np.isfinite(energy) & (energy > 0)))[0])
    where = f"row {first_row + start + row}" + (f" (id {ids[start + row]!r})" if ids is not None else "")
    if energy[row] == 0:
        raise DataError(
            f"{name}: {where} is a zero vector, which has no direction; drop it or embed it again"
        )
    column = int(np.flatnonzero(~np.isfinite(rows[row]))[0]) if not np.isfinite(rows[row]).all() else 0
    value = given[row, column]
    said = f"{value}, more than float32 can hold" if np.isfinite(value) else f"{value}"
    raise DataError(f"{name}: {where}, column {column} is {said}; drop the row or embed it again")


def normalise(vectors: FloatArray) -> Float32Array:
    """Unit-length float32 copy of ``vectors`` of shape (n, d); zero rows stay zero."""
    result = np.array(vectors, dtype=np.float32)
    energy = row_energy(result)
    energy[energy == 0] = 1
    return made_unit(result, energy)


def made_unit(rows: Float32Array, energy: NDArray[np.float64]) -> Float32Array:
    """``rows`` themselves, divided by the root of their `row_energy`."""
    return np.divide(rows, np.sqrt(energy)[:, None], out=rows, casting="same_kind")
