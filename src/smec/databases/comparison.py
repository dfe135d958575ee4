"""The same queries asked of two collections: what is found, how fast, and what each takes on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np

from smec.codecs import Codes
from smec.databases.collection import Collection, Id, Size
from smec.vectors import Float32Array, FloatArray

QUERIES = 50
DEPTH = 10


class RowSample:
    """At most ``size`` of all rows that pass, each as likely as any other."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self._size = size
        self._random = np.random.default_rng([seed, 21])
        self._keys = np.empty(0)
        self.ids: list[Id] = []
        self.vectors: FloatArray = np.empty((0, 0), dtype=np.float32)

    def offer(self, ids: Sequence[Id], vectors: FloatArray) -> None:
        """Take some of these rows in the place of some of those before."""
        keys = np.concatenate([self._keys, self._random.random(len(ids))])
        kept = np.sort(np.argsort(keys)[: self._size])
        together = [*self.ids, *ids]
        rows = np.concatenate([self.vectors, vectors]) if self.ids else vectors
        self._keys, self.ids, self.vectors = keys[kept], [together[row] for row in kept], rows[kept]


@dataclass(frozen=True)
class Asked:
    """What came of queries.

    Parameters
    ----------
    queries : int
    overlap : float
        Mean share of the ten that the first collection finds which the second finds too.
    milliseconds : tuple of float
        Median for a query in either.
    """

    queries: int
    overlap: float
    milliseconds: tuple[float, float]


@dataclass(frozen=True)
class Side:
    """One of the two collections.

    Parameters
    ----------
    name : str
    dim : int
    codec : str
    bytes_per_vector : int
        Of the numbers themselves.
    size : Size
    query_ms : float
        Median time for the ten nearest rows.
    """

    name: str
    dim: int
    codec: str
    bytes_per_vector: int
    size: Size
    query_ms: float


def ask(full: Collection, small: Collection, ids: Sequence[Id], vectors: FloatArray, codes: Codes) -> Asked:
    """Search rows of the collections in both, by turns; a row does not count as its own neighbour.

    Parameters
    ----------
    full, small : Collection
    ids : sequence of n ids
    vectors : ndarray of shape (n, D)
    codes : ndarray of shape (n, w)
        The same rows as ``small`` holds them.
    """
    count = min(QUERIES, len(ids))
    shares, times = [], ([], [])  # type: tuple[list[float], tuple[list[float], list[float]]]
    searched: tuple[tuple[Collection, FloatArray | Codes], ...] = (
        (full, np.asarray(vectors, dtype=np.float32)),
        (small, codes),
    )
    for collection, rows in searched:
        collection.search(rows[0], DEPTH + 1)  # the first one opens files
    for row in range(count):
        found = []
        for place, (collection, rows) in enumerate(searched):
            began = time.perf_counter()
            nearest = collection.search(rows[row], DEPTH + 1)
            times[place].append(1000 * (time.perf_counter() - began))
            found.append([id_ for id_ in nearest if id_ != str(ids[row])][:DEPTH])
        if found[0]:
            shares.append(len(set(found[0]) & set(found[1])) / len(found[0]))
    return Asked(count, mean(shares) if shares else 1.0, (median(times[0]), median(times[1])))


def as_float32(codes: Codes) -> Codes:
    """Floats of any width as float32; bits as they are."""
    return codes if codes.dtype == np.uint8 else codes.astype(np.float32)


def furthest(there: Codes, made: Codes) -> float:
    """The largest difference between two tables of numbers, or the share of their bits that differ."""
    if there.shape != made.shape:
        return float("inf")
    if made.dtype == np.uint8:
        return float((np.unpackbits(there, axis=1) != np.unpackbits(made, axis=1)).mean())
    difference: Float32Array = np.abs(as_float32(there) - as_float32(made))
    return float(difference.max())
