"""Exact inner-product search with TREC's order of ties, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from smec.vectors import Float32Array, FloatArray, IntArray, row_blocks, vector_blocks

QUERY_ROWS = 256
"""Queries scored together: with a block of the corpus, 8 MB of scores."""

_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1


def exact_search(
    corpus: FloatArray, queries: FloatArray, k: int, *, tie_order: IntArray | None = None
) -> tuple[Float32Array, IntArray]:
    """Find the ``k`` corpus rows of largest inner product with each query.

    Parameters
    ----------
    corpus : ndarray of shape (n, d)
        float16, float32 or float64, may be a memory map; converted block by block.
        Unit rows make the inner product the cosine. BLAS may give equal rows scores that differ
        in float32's last bit; only scores that come out equal are ties.
    queries : ndarray of shape (q, d)
    k : int
        At least 1; where it exceeds n, n columns come back.
    tie_order : ndarray of shape (n,), int64, optional
        A permutation of ``range(n)``: of two equal scores the row with the smaller entry comes
        first. `trec_tie_order` for TREC's order; the order of the rows by default.

    Returns
    -------
    scores : ndarray of shape (q, k), float32
        Descending.
    rows : ndarray of shape (q, k), int64
    """
    order = np.arange(len(corpus)) if tie_order is None else tie_order
    blocks = (np.asarray(block, dtype=np.float32) for block in vector_blocks(corpus))
    return search_blocks(blocks, np.asarray(queries, dtype=np.float32), k, order)


def search_blocks(
    blocks: Iterable[Float32Array], queries: Float32Array, k: int, tie_order: IntArray
) -> tuple[Float32Array, IntArray]:
    """Search a corpus that comes block by block; arguments and result as in `exact_search`.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (b, d), float32
        The corpus in order; each block is dropped once it is scored.
    queries : ndarray of shape (q, d), float32
    k : int
    tie_order : ndarray of shape (n,), int64

    Returns
    -------
    scores : ndarray of shape (q, k), float32
    rows : ndarray of shape (q, k), int64
    """
    last = len(tie_order) - 1
    parts = list(row_blocks(len(queries), QUERY_ROWS))
    best = [_Best(part.stop - part.start, k) for part in parts]
    seen = 0
    for block in blocks:
        priority = last - tie_order[seen : seen + len(block)]
        seen += len(block)
        for part, of_part in zip(parts, best, strict=True):
            of_part.offer(queries[part] @ block.T, priority)
    row_of: IntArray = np.argsort(tie_order)
    scores = np.empty((len(queries), min(k, seen)), dtype=np.float32)
    rows = np.empty(scores.shape, dtype=np.int64)
    for part, of_part in zip(parts, best, strict=True):
        keys = of_part.descending()
        scores[part], rows[part] = _scores(keys), row_of[last - (keys & _ROW_MASK)]
    return scores, rows


class _Best:
    """The ``k`` largest keys of some queries, of all scores that were offered.

    Once a query has ``k`` of them, only scores from its ``k``-th best on are looked at: a few of a block, where
    putting all in order would cost several times the product that made them. They wait until some query has ``k``,
    so that a search holds 24 bytes for each of ``k`` results of each query.
    """

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._keys: IntArray = np.empty((queries, 0), dtype=np.int64)
        self._floor: Float32Array = np.full((queries, 1), -np.inf, dtype=np.float32)
        self._waiting: list[tuple[IntArray, IntArray]] = []
        self._counts: IntArray = np.zeros(queries, dtype=np.int64)

    def offer(self, scores: Float32Array, priority: IntArray) -> None:
        """Take the scores of some documents, of shape (queries, n), which are overwritten."""
        if self._keys.shape[1] < self._k:
            self._keep(np.concatenate([self._keys, _keys(scores, priority)], axis=1))
            return
        # A score that equals the k-th best may come before it; so may NaN, which no order knows.
        # In one dimension, where numpy finds what is set ten times as fast.
        queries, places = np.divmod(np.flatnonzero(~(scores < self._floor)), scores.shape[1])
        if len(queries):
            self._waiting.append((queries, _keys(scores[queries, places], priority[places])))
            self._counts += np.bincount(queries, minlength=len(self._counts))
        if self._counts.max() >= self._k:
            self._merge()

    def descending(self) -> IntArray:
        """The keys of shape (queries, k), the largest first; all that there are where these are fewer."""
        if self._waiting:
            self._merge()
        return np.sort(self._keys, axis=1)[:, ::-1]

    def _merge(self) -> None:
        queries, keys = (np.concatenate(side) for side in zip(*self._waiting, strict=True))
        order = np.argsort(queries, kind="stable")
        queries, keys = queries[order], keys[order]
        first = np.cumsum(self._counts) - self._counts
        table = np.full((len(self._counts), self._counts.max()), np.iinfo(np.int64).min)
        table[queries, np.arange(len(queries)) - first[queries]] = keys
        self._waiting = []
        self._counts[:] = 0
        self._keep(np.concatenate([self._keys, table], axis=1))

    def _keep(self, keys: IntArray) -> None:
        self._keys = _largest(keys, self._k)
        if self._keys.shape[1] == self._k:
            self._floor = _scores(self._keys.min(axis=1, keepdims=True))


def trec_tie_order(ids: Sequence[str]) -> IntArray:
    """Rank of each id in trec_eval's order of equal scores: ids descending as strings."""
    descending = sorted(range(len(ids)), key=ids.__getitem__, reverse=True)
    ranks: IntArray = np.empty(len(ids), dtype=np.int64)
    ranks[descending] = np.arange(len(ids))
    return ranks


def _keys(scores: Float32Array, priority: IntArray) -> IntArray:
    # One integer per pair, the score above and the tie's priority below: no two keys of a query
    # are equal, so that any selection of the largest ones breaks ties rightly at the boundary too.
    scores += 0.0  # makes -0.0 equal to 0.0
    bits = scores.view(np.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF  # the integers now compare as the floats did
    keys: IntArray = np.left_shift(bits, _ROW_BITS, dtype=np.int64)
    keys |= priority
    return keys


def _largest(keys: IntArray, k: int) -> IntArray:
    rest = keys.shape[1] - k
    return np.partition(keys, rest, axis=1)[:, rest:] if rest > 0 else keys


def _scores(keys: IntArray) -> Float32Array:
    bits = (keys >> _ROW_BITS).astype(np.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    return bits.view(np.float32)
