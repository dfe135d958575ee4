"""The first dimensions as they are: what embedding models trained with MRL are made for."""

from __future__ import annotations

from smec.data import Dataset
from smec.encoder import served
from smec.vectors import Float32Array, FloatArray, check_vectors, normalise


class Truncation:
    """Keeps the leading dimensions.

    Parameters
    ----------
    input_dim : int
        D, the width of the embeddings it takes.
    dims : tuple of int
        Served sizes, descending, none above D.
    """

    name = "truncate"

    def __init__(self, input_dim: int, dims: tuple[int, ...]) -> None:
        self.input_dim = input_dim
        self.dims = dims

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Cut ``(n, D)`` to ``(n, dim)`` float32 unit rows; the largest size without ``dim``.

        Raises
        ------
        ConfigError
            ``dim`` is not one of ``dims``.
        DataError
            Another width than D, or a row with NaN, Inf or only zeros.
        """
        width = served(dim, self.dims, self.name)
        return normalise(check_vectors(vectors, self.name, dim=self.input_dim)[:, :width])

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Cut queries, as documents."""
        return self.encode(vectors, dim)


def fit_truncation(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> Truncation:
    """Serve ``dims`` of embeddings as wide as the dataset's; ``seed`` is not used."""
    return Truncation(dataset.dim, dims)
