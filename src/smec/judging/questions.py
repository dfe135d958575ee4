"""Questions to a judge: a query and the documents that the full vectors find for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from smec.data import Dataset, Embeddings, Qrels
from smec.data.folder import SENTENCES
from smec.errors import DataError
from smec.evaluation.search import search_blocks, trec_tie_order
from smec.vectors import normalise, row_blocks

TRAIN = "train"


@dataclass(frozen=True)
class Question:
    """A query with the documents that are to be judged for it, best first.

    Parameters
    ----------
    query : str
        Id.
    text : str
    documents, texts : tuple of k str
        Ids, and title and text as one; none is empty.
    """

    query: str
    text: str
    documents: tuple[str, ...]
    texts: tuple[str, ...]

    def key(self, identity: str) -> str:
        """sha256 of the judge's identity and of all that it reads: what an answer is kept by."""
        read = json.dumps([identity, self.text, self.texts])
        return hashlib.sha256(read.encode()).hexdigest()


def readable(dataset: Dataset) -> Embeddings:
    """The queries of a dataset that a judge can read.

    Raises
    ------
    DataError
        There are no queries, or queries or documents come without texts.
    """
    if dataset.queries is None:
        raise DataError(f"{dataset.name}: has no queries to judge documents for; add queries.parquet")
    for embeddings in (dataset.queries, dataset.corpus):
        if not any(embeddings.texts or ()) and not any(embeddings.titles or ()):
            raise DataError(
                f"{embeddings.name}: carries no texts, which a judge has to read; add a column 'text' to the "
                "Parquet file, or put BEIR's .jsonl beside vectors in .npy"
            )
    return dataset.queries


def unjudged(dataset: Dataset, queries: Embeddings) -> list[str]:
    """Ids of the queries that have no row in the qrels of any split, so no sentences, in their order.

    Raises
    ------
    DataError
        There are none.
    """
    judged = {query for qrels in dataset.qrels.values() for query in qrels}
    found = [query for query in queries.ids if query not in judged]
    if not found:
        asked = len(queries) - len(dataset.qrels.get(SENTENCES, {}))
        raise DataError(f"{dataset.name}: all {asked:,} queries are judged; nothing is left to ask")
    return found


def calibration_ids(dataset: Dataset, count: int, without: Container[str]) -> list[str]:
    """So many judged train queries with a relevant document, drawn by a fixed seed.

    Parameters
    ----------
    dataset : Dataset
    count : int
    without : container of str
        Queries that a judge has judged itself: nothing can be calibrated on them.

    Raises
    ------
    DataError
        The train split cannot be used.
    """
    if not _relevant(dataset.qrels.get(TRAIN, {})):
        return []
    ids = [query for query in dataset.judged(TRAIN).ids if query not in without]
    order = np.random.default_rng(0).permutation(len(ids))
    return [ids[place] for place in order[:count]]


def _relevant(qrels: Qrels) -> bool:
    return any(grade > 0 for judged in qrels.values() for grade in judged.values())


def questions(dataset: Dataset, queries: Embeddings, ids: Sequence[str], top: int) -> list[Question]:
    """The questions on these queries, by exact cosine search, without what has no text.

    A document that is the query itself, word for word, is left out: to find it teaches nothing, and it would
    stand above all others.

    Parameters
    ----------
    dataset : Dataset
    queries : Embeddings
        With texts.
    ids : sequence of str
    top : int
        Documents of a query, at most.

    Returns
    -------
    list of Question
        In the order of ``ids``.
    """
    asked = [id_ for id_ in ids if _whole(queries, queries.rows[id_])]
    if not asked:
        return []
    corpus = dataset.corpus
    _, found = search_blocks(
        (normalise(corpus.vectors[block]) for block in row_blocks(len(corpus))),
        normalise(queries.vectors[[queries.rows[id_] for id_ in asked]]),
        top + 1,
        trec_tie_order(corpus.ids),
    )
    made = (
        _question(queries, id_, corpus, rows.tolist(), top) for id_, rows in zip(asked, found, strict=True)
    )
    return [question for question in made if question.documents]


def _question(queries: Embeddings, id_: str, corpus: Embeddings, rows: Sequence[int], top: int) -> Question:
    text = _whole(queries, queries.rows[id_])
    others = [row for row in rows if _whole(corpus, row) != text][:top]
    with_text = [row for row in others if _whole(corpus, row)]
    return Question(
        query=id_,
        text=text,
        documents=tuple(corpus.ids[row] for row in with_text),
        texts=tuple(_whole(corpus, row) for row in with_text),
    )


def _whole(embeddings: Embeddings, row: int) -> str:
    """Title and text as one, as they were embedded."""
    title = embeddings.titles[row] if embeddings.titles is not None else ""
    text = embeddings.texts[row] if embeddings.texts is not None else ""
    return f"{title} {text}".strip()
