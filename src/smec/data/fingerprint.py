"""SHA-256 of what a dataset holds, for an artefact's provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from smec.data.embeddings import Embeddings
from smec.data.places import Location
from smec.data.qrels import Qrels
from smec.vectors import FloatArray, row_blocks, vector_blocks


EDGE = 1 << 20
"""Bytes at either end of a file that are hashed to tell whether it is still the same."""


class EmbeddingsHash:
    """Hash of ids and vectors in their order, whatever the blocks; texts and file format do not count.

    Parameters
    ----------
    dtype : dtype
        Of the vectors.
    shape : (int, int)
        Of all of them.
    """

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._header = f"{dtype} {shape}\n".encode()
        self._ids, self._vectors = hashlib.sha256(), hashlib.sha256()

    def add(self, ids: Sequence[str], vectors: FloatArray) -> None:
        """Count the next rows in."""
        self._ids.update("".join(f"{id_}\n" for id_ in ids).encode())
        self._vectors.update(np.ascontiguousarray(vectors).data)

    def hexdigest(self) -> str:
        """Of what was counted."""
        parts = self._header + self._ids.digest() + self._vectors.digest()
        return hashlib.sha256(parts).hexdigest()


def embeddings_sha256(embeddings: Embeddings) -> str:
    """`EmbeddingsHash` of all rows, block by block."""
    digest = EmbeddingsHash(embeddings.vectors.dtype, embeddings.vectors.shape)
    rows = row_blocks(len(embeddings))
    for block, vectors in zip(rows, vector_blocks(embeddings.vectors), strict=True):
        digest.add(embeddings.ids[block], vectors)
    return digest.hexdigest()


def qrels_sha256(qrels: Qrels) -> str:
    """Hash of the judgements, whatever their order."""
    digest = hashlib.sha256()
    for query in sorted(qrels):
        judged = sorted(qrels[query].items())
        digest.update("".join(f"{query}\t{document}\t{grade}\n" for document, grade in judged).encode())
    return digest.hexdigest()


def edges_sha256(path: Location) -> str:
    """Hash of the first and the last MiB of a file; OSError where it cannot be read."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        digest.update(file.read(EDGE))
        file.seek(max(0, size - EDGE))
        digest.update(file.read(EDGE))
    return digest.hexdigest()
