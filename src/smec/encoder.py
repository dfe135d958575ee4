"""What every method that makes small vectors answers to, learned or not."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np

from smec.errors import ConfigError
from smec.vectors import Float32Array, FloatArray, check_vectors, normalise


@runtime_checkable
class Encoder(Protocol):
    """Turns ``(n, D)`` embeddings into unit-length vectors of any served size."""

    @property
    def name(self) -> str:
        """What tables call it: "pca", "truncate", "smec:PATH"."""

    @property
    def input_dim(self) -> int:
        """D, the width of the embeddings it takes."""

    @property
    def dims(self) -> tuple[int, ...]:
        """Served sizes, descending."""

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode ``(n, D)`` to ``(n, dim)`` unit rows; the largest size without ``dim``."""

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode the query side; the same as ``encode`` for symmetric methods."""


class Projection:
    """One matrix whose leading columns serve every size: ``normalise(x @ matrix[:, :d])``.

    Parameters
    ----------
    matrix : ndarray of shape (D, d_max), float32
        Column order is the order of importance.
    dims : tuple of int
        Served sizes, descending, none above ``d_max``.
    name : str
        What tables call it.
    mean : ndarray of shape (D,), optional
        Of unit-length rows; rows are made so and it is subtracted first (centred PCA).
    """

    def __init__(
        self, matrix: Float32Array, dims: tuple[int, ...], name: str, mean: Float32Array | None = None
    ) -> None:
        self.matrix = np.ascontiguousarray(matrix, dtype=np.float32)
        self.dims = dims
        self.name = name
        self.mean = mean

    @property
    def input_dim(self) -> int:
        """D, the width of the embeddings it takes."""
        return int(self.matrix.shape[0])

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode ``(n, D)`` to ``(n, dim)`` float32 unit rows; the largest size without ``dim``.

        Raises
        ------
        ConfigError
            ``dim`` is not one of ``dims``.
        DataError
            Another width than D, or a row with NaN, Inf or only zeros.
        """
        width = served(dim, self.dims, self.name)
        rows = np.asarray(check_vectors(vectors, self.name, dim=self.input_dim), dtype=np.float32)
        if self.mean is not None:
            rows = normalise(rows) - self.mean  # the mean is that of unit-length rows
        return normalise(rows @ self.matrix[:, :width])

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Queries and documents share the matrix."""
        return self.encode(vectors, dim)


class ProjectionPerSize:
    """A projection of its own for every size, and where queries need them others for queries.

    Parameters
    ----------
    documents : mapping of int to Projection
        Size -> projection that serves it, sizes descending.
    name : str
        What tables call it.
    queries : mapping of int to Projection, optional
        The same sizes; by default those of the documents.
    """

    def __init__(
        self,
        documents: Mapping[int, Projection],
        name: str,
        *,
        queries: Mapping[int, Projection] | None = None,
    ) -> None:
        self.documents = dict(documents)
        self.queries = self.documents if queries is None else dict(queries)
        self.name = name

    @property
    def dims(self) -> tuple[int, ...]:
        """Served sizes, descending."""
        return tuple(self.documents)

    @property
    def input_dim(self) -> int:
        """D, the width of the embeddings it takes."""
        return self.documents[self.dims[0]].input_dim

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode documents, ``(n, D)`` to ``(n, dim)`` unit rows; the largest size without ``dim``.

        Raises
        ------
        ConfigError
            ``dim`` is not one of ``dims``.
        DataError
            Another width than D, or a row with NaN, Inf or only zeros.
        """
        return self.documents[served(dim, self.dims, self.name)].encode(vectors)

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode queries, as `encode` does documents."""
        return self.queries[served(dim, self.dims, self.name)].encode(vectors)


def served(dim: int | None, dims: tuple[int, ...], name: str) -> int:
    """``dim`` if it is one of ``dims``, the largest of them for None, else ConfigError."""
    if dim is None:
        return dims[0]
    if dim not in dims:
        raise ConfigError(f"{name}: size {dim} is not served; it serves {', '.join(map(str, dims))}")
    return dim


def check_dims(dims: tuple[int, ...], input_dim: int) -> tuple[int, ...]:
    """Return ``dims`` if they are descending sizes from 1 to ``input_dim``, else ConfigError."""
    if not dims:
        raise ConfigError("dims: name at least one size")
    if any(a <= b for a, b in pairwise(dims)):
        raise ConfigError(f"dims: sizes must descend without repeats, got {','.join(map(str, dims))}")
    if dims[-1] < 1 or dims[0] > input_dim:
        raise ConfigError(
            f"dims: sizes must lie between 1 and the embeddings' {input_dim}, got {','.join(map(str, dims))}"
        )
    return dims


def default_dims(input_dim: int) -> tuple[int, ...]:
    """D/2, D/4, D/8, D/16, D/32, as far as they are at least 1."""
    return tuple(d for d in (input_dim >> k for k in range(1, 6)) if d >= 1)
