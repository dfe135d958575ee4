"""The frozen embeddings that training looks at: a bounded sample of the corpus and the train queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from smec.config import ValidationConfig
from smec.data import Dataset, JudgedQueries
from smec.data.query_log import MOST_LOGGED
from smec.data.sample import drawn_rows
from smec.errors import DataError
from smec.training.document_folds import DocumentFold
from smec.vectors import Float32Array, FloatArray, IntArray, normalise

FEWEST_QUERIES = 4
"""Fewer judged train queries cannot be split into something to fit and something to check."""

FEWEST_CHECKED = 30
"""Held out even where it is more than the share, up to a quarter of the queries: a mean over fewer
says little."""

FEWEST_LOGGED = 8
"""Fewer different queries without judgements are not learned from: a part of them has to be held out."""


@dataclass(frozen=True)
class Pool:
    """Unit-length originals in memory.

    Attributes
    ----------
    rows : ndarray of shape (n,)
        Corpus rows of ``documents``, ascending.
    documents : Tensor of shape (n, D), float32
    queries : Tensor of shape (q, D), float32
        Queries to fit; empty without labels.
    positives : tuple of q pairs (pool rows, grades)
        Documents with a positive grade, per query.
    held_out : JudgedQueries or None
        The validation queries, with grades by corpus row; those that ask for new documents come first.
    held_out_rows : ndarray of shape (v,)
        Pool rows never drawn as anchors; the validation of a training without labels.
    new : int
        How many of the held-out queries ask for documents that are relevant to no fitted query.
    log : Tensor of shape (u, D), float32
        Queries without judgements that are taught.
    held_out_log : ndarray of shape (w, D), float32
        Queries without judgements that are not taught; the validation of a training without labels.
    pairs : Tensor of shape (s, D), float32
        Sentences of documents.
    pair_rows : ndarray of shape (s,)
        Pool row of the document of each; none is relevant to a held-out query that asks for new documents.
    """

    rows: IntArray
    documents: Tensor
    queries: Tensor
    positives: tuple[tuple[IntArray, FloatArray], ...]
    held_out: JudgedQueries | None
    held_out_rows: IntArray
    new: int = 0
    log: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    held_out_log: Float32Array = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    pairs: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    pair_rows: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def ids(self) -> range:
        """Positions of the pool's rows."""
        return range(len(self.rows))

    def to(self, device: torch.device) -> Pool:
        """The pool with its embeddings to fit on a device."""
        return replace(
            self,
            documents=self.documents.to(device),
            queries=self.queries.to(device),
            log=self.log.to(device),
            pairs=self.pairs.to(device),
        )


def document_pool(
    dataset: Dataset,
    *,
    seed: int,
    limit: int,
    validation: ValidationConfig,
    queries: bool = False,
    sentences: JudgedQueries | None = None,
) -> Pool:
    """Draw the pool of a training without labels, and the queries that are held out, or else documents.

    Parameters
    ----------
    dataset : Dataset
    seed : int
    limit : int
        Most corpus rows of the pool.
    validation : ValidationConfig
        Its ``share`` and ``most``.
    queries : bool
        Whether queries are taught and held out, where there are any.
    sentences : JudgedQueries, optional
        Sentences of documents, which are taught as queries without judgements, and never held out.

    Raises
    ------
    DataError
        A corpus too small to hold anything out.
    """
    rows = drawn_rows(len(dataset.corpus), np.empty(0, dtype=np.int64), limit, seed)
    if len(rows) < FEWEST_QUERIES:
        raise DataError(
            f"{dataset.corpus.name}: {len(rows)} vectors are too few to train on; "
            f"{FEWEST_QUERIES} is the least"
        )
    documents = _unit(dataset.corpus.vectors, rows)
    none = torch.empty(0, documents.shape[1])
    log = held_out_log = np.empty((0, documents.shape[1]), dtype=np.float32)
    if queries:
        log, held_out_log = logged_queries(dataset, seed=seed, validation=validation, judged=False)
    if sentences is not None:
        log = np.concatenate([log, normalise(sentences.vectors)])
    held = np.empty(0, dtype=np.int64)
    if not len(held_out_log):
        order = np.random.default_rng([seed, 0]).permutation(len(rows))
        held = np.sort(order[: _held_out_count(len(rows), validation)])
    return Pool(rows, documents, none, (), None, held, log=torch.from_numpy(log), held_out_log=held_out_log)


