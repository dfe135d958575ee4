"""Queries for documents that training never saw as relevant, told apart from the others.

A model may remember the documents that were relevant in its training. Its score on queries for
those documents says little about the documents that nobody has judged yet, which are usually most
of the corpus. So both kinds of queries are scored apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smec.data import Dataset, JudgedQueries, Qrels
from smec.data.qrels import check_grades

TRAIN = "train"
"""The split whose judgements a training learns from."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class NewAndSeen:
    """Masks of the queries that ask for new documents, and of those that ask for seen ones.

    Parameters
    ----------
    new : ndarray of shape (q,), bool
        None of the query's relevant documents is relevant to a train query.
    seen : ndarray of shape (q,), bool
        All of its relevant documents are relevant to some train query.
    """

    new: BoolArray
    seen: BoolArray

    @property
    def mixed(self) -> BoolArray:
        """Queries with relevant documents of both kinds, shape (q,), bool."""
        mixed: BoolArray = ~(self.new | self.seen)
        return mixed


def new_and_seen(judged: JudgedQueries, train_qrels: Qrels) -> NewAndSeen:
    """Tell queries for new documents from queries for documents that are relevant in training.

    Relevant means a grade above 0. Only ids are compared: the vectors of the train queries are not needed.

    Parameters
    ----------
    judged : JudgedQueries
        q queries, for example ``dataset.judged("test")``.
    train_qrels : mapping
        Train query id -> corpus id -> grade, for example ``dataset.qrels["train"]``. Without any
        relevant document in it, all queries are new.

    Returns
    -------
    NewAndSeen
        Masks in the order of ``judged``; a query with documents of both kinds is in neither.

    Raises
    ------
    DataError
        A grade in ``train_qrels`` is no whole number from 0 up.
    """
    known = _relevant(train_qrels)
    seen_documents = [
        [document in known for document, grade in judged.qrels[query].items() if grade > 0]
        for query in judged.ids
    ]
    return NewAndSeen(
        new=np.array([not any(of_query) for of_query in seen_documents], dtype=np.bool_),
        seen=np.array([all(of_query) for of_query in seen_documents], dtype=np.bool_),
    )


def why_not_told_apart(qrels: Mapping[str, Qrels], split: str) -> str | None:
    """Return the reason why a split has no new and seen documents, or None where it has them.

    Parameters
    ----------
    qrels : mapping
        Split -> its judgements, as `Dataset.qrels`.
    split : str
        The split to score.

    Raises
    ------
    DataError
        A grade of the train split is no whole number from 0 up.
    """
    if not qrels:
        reason = "the dataset has no qrels"
    elif split == TRAIN:
        reason = f"split {TRAIN!r} is the one that training learns from"
    elif TRAIN not in qrels:
        reason = "the dataset has no train qrels"
    elif not _relevant(qrels[TRAIN]):
        reason = "the dataset's train qrels name no relevant document"
    else:
        return None
    return f"{reason}: new and seen documents cannot be told apart"


def groups_of(dataset: Dataset, split: str, judged: JudgedQueries) -> NewAndSeen | None:
    """Return the new and seen queries of a split, or None where they cannot be told apart.

    Parameters
    ----------
    dataset : Dataset
    split : str
    judged : JudgedQueries
        The queries of that split.

    Raises
    ------
    DataError
        A grade of the train split is no whole number from 0 up.
    """
    if why_not_told_apart(dataset.qrels, split) is not None:
        return None
    return new_and_seen(judged, dataset.qrels[TRAIN])


def _relevant(qrels: Qrels) -> set[str]:
    check_grades(qrels, "train qrels")
    return {document for judged in qrels.values() for document, grade in judged.items() if grade > 0}
