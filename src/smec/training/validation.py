"""Scores a projection on what was held out; early stopping and the gate see only this."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smec.codecs import fit_codec
from smec.config import CorpusKind
from smec.data import Dataset
from smec.evaluation.ndcg import Ndcg
from smec.evaluation.neighbours import DUPLICATE, overlap, without_own
from smec.evaluation.search import exact_search, trec_tie_order
from smec.training.pool import Pool
from smec.training.processes import ALONE, Processes
from smec.vectors import Float32Array, FloatArray, IntArray, normalise

DEPTH = 10


class HeldOut:
    """nDCG@10 of the held-out train queries, or without labels overlap@10 of held-out queries or documents.

    Parameters
    ----------
    dataset : Dataset
    pool : Pool
        Its documents are the corpus that is searched.
    processes : Processes
        Each searches its share of the documents; all get the same scores, to the bit.
    corpus : {"growing", "fixed"}
        Which queries `mean` looks at: those that ask for new documents, or all.
    """

    metric: Literal["ndcg@10", "overlap@10"]
    asked: Literal["queries", "documents"]
    """Kind of what is searched for."""

    def __init__(
        self, dataset: Dataset, pool: Pool, processes: Processes = ALONE, corpus: CorpusKind = "growing"
    ) -> None:
        self._judged = pool.held_out is not None
        self._rows = pool.rows
        self.new = pool.new
        """Held-out queries that ask for new documents; they come first."""
        self._deciding = slice(pool.new if corpus == "growing" and pool.new else None)
        self._processes = processes
        self._mine = processes.share(len(pool.rows))
        self.documents: Float32Array = pool.documents.numpy()
        """Unit-length originals that are searched, shape (n, D)."""
        ids = dataset.corpus.ids
        if pool.held_out is not None:
            self.metric, self.asked = "ndcg@10", "queries"
            self.queries: Float32Array = normalise(pool.held_out.vectors)
            """Unit-length originals that are searched for, shape (q, D)."""
            self._ndcg = Ndcg(pool.held_out.grades, DEPTH)
            # Ranks of the whole corpus, made ranks within the pool.
            self._tie_order: IntArray = np.argsort(np.argsort(trec_tie_order(ids)[pool.rows]))
        else:
            self.metric = "overlap@10"
            logged = len(pool.held_out_log) > 0
            self.asked = "queries" if logged else "documents"
            self.queries = pool.held_out_log if logged else self.documents[pool.held_out_rows]
            self._tie_order = np.arange(len(pool.rows))
            self._own = self._own_rows() if logged else pool.held_out_rows
            """Pool row of each query that is a document itself, -1 for others."""
            self._full = self._neighbours(self.documents[self._mine], self.queries)

    @property
    def count(self) -> int:
        """Held-out queries or vectors."""
        return len(self.queries)

    @property
    def deciding(self) -> int:
        """How many queries `mean` looks at."""
        return len(range(*self._deciding.indices(self.count)))

    def mean(self, scores: NDArray[np.float64]) -> float:
        """Mean over the queries that decide, along the last axis: all, where none asks for new documents."""
        return float(scores[..., self._deciding].mean())

    def full(self) -> NDArray[np.float64]:
        """Scores of the full vectors, one per held-out query."""
        return self.scores_of(self.documents, self.queries)

    def scores(
        self,
        matrix: FloatArray,
        codec: str | None = None,
        bias: Float32Array | None = None,
        query: FloatArray | None = None,
    ) -> NDArray[np.float64]:
        """Scores of the vectors ``normalise(x @ matrix + bias)``, matrix of shape (D, d), one per query.

        Documents are what a codec of this name, calibrated on them, makes of them. ``query`` is the matrix of
        queries, where they have their own.
        """
        (scores,) = self.scores_at(matrix, {matrix.shape[1]: codec}, bias, query)
        return np.asarray(scores)

    def scores_at(
        self,
        matrix: FloatArray | None,
        sizes: Mapping[int, str | None],
        bias: Float32Array | None = None,
        query: FloatArray | None = None,
        scales: Mapping[int, NDArray[np.float64]] | None = None,
        wide: FloatArray | None = None,
    ) -> NDArray[np.float64]:
        """`scores` of leading columns, of shape (sizes, queries).

        ``sizes`` has the codec of each size, and ``scales`` factors of its columns, where it has any. Without
        a matrix the columns are those of the originals. ``wide`` is what `product` returns, if it is known.
        """
        wide = self.product(matrix, bias) if wide is None else wide
        asked: FloatArray = self.queries
        if matrix is not None:
            asked = asked @ (matrix if query is None else query) + (np.float32(0) if bias is None else bias)
        found = []
        for size, codec in sizes.items():
            scale = (scales or {}).get(size, np.ones(size)).astype(np.float32)
            # A codec is calibrated on all documents.
            documents = normalise((wide if codec else wide[self._mine])[:, :size] * scale)
            if codec is not None:
                stored = fit_codec(codec, documents)
                documents = stored.decode(stored.encode(documents))[self._mine]
            found.append(self._scores(documents, normalise(asked[:, :size] * scale)))
        return np.stack(found)

    def product(self, matrix: FloatArray | None, bias: Float32Array | None = None) -> FloatArray:
        """Documents times a matrix of shape (D, d), and a bias; without a matrix the documents."""
        if matrix is None:
            return self.documents
        return self.documents @ matrix + (np.float32(0) if bias is None else bias)

    def part(self, places: slice) -> HeldOut:
        """Some of the queries without judgements."""
        found = copy(self)
        found.queries, found._own, found._full = self.queries[places], self._own[places], self._full[places]
        return found

    def scores_of(
        self, documents: Float32Array, queries: Float32Array, of: IntArray | None = None
    ) -> NDArray[np.float64]:
        """Scores of what `documents` and `queries` became, unit rows in their order, one per query.

        ``of`` are places of the judged queries that are scored, all by default.
        """
        return self._scores(documents[self._mine], queries, of)

    def among(self, places: IntArray) -> HeldOut:
        """The same, searched for among the documents at these ascending ``places`` only."""
        if len(places) == len(self.documents):
            return self
        found = copy(self)
        found.documents = self.documents[places]
        found._rows = self._rows[places]
        found._tie_order = np.argsort(np.argsort(self._tie_order[places]))
        found._mine = self._processes.share(len(places))
        if not self._judged:
            place_of = np.full(len(self.documents) + 1, -1)  # the last one for queries that are no document
            place_of[places] = np.arange(len(places))
            found._own = place_of[self._own]
            found._full = found._neighbours(found.documents[found._mine], self.queries)
        return found

    def within(self, axes: Float32Array) -> HeldOut:
        """The same as unit-length coordinates on ``axes`` (D, r); neighbours stay those of the originals."""
        found = copy(self)
        found.documents, found.queries = normalise(self.documents @ axes), normalise(self.queries @ axes)
        return found

    def _scores(
        self, documents: Float32Array, queries: Float32Array, of: IntArray | None = None
    ) -> NDArray[np.float64]:
        if not self._judged:
            return overlap(self._full, self._neighbours(documents, queries))
        _, rows = self._search(documents, queries if of is None else queries[of], DEPTH)
        return self._ndcg(self._rows[rows], of)

    def _neighbours(self, documents: Float32Array, queries: Float32Array) -> IntArray:
        if (self._own < 0).all():
            return self._search(documents, queries, DEPTH)[1]
        rows = self._search(documents, queries, DEPTH + 1)[1]
        return without_own(rows, self._own, DEPTH)

    def _own_rows(self) -> IntArray:
        """Rows of the documents that queries of the log are; every size would find them first."""
        scores, rows = self._search(self.documents[self._mine], self.queries, 1)
        return np.where(scores[:, 0] > DUPLICATE, rows[:, 0], -1)

    def _search(
        self, documents: Float32Array, queries: Float32Array, depth: int
    ) -> tuple[Float32Array, IntArray]:
        """The best of all documents, of which this process has its share."""
        order = self._tie_order[self._mine]
        order = order if self._processes.count == 1 else np.argsort(np.argsort(order))
        scores, rows = exact_search(documents, queries, depth, tie_order=order)
        if self._processes.count == 1:
            return scores, rows
        found = self._processes.of_all((scores, rows + self._mine.start))
        scores, rows = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        best = np.lexsort((self._tie_order[rows], -scores), axis=1)[:, :depth]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
