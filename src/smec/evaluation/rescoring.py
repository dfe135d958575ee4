"""Two-stage search: candidates by a small code, put in order by a larger prefix or a finer code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smec.coded import Coded
from smec.encoder import served
from smec.errors import ConfigError
from smec.feedback import Feedback
from smec.vectors import Float32Array, FloatArray, IntArray, row_blocks
from smec.with_feedback import MovedVectors

QUERY_ROWS = 64
"""Queries whose candidates are fetched together."""


class Rescored:
    """Small codes that find candidates, and finer ones that put the first of them in order.

    Parameters
    ----------
    coarse : Coded
        Searched in whole; those of its sizes are served whose codes are smaller than the finer one.
    fine : Coded
        Of the same encoder.
    dim : int
        Size of the finer vectors.
    oversample : int
        Candidates per result that is wanted.

    Raises
    ------
    ConfigError
        ``dim`` is not served by ``fine``, ``oversample`` is below 1, or nothing coarser is left.
    """

    def __init__(self, coarse: Coded, fine: Coded, dim: int, oversample: int) -> None:
        if oversample < 1:
            raise ConfigError(f"oversample: must be 1 or more, got {oversample}")
        self.coarse = coarse
        self.fine = fine
        self.dim = served(dim, fine.dims, fine.name)
        self.oversample = oversample
        self.code_bytes = fine.codecs[dim].code_bytes
        self.dims = tuple(d for d in coarse.dims if coarse.codecs[d].code_bytes < self.code_bytes)
        if not self.dims:
            raise ConfigError(f"rescore: no code is smaller than {dim} dims as {fine.codecs[dim].name}")
        self.name = coarse.name
        self.input_dim = coarse.input_dim

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Of the coarse sizes."""
        return self.coarse.fallbacks

    @property
    def feedback(self) -> Feedback | None:
        """Feedback that moves documents before they are encoded, if there is any."""
        return self.coarse.feedback

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Documents as the first search sees them."""
        return self.coarse.encode(vectors, served(dim, self.dims, self.name))

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Queries as the first search sees them."""
        return self.coarse.encode_queries(vectors, served(dim, self.dims, self.name))

    def reorder(
        self,
        corpus: FloatArray | MovedVectors,
        queries: FloatArray,
        rows: IntArray,
        scores: Float32Array,
        wanted: int,
    ) -> tuple[IntArray, Float32Array]:
        """Put the first ``oversample * wanted`` results of each query in the order of the finer codes.

        Parameters
        ----------
        corpus, queries : ndarray of shape (n, D) and (q, D)
        rows, scores : ndarray of shape (q, k)
            What the first search found, best first.
        wanted : int

        Returns
        -------
        rows, scores : ndarray of shape (q, k)
            What was not looked at again follows in its old order, with its scores below all others.
        """
        rows, scores = rows.copy(), scores - 4.0  # cosines of decoded codes stay well within -2 and 2
        count = min(self.oversample * wanted, rows.shape[1])
        for block in row_blocks(len(queries), QUERY_ROWS):
            candidates = rows[block, :count]
            unique, places = np.unique(candidates, return_inverse=True)
            documents = self.fine.encode(np.asarray(corpus[unique]), self.dim)[
                places.reshape(candidates.shape)
            ]
            asked = self.fine.encode_queries(queries[block], self.dim)
            found = np.einsum("qd,qnd->qn", asked, documents)
            order = np.argsort(-found, axis=1, kind="stable")
            rows[block, :count] = np.take_along_axis(candidates, order, axis=1)
            scores[block, :count] = np.take_along_axis(found, order, axis=1)
        return rows, scores
