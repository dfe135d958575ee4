"""A scikit-learn transformer: compression as a step of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from smec.encoder import default_dims, served
from smec.errors import ConfigError, DataError, MissingExtraError

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingExtraError("scikit-learn", "sklearn", "smec.sklearn") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from smec.config import Preset
    from smec.vectors import Float32Array

FEWEST_ROWS = 4
"""Fewer cannot be split into rows to fit and rows to check."""


class EmbeddingCompressor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Train a compressor without labels on the rows of X, and compress with it.

    Parameters
    ----------
    dim : int, optional
        Size that `transform` makes; the largest of ``dims`` by default.
    dims : sequence of int, optional
        Sizes to train, descending; by default halves of D down to ``dim`` (or D/32).
    preset : {"default", "paper"}
    random_state : int
        Seed; same seed, same data, same machine: same result.

    Attributes
    ----------
    compressor_ : smec.Compressor
        Serves all of ``dims``; has ``save``.
    n_features_in_ : int
        D.
    """

    def __init__(
        self,
        dim: int | None = None,
        dims: Sequence[int] | None = None,
        preset: Preset = "default",
        random_state: int = 0,
    ) -> None:
        self.dim = dim
        self.dims = dims
        self.preset = preset
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> EmbeddingCompressor:
        """Train on embeddings ``X`` of shape (n, D), at least four rows and two columns.

        Raises
        ------
        ValueError
            Too few rows or columns, NaN, Inf, a row of zeros, or sizes that make no sense.
        """
        from smec.data import Dataset
        from smec.method.trainer import train

        rows = validate_data(
            self, X, dtype=[np.float32, np.float64], ensure_min_samples=FEWEST_ROWS, ensure_min_features=2
        )
        with _value_errors():
            self.compressor_ = train(
                Dataset(rows, name="X"),
                dims=self._sizes(rows.shape[1]),
                preset=self.preset,
                supervised=False,
                seed=self.random_state,
            )
        self._n_features_out = self.dim or self.compressor_.dims[0]
        return self

    def transform(self, X: ArrayLike) -> Float32Array:
        """Compress ``X`` of shape (n, D) to unit rows of shape (n, dim), float32.

        Raises
        ------
        ValueError
            Another width than D, NaN, Inf, or a row of zeros.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        with _value_errors():
            encoded: Float32Array = self.compressor_.encode(rows, self._n_features_out)
        return encoded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _sizes(self, input_dim: int) -> Sequence[int] | None:
        if self.dim is None:
            return self.dims
        if self.dims is not None:
            served(self.dim, tuple(self.dims), "dims")
            return self.dims
        return [*(size for size in default_dims(input_dim) if size > self.dim), self.dim]


@contextmanager
def _value_errors() -> Iterator[None]:
    # What scikit-learn and its users catch.
    try:
        yield
    except (DataError, ConfigError) as error:
        raise ValueError(str(error)) from error