def logged_queries(
    dataset: Dataset, *, seed: int, validation: ValidationConfig, judged: bool
) -> tuple[Float32Array, Float32Array]:
    """Draw queries without judgements, of the dataset and of its log: those to teach, and those held out.

    Parameters
    ----------
    dataset : Dataset
    seed : int
    validation : ValidationConfig
        Its ``share`` and ``most``.
    judged : bool
        Whether judgements are used: judged train queries are then not among these.

    Returns
    -------
    taught, held_out : ndarray of shape (u, D) and (w, D), float32
        Unit rows, each query once. Both empty where there are fewer than `FEWEST_LOGGED` different ones.

    Raises
    ------
    DataError
        There is a log, and so few different queries with it.
    """
    none = np.empty((0, dataset.dim), dtype=np.float32)
    known = dataset.unjudged("train", judged=judged)
    logged = 0 if dataset.log is None else len(dataset.log.vectors)
    rows = drawn_rows(len(known) + logged, np.empty(0, dtype=np.int64), MOST_LOGGED, seed)
    mine = rows < len(known)
    drawn = [none]
    if dataset.queries is not None:
        drawn.append(normalise(dataset.queries.vectors[known[rows[mine]]]))
    if dataset.log is not None:
        drawn.append(normalise(dataset.log.vectors[rows[~mine] - len(known)]))
    different = np.unique(np.concatenate(drawn), axis=0)
    if len(different) < FEWEST_LOGGED:
        if dataset.log is not None:
            raise DataError(
                f"{dataset.log.name}: only {len(different):,} different queries without judgements, in "
                f"{dataset.log.rows:,} rows and the dataset's queries; {FEWEST_LOGGED} are needed, as some "
                "check what others teach: add queries, or leave the log out"
            )
        return none, none
    order = np.random.default_rng([seed, 9]).permutation(len(different))
    held = _held_out_count(len(different), validation)
    return different[order[held:]], different[order[:held]]


def judged_train_queries(dataset: Dataset) -> JudgedQueries:
    """Return the judged train queries.

    Raises
    ------
    DataError
        Fewer than four.
    """
    judged = dataset.judged("train")
    if len(judged) < FEWEST_QUERIES:
        raise DataError(
            f"{dataset.name}: only {len(judged)} train queries have a relevant document: "
            f"judge {FEWEST_QUERIES} at least, or train without labels (--unsupervised)"
        )
    return judged


def fold_pools(
    dataset: Dataset,
    folds: Sequence[DocumentFold],
    *,
    seed: int,
    limit: int,
    logged: tuple[Float32Array, Float32Array] | None = None,
    sentences: JudgedQueries | None = None,
) -> list[Pool]:
    """Draw one pool per fold: the same documents, the fold's queries to fit and those held out.

    Parameters
    ----------
    dataset : Dataset
    folds : sequence of DocumentFold
        Parts of its judged train queries.
    seed : int
    limit : int
        Most corpus rows of the pool, but for the judged ones.
    logged : (taught, held out), optional
        Queries without judgements, as `logged_queries` draws them: the same for all folds.
    sentences : JudgedQueries, optional
        Sentences of documents. A fold leaves out those of its new documents, which stay new.
    """
    taught, held_out_log = logged or (np.empty((0, dataset.dim), np.float32),) * 2
    named = {
        row for fold in folds for part in (fold.fit, fold.new, fold.seen) for of in part.grades for row in of
    }
    named |= set() if sentences is None else {row for of in sentences.grades for row in of}
    rows = drawn_rows(len(dataset.corpus), np.array(sorted(named), dtype=np.int64), limit, seed)
    documents = _unit(dataset.corpus.vectors, rows)
    pairs = [_pairs(sentences, fold, rows, dataset.dim) for fold in folds]
    return [
        Pool(
            rows=rows,
            documents=documents,
            queries=torch.from_numpy(normalise(fold.fit.vectors)),
            positives=tuple(_positives(grades, rows) for grades in fold.fit.grades),
            held_out=fold.new.joined(fold.seen),
            held_out_rows=np.empty(0, dtype=np.int64),
            new=len(fold.new),
            log=torch.from_numpy(taught),
            held_out_log=held_out_log,
            pairs=of_fold[0],
            pair_rows=of_fold[1],
        )
        for fold, of_fold in zip(folds, pairs, strict=True)
    ]


def _pairs(
    sentences: JudgedQueries | None, fold: DocumentFold, rows: IntArray, dim: int
) -> tuple[Tensor, IntArray]:
    """Sentences of documents that are not new in a fold, and the pool rows of these documents."""
    if sentences is None:
        return torch.empty(0, dim), np.empty(0, dtype=np.int64)
    new = {row for grades in fold.new.grades for row, grade in grades.items() if grade > 0}
    named = np.array([max(grades, key=lambda row: grades[row]) for grades in sentences.grades])
    kept = ~np.isin(named, list(new))
    vectors = normalise(sentences.vectors[kept])
    return torch.from_numpy(vectors), np.searchsorted(rows, named[kept])


def _held_out_count(total: int, validation: ValidationConfig) -> int:
    share = max(round(total * validation.share), min(FEWEST_CHECKED, total // 4))
    return max(1, min(share, validation.most, total - 2))


def _unit(vectors: FloatArray, rows: IntArray) -> Tensor:
    return torch.from_numpy(normalise(vectors if len(rows) == len(vectors) else vectors[rows]))


def _positives(grades: dict[int, int], rows: IntArray) -> tuple[IntArray, FloatArray]:
    positive = {row: grade for row, grade in grades.items() if grade > 0}
    found = np.searchsorted(rows, np.fromiter(positive, dtype=np.int64))
    return found, np.fromiter(positive.values(), dtype=np.float64)
