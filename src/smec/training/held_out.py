"""Folds of the judged train queries: what each training fits, and the new documents that check it."""

from __future__ import annotations

import math

import numpy as np

from smec.config import ValidationConfig
from smec.data.dataset import JudgedQueries
from smec.training.document_folds import DocumentFold, document_folds

FEW = 500
"""Judged train queries below which one held-out part of them cannot tell a gain from luck."""


def training_folds(judged: JudgedQueries, validation: ValidationConfig, *, seed: int) -> list[DocumentFold]:
    """Part judged train queries by document, once or, where they are few, several times.

    Parameters
    ----------
    judged : JudgedQueries
        At least two.
    validation : ValidationConfig
        Below `FEW` queries there are ``folds`` folds, which hold out each query once; otherwise one fold
        holds out a ``share`` of them, at most ``most``.
    seed : int
        Same seed, same folds.

    Returns
    -------
    list of DocumentFold
        At least one. Where all queries share one document they are parted by query, as there is no other way.
    """
    total = len(judged)
    if total < FEW:
        parts, folds = min(validation.folds, total // 2), None
    else:
        parts, folds = max(round(1 / validation.share), math.ceil(total / validation.most)), 1
    parts = max(2, parts)
    return document_folds(judged, parts, seed=seed, folds=folds) or [_by_query(judged, parts, seed)]


def _by_query(judged: JudgedQueries, parts: int, seed: int) -> DocumentFold:
    order = np.random.default_rng([seed, 6]).permutation(len(judged))
    held_out, fitted = np.sort(order[::parts]), np.setdiff1d(order, order[::parts])
    nothing = judged.subset(np.empty(0, dtype=np.int64))
    return DocumentFold(judged.subset(fitted), judged.subset(held_out), nothing, unused=0, removed=0)
