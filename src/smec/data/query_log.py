"""A log of queries: read once, of which different queries are kept, however often each was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smec.data.blocks import alike
from smec.data.embeddings import Embeddings
from smec.data.fingerprint import EmbeddingsHash
from smec.data.readers import STREAMED, read_vectors, streamed
from smec.errors import DataError
from smec.vectors import FloatArray, IntArray, check_vectors, row_blocks

MOST_LOGGED = 10_000
"""Queries without judgements that are drawn from more of them: what they teach is no single answer."""

VectorBlock = tuple[str, int, FloatArray]
"""Name of a file, number of the first row in it, and vectors that were not checked yet."""


@dataclass(frozen=True, eq=False)
class QueryLog:
    """Different queries of a log, in the order in which each was first asked.

    Attributes
    ----------
    vectors : ndarray of shape (u, D)
        All of the log's different rows, or `MOST_LOGGED` of them.
    rows : int
        How many the log has in all.
    sha256 : str
        Hash of all rows; ids and the file's format do not count.
    name : str
        What messages call it.
    """

    vectors: FloatArray
    rows: int
    sha256: str
    name: str

    @property
    def dim(self) -> int:
        """D, the width of the vectors."""
        return int(self.vectors.shape[1])


def drawn_log(log: Embeddings | FloatArray) -> QueryLog:
    """Draw from a log that is at hand, as `read_log` does from a file.

    Raises
    ------
    DataError
        A vector is unusable.
    """
    name, vectors = (log.name, log.vectors) if isinstance(log, Embeddings) else ("log", np.asanyarray(log))
    check_vectors(vectors[:1], name)
    return _drawn(_slices(vectors, name), len(vectors), name)


def read_log(path: Path) -> QueryLog:
    """Read a log of queries in blocks: a file of any format that a corpus can have, or a folder of shards.

    Ids are not needed, and may occur more than once. Memory does not grow with the rows, but for ``.npz`` and
    ``.jsonl``, whose ids are read whole.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DataError
        There is no such file, it cannot be used, it has no rows, or one of its rows is unusable.
    """
    if path.is_dir():
        _check_shards(path)
    suffix = ".parquet" if path.is_dir() else path.suffix
    if not path.exists() or suffix not in STREAMED:
        return drawn_log(read_vectors(path))
    source = streamed(suffix).source(path, ids=False)
    blocks = ((block.name, block.first_row, block.vectors) for block in alike(source.blocks))
    return _drawn(blocks, source.rows, str(path))


def holds_dataset(folder: Path) -> bool:
    """Whether a folder holds ``corpus.*``, ``queries.*`` or ``qrels/``, and so is none of a log's shards."""
    return any(path.stem in ("corpus", "queries", "qrels") for path in folder.iterdir())


def _check_shards(folder: Path) -> None:
    if holds_dataset(folder):
        raise DataError(f"{folder}: holds a dataset, not the shards of a log; name the file of its queries")


def _slices(vectors: FloatArray, name: str) -> Iterator[VectorBlock]:
    for block in row_blocks(len(vectors)):
        yield name, block.start, vectors[block]


def _drawn(blocks: Iterable[VectorBlock], rows: int, name: str) -> QueryLog:
    sample, digest = _Different(MOST_LOGGED), None
    row = 0
    for file, first_row, block in blocks:
        vectors = np.ascontiguousarray(check_vectors(block, file, first_row=first_row))
        digest = digest or EmbeddingsHash(vectors.dtype, (rows, vectors.shape[1]))
        digest.add((), vectors)
        sample.offer(_keys(vectors), row, vectors)
        row += len(vectors)
    if digest is None:
        raise DataError(f"{name}: holds no vectors (0 rows)")
    return QueryLog(sample.vectors(), row, digest.hexdigest(), name)


def _keys(vectors: FloatArray) -> NDArray[np.uint64]:
    """A hash of each row: the same for equal rows, and as good as random for others."""
    digests = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in vectors)
    return np.frombuffer(digests, dtype=np.uint64)


class _Different:
    """The different rows of the ``most`` smallest keys: a draw in which no row counts twice."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys = np.empty(0, dtype=np.uint64)
        """Ascending."""
        self._rows: IntArray = np.empty(0, dtype=np.int64)
        self._vectors: FloatArray | None = None

    def offer(self, keys: NDArray[np.uint64], first_row: int, vectors: FloatArray) -> None:
        """Take those rows whose keys are new and smaller than kept ones, in the place of these."""
        able = np.flatnonzero(~np.isin(keys, self._keys))
        if len(self._keys) == self._most:
            able = able[keys[able] < self._keys[-1]]
        if not len(able):
            return
        together = np.concatenate([self._keys, keys[able]])
        different, first = np.unique(together, return_index=True)
        self._keys, kept = different[: self._most], first[: self._most]
        self._rows = np.concatenate([self._rows, first_row + able])[kept]
        mine = vectors[able]
        self._vectors = (mine if self._vectors is None else np.concatenate([self._vectors, mine]))[kept]

    def vectors(self) -> FloatArray:
        """The kept rows, in the order of the log."""
        assert self._vectors is not None
        return self._vectors[np.argsort(self._rows)]
