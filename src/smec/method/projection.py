"""Rows of a stage, as small vectors of all its sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class SizeProjection:
    """Rows -> their unit-length small vectors, one tensor per size of the stage.

    Attributes
    ----------
    matrix : Tensor of shape (w, columns)
    sizes : tuple of int
        Prefixes of the product, descending.
    mask : Tensor of shape (columns,), optional
        Columns that the smallest size keeps.
    bias : Tensor of shape (columns,), optional
        Added to the product.
    """

    matrix: Tensor
    sizes: tuple[int, ...]
    mask: Tensor | None = None
    bias: Tensor | None = None

    def wide(self, rows: Tensor) -> Tensor:
        """Product of rows (n, w), of shape (n, columns), any length and without the mask."""
        product = (rows @ self.matrix).float()
        return product if self.bias is None else product + self.bias

    def __call__(self, rows: Tensor) -> list[Tensor]:
        """Small vectors of rows (n, w): a tensor (n, size) per size."""
        wide = self.wide(rows)
        vectors = [functional.normalize(wide[:, :size]) for size in self.sizes]
        if self.mask is not None:  # zeros in place of what is not kept: the cosine is the same
            vectors[-1] = functional.normalize(wide * self.mask)
        return vectors


@dataclass(frozen=True)
class StoredDocuments:
    """Documents that stay as they are stored, while a matrix for queries is learned.

    Attributes
    ----------
    vectors : sequence of tensors of shape (n, size)
        Unit rows of the pool's documents, one tensor per size, as they are searched.
    bias : Tensor of shape (columns,), optional
        Added to the product of queries, as it was to that of the documents.
    """

    vectors: Sequence[Tensor]
    bias: Tensor | None = None
