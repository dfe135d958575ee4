"""Feedback (Rocchio): judged documents move towards the queries that they answer, before they are compressed.

::

    x' = normalise(x + weight * q)        q: mean of the unit vectors of the document's train queries

Documents that nobody judged stay as they are, bit for bit. The matrix of the compressor stays general; what
was learned about single documents is stored in those documents.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from smec.data.dataset import Dataset
from smec.data.embeddings import Embeddings
from smec.data.fingerprint import embeddings_sha256, qrels_sha256
from smec.data.judgements import Judgements, read_judgements
from smec.errors import ConfigError, DataError
from smec.vectors import (
    Float32Array,
    FloatArray,
    IntArray,
    check_table,
    check_vectors,
    normalise,
    row_energy,
    usable,
)

if TYPE_CHECKING:
    from smec.artefact import FeedbackRecord

CANCELLED = 1e-3
"""Length of ``x + weight * q`` below which the two cancel out, and the document stays where it is."""


class FeedbackStamp(BaseModel):
    """The feedback in a compressed output: kept with it, so that other feedback can take its place."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    fingerprint: str | None
    """Fingerprint of the `Feedback`; None while documents are being rewritten."""
    weight: float
    judged: tuple[str, ...]
    """Ids of the documents that may be moved, ascending."""


@dataclass(frozen=True, eq=False)
class Feedback:
    """Where judged documents move, and how far.

    Parameters
    ----------
    ids : tuple of m str
        Judged documents, ascending.
    directions : ndarray of shape (m, D), float32
        Mean of the unit vectors of each document's queries; its length is 1 at most.
    weight : float
        How far they move; above 0.
    fingerprint : str
        sha256 of the judgements, the judged queries' vectors and the weight.
    """

    ids: tuple[str, ...]
    directions: Float32Array
    weight: float
    fingerprint: str

    @classmethod
    def from_dataset(
        cls, dataset: Dataset | str | os.PathLike[str], *, weight: float, split: str = "train"
    ) -> Feedback:
        """Take the feedback from a dataset's judgements; grades above 0 count the same.

        Parameters
        ----------
        dataset : Dataset or path of a dataset folder
            The corpus of a folder is not opened: queries and qrels are enough.
        weight : float
            .5, 1 and 2 are what training chooses from.
        split : str
            Split whose judgements count.

        Raises
        ------
        ConfigError
            The weight is not a number above 0.
        DataError
            No queries, no such split, no relevant document in it, a judged query without a vector, or a
            query vector with NaN, Inf or only zeros.
        """
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(f"feedback weight: must be a number above 0, got {weight}")
        judgements = read_judgements(dataset, split)
        ids, directions = _directions(judgements)
        return cls(ids, directions, float(weight), _fingerprint(judgements, weight))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """D, the width of the embeddings that it moves."""
        return int(self.directions.shape[1])

    @property
    def stamp(self) -> FeedbackStamp:
        """Record of this feedback that an output keeps."""
        return FeedbackStamp(fingerprint=self.fingerprint, weight=self.weight, judged=self.ids)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of every judged document in ``directions``."""
        return {id_: row for row, id_ in enumerate(self.ids)}

    def judged(self, ids: Sequence[str]) -> IntArray:
        """Positions in ``ids`` of the documents that it moves, shape (k,), int64, ascending."""
        return np.flatnonzero([id_ in self.rows for id_ in ids])

    def move(self, vectors: FloatArray, ids: Sequence[str]) -> FloatArray:
        """Move the judged documents among these; the length of their vectors does not matter.

        Parameters
        ----------
        vectors : ndarray of shape (n, D)
            float16, float32 or float64, not changed.
        ids : sequence of n str

        Returns
        -------
        ndarray of shape (n, D)
            ``vectors`` itself where none of them is judged, else a float32 copy with unit rows in the
            place of the judged ones. All encoders work in float32, so the other rows give the same codes.

        Raises
        ------
        DataError
            Another width than D, another number of ids, or a judged row with NaN, Inf or only zeros.
        """
        table = check_table(vectors, "feedback", dim=self.dim)
        if len(ids) != len(table):
            raise DataError(f"feedback: {len(ids)} ids for {len(table)} vectors; there must be one for each")
        judged = self.judged(ids)
        if not len(judged):
            return table
        with np.errstate(over="ignore"):  # such a row is refused here, or by the encoder if it is not judged
            moved: Float32Array = np.array(table, dtype=np.float32, order="K")
        if not usable(row_energy(moved[judged])):
            check_vectors(table, "feedback", ids=ids)
        unit = normalise(moved[judged])
        pulled = unit + np.float32(self.weight) * self.directions[[self.rows[ids[row]] for row in judged]]
        stays = row_energy(pulled) < CANCELLED**2
        moved[judged] = normalise(np.where(stays[:, None], unit, pulled))
        return moved


def chosen_weight(record: FeedbackRecord | None, weight: float | None) -> float:
    """The weight that was asked for, else the one that training chose.

    Raises
    ------
    ConfigError
        Neither is there.
    """
    if weight is not None:
        return weight
    if record is None:
        raise ConfigError(
            "feedback: this compressor was trained without a choice of its weight; pass --feedback-weight "
            "(0.5, 1 or 2)"
        )
    return record.weight


def _directions(judgements: Judgements) -> tuple[tuple[str, ...], Float32Array]:
    """Ids of the judged documents, ascending, and the mean of each one's unit query vectors."""
    queries = judgements.queries
    asked: dict[str, list[int]] = {}
    for query, documents in judgements.relevant.items():
        for document in documents:
            asked.setdefault(document, []).append(queries.rows[query])
    ids = tuple(sorted(asked))
    directions = np.empty((len(ids), queries.dim), dtype=np.float32)
    for row, id_ in enumerate(ids):
        directions[row] = normalise(np.asarray(queries.vectors[sorted(asked[id_])])).mean(axis=0)
    return ids, directions


def _fingerprint(judgements: Judgements, weight: float) -> str:
    queries = judgements.queries
    used = sorted(judgements.relevant)
    vectors = np.asarray(queries.vectors[[queries.rows[query] for query in used]])
    parts = (qrels_sha256(judgements.relevant), embeddings_sha256(Embeddings(used, vectors)), float(weight))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
