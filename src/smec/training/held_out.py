"""Folds of the judged train queries: what each training fits, and the new documents that check it."""

from __future__ import annotations

import math

import numpy as np

from smec.config import CorpusKind, ValidationConfig
from smec.data.dataset import JudgedQueries
from smec.training.document_folds import DocumentFold, document_folds
from smec.vectors import IntArray

FEW = 500
"""Judged train queries from which one held-out part of a fixed corpus is enough, as it asks for the fitted
documents; the rivals' limit too."""


def training_folds(
    judged: JudgedQueries, validation: ValidationConfig, *, seed: int, corpus: CorpusKind = "growing"
) -> list[DocumentFold]:
    """Part judged train queries by document, once or, where they are few, several times.

    Parameters
    ----------
    judged : JudgedQueries
        At least two.
    validation : ValidationConfig
        Below ``few`` queries there are ``folds`` folds, which hold out each query once; otherwise one fold
        holds out a ``share`` of them, at most ``most``.
    seed : int
        Same seed, same folds.
    corpus : {"growing", "fixed"}
        A fixed corpus is parted by query: what is held out may ask for documents that are fitted.

    Returns
    -------
    list of DocumentFold
        At least one. Parted by query, ``seen`` has each held-out query with a relevant document that is
        relevant to a fitted query, and ``new`` has the others. Where all queries share one document they
        are parted by query, as there is no other way.
    """
    total = len(judged)
    few = min(validation.few, FEW) if corpus == "fixed" else validation.few
    if total < few and validation.folds > 1:
        parts, folds = min(validation.folds, total // 2), None
    else:
        parts, folds = max(round(1 / validation.share), math.ceil(total / validation.most)), 1
    parts = max(2, parts)
    found = [] if corpus == "fixed" else document_folds(judged, parts, seed=seed, folds=folds)
    return found or _folds_by_query(judged, parts, folds or parts, seed)


def _folds_by_query(judged: JudgedQueries, parts: int, folds: int, seed: int) -> list[DocumentFold]:
    order = np.random.default_rng([seed, 6]).permutation(len(judged))
    return [_fold_by_query(judged, np.sort(order[number::parts])) for number in range(folds)]


def _fold_by_query(judged: JudgedQueries, held_out: IntArray) -> DocumentFold:
    fit = judged.subset(np.setdiff1d(np.arange(len(judged)), held_out))
    fitted = {row for grades in fit.grades for row, grade in grades.items() if grade > 0}
    seen = np.array(
        [
            any(grade > 0 and row in fitted for row, grade in judged.grades[query].items())
            for query in held_out
        ]
    )
    return DocumentFold(
        fit, judged.subset(held_out[~seen]), judged.subset(held_out[seen]), unused=0, removed=0
    )
