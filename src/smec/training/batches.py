"""What one step sees. A batch is a pure function of (seed, stage, step), so resuming needs no state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smec.config import OptimiserConfig
from smec.training.pool import Pool
from smec.vectors import IntArray, row_blocks

QUERY_ROWS = 256
"""Queries whose nearest documents are looked for together."""


@dataclass(frozen=True)
class Batch:
    """Rows drawn for a step.

    Attributes
    ----------
    queries : ndarray of shape (B,)
        Rows of ``pool.queries``; empty without labels.
    log : ndarray of shape (U,)
        Rows of ``pool.log``; empty where that is.
    documents : ndarray of shape (n,)
        Rows of ``pool.documents``: a positive of each judged query first, then negatives, random ones last.
    grades : Tensor of shape (B, n), float32
    pairs : ndarray of shape (P,)
        Rows of ``pool.pairs``; the documents of these come right behind the positives of judged queries.
    pair_grades : Tensor of shape (P, n), float32
        1 where a document is that of the pair.
    """

    queries: IntArray
    log: IntArray
    documents: IntArray
    grades: Tensor
    pairs: IntArray
    pair_grades: Tensor


class Batches:
    """Draws batches from a pool.

    Parameters
    ----------
    pool : Pool
    options : OptimiserConfig
        Its ``batch``, ``negatives`` and ``hard_negatives``.
    seed, stage : int
    labels : bool
        Whether a relevant document of each judged query is drawn.
    pairs : bool
        Whether sentences are drawn with their documents, where there are any.
    """

    def __init__(
        self,
        pool: Pool,
        options: OptimiserConfig,
        seed: int,
        stage: int,
        *,
        labels: bool = True,
        pairs: bool = False,
    ) -> None:
        self._pool = pool
        self._options = options
        self._key = [seed, 1, stage]
        self._labels = labels
        self._pairs = len(pool.pairs) if pairs else 0
        self._of_row = np.zeros(len(pool.rows), dtype=np.float32)  # scratch: one query's grades
        count = min(options.hard_negatives, len(pool.rows))
        self._nearest = _nearest(pool.queries, pool.documents, count)
        self._nearest_logged = _nearest(pool.log, pool.documents, count)
        self._usable = np.setdiff1d(np.arange(len(pool.rows)), pool.held_out_rows, assume_unique=True)

    def draw(self, step: int) -> Batch:
        """The batch of ``step``; queries come in random epochs, each once per epoch."""
        rng = np.random.default_rng([*self._key, step])
        queries = self._epoch_slice(step, len(self._pool.queries), 2**31)
        log = self._epoch_slice(step, len(self._pool.log), 2**32)
        asked = queries if self._labels else queries[:0]
        positives = np.array([self._draw_positive(query, rng) for query in asked], dtype=np.int64)
        random = self._random(rng, len(queries), len(log))
        hard = np.concatenate([self._nearest[queries].ravel(), self._nearest_logged[log].ravel()])
        pairs = self._epoch_slice(step, self._pairs, 2**33)
        theirs = self._pool.pair_rows[pairs]
        documents = np.concatenate([positives, theirs, np.unique(hard), random])
        grades = torch.from_numpy((theirs[:, None] == documents).astype(np.float32))
        return Batch(queries, log, documents, self._grade_matrix(queries, documents), pairs, grades)

    def _random(self, rng: np.random.Generator, queries: int, log: int) -> IntArray:
        """Random documents: negatives, and where there are no queries anchors in place of them."""
        count = self._options.negatives
        if not queries:  # no positives either: there must be something to compare
            count = max(count, self._options.batch) if log else count + self._options.batch
        drawn: IntArray = rng.choice(self._usable, min(count, len(self._usable)), replace=False)
        return drawn

    def _epoch_slice(self, step: int, total: int, salt: int) -> IntArray:
        size = min(self._options.batch, total)
        if not size:
            return np.empty(0, dtype=np.int64)
        per_epoch = total // size
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([*self._key, salt + epoch]).permutation(total)
        return order[place * size : (place + 1) * size]

    def _draw_positive(self, query: int, rng: np.random.Generator) -> int:
        rows, grades = self._pool.positives[query]
        return int(rows[0]) if len(rows) == 1 else int(rng.choice(rows, p=grades / grades.sum()))

    def _grade_matrix(self, queries: IntArray, documents: IntArray) -> Tensor:
        matrix = np.empty((len(queries), len(documents)), dtype=np.float32)
        for place, query in enumerate(queries):
            rows, grades = self._pool.positives[query]
            self._of_row[rows] = grades
            matrix[place] = self._of_row[documents]
            self._of_row[rows] = 0
        return torch.from_numpy(matrix)


def _nearest(queries: Tensor, documents: Tensor, count: int) -> IntArray:
    """Rows of the ``count`` documents that are nearest to each query, as they are before training."""
    blocks = (queries[block] @ documents.T for block in row_blocks(len(queries), QUERY_ROWS) if count)
    found = [scores.topk(count, dim=1).indices for scores in blocks]
    nearest: IntArray = torch.cat(found).numpy() if found else np.empty((len(queries), 0), dtype=np.int64)
    return nearest
