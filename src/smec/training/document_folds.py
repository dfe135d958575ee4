"""Splits of judged queries by document: what is held out has no relevant document among what is fitted.

Queries that share a relevant document form a group (a connected component), and a group is held out as a
whole. A group that is too large is divided where its queries have the least in common; the judgements
that then name documents of both sides are taken from the fitted queries, and a query that is left with
none is not fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from smec.data.dataset import JudgedQueries
from smec.vectors import IntArray

LARGEST_DIVIDED = 5000
"""Queries up to which a group is divided by what its queries share: memory grows with their square.
Queries of a larger group are groups of their own."""


@dataclass(frozen=True)
class DocumentFold:
    """One way to part judged queries.

    Attributes
    ----------
    fit : JudgedQueries
        Queries to fit, without their judgements of documents that are relevant to ``new``.
    new : JudgedQueries
        Held out; no fitted judgement names any of their relevant documents.
    seen : JudgedQueries
        Held out; each of their relevant documents is relevant to a fitted query too. May be empty.
    unused : int
        Queries in none of the three: all their relevant documents are held out.
    removed : int
        Judgements that were taken from the fitted queries.
    """

    fit: JudgedQueries
    new: JudgedQueries
    seen: JudgedQueries
    unused: int
    removed: int


def document_folds(
    judged: JudgedQueries, parts: int, *, seed: int, folds: int | None = None
) -> list[DocumentFold]:
    """Part judged queries by document, so that each query is in ``new`` of one fold at most.

    Parameters
    ----------
    judged : JudgedQueries
        q of them.
    parts : int
        Parts of about q / parts queries, each held out by one fold. Fewer where there are fewer groups.
    seed : int
        Same seed, same folds.
    folds : int, optional
        How many of the parts become a fold, the first ones; all by default.

    Returns
    -------
    list of DocumentFold
        Up to q / (2 * parts) queries of each are ``seen``. Empty where all queries share one document.
    """
    relevance = _relevance(judged)
    rng = np.random.default_rng([seed, 5])
    part_of = _dealt(document_groups(judged, max(1, len(judged) // parts)), parts, rng)
    turn = rng.permutation(len(judged))
    found = []
    for number in range(min(folds or parts, int(part_of.max()) + 1)):
        fold = _fold(judged, relevance, part_of == number, turn[turn % parts == number])
        if len(fold.fit):
            found.append(fold)
    return found


def document_groups(judged: JudgedQueries, largest: int) -> IntArray:
    """Number of the group of each query, from 0.

    Parameters
    ----------
    judged : JudgedQueries
        q of them.
    largest : int
        Queries above which a group is divided.

    Returns
    -------
    ndarray of shape (q,), int64
        Queries that share a relevant document have the same number, but where a group was divided.
    """
    relevance = _relevance(judged)
    queries, documents = relevance.shape
    pairs, nodes = relevance.tocoo(), queries + documents
    links = csr_matrix((pairs.data, (pairs.row, queries + pairs.col)), shape=(nodes, nodes))
    groups: IntArray = connected_components(links, directed=False)[1][:queries].astype(np.int64)
    for group in np.flatnonzero(np.bincount(groups) > largest):
        members = np.flatnonzero(groups == group)
        groups[members] = groups.max() + 1 + _divided(relevance[members], largest)
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _relevance(judged: JudgedQueries) -> csr_matrix:
    """Queries x judged documents, 1 where a grade is above 0."""
    pairs = [(query, row) for query, of in enumerate(judged.grades) for row, grade in of.items() if grade > 0]
    rows, columns = np.array(pairs, dtype=np.int64).T
    _, columns = np.unique(columns, return_inverse=True)
    return csr_matrix(
        (np.ones(len(rows)), (rows, columns)), shape=(len(judged), int(columns.max()) + 1), dtype=np.float64
    )


def _divided(relevance: csr_matrix, largest: int) -> IntArray:
    """Number of the part of each query of one group, no part with more than ``largest`` queries."""
    count = relevance.shape[0]
    if count > LARGEST_DIVIDED:
        return np.arange(count)
    common = (relevance @ relevance.T).toarray()
    sizes = common.diagonal()
    distance = 1 - common / (sizes[:, None] + sizes[None, :] - common)  # Jaccard's
    tree = linkage(distance[np.triu_indices(count, 1)], method="average")
    for parts in range(2, count):
        labels = fcluster(tree, parts, criterion="maxclust")
        if np.bincount(labels).max() <= largest:
            return labels.astype(np.int64)
    return np.arange(count)


def _dealt(groups: IntArray, parts: int, rng: np.random.Generator) -> IntArray:
    """Part of each query: groups in random order, the large ones first, each into the smallest part."""
    sizes = np.bincount(groups)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(min(parts, len(sizes)), dtype=np.int64)
    part_of_group = np.empty(len(sizes), dtype=np.int64)
    for group in order:
        part_of_group[group] = part = int(filled.argmin())
        filled[part] += sizes[group]
    part_of: IntArray = part_of_group[groups]
    return part_of


def _fold(
    judged: JudgedQueries, relevance: csr_matrix, held_out: np.ndarray, candidates: IntArray
) -> DocumentFold:
    hidden = np.asarray(relevance[held_out].sum(axis=0)).ravel() > 0
    kept = relevance[:, ~hidden]
    left = np.asarray(kept.sum(axis=1)).ravel()
    total = np.asarray(relevance.sum(axis=1)).ravel()
    seen = _seen(kept, candidates[(left == total)[candidates] & ~held_out[candidates]], held_out)
    fitted = ~held_out & (left > 0)
    fitted[seen] = False
    hidden_ids = {
        row: id_ for query in np.flatnonzero(held_out).tolist() for row, id_ in _relevant(judged, query)
    }
    return DocumentFold(
        fit=judged.subset(np.flatnonzero(fitted)).without(hidden_ids),
        new=judged.subset(np.flatnonzero(held_out)),
        seen=judged.subset(np.sort(seen)),
        unused=int((~held_out & (left == 0)).sum()),
        removed=int((total - left)[fitted].sum()),
    )


def _seen(kept: csr_matrix, candidates: IntArray, held_out: np.ndarray) -> IntArray:
    """Those candidates, taken one by one, whose documents stay relevant to a query that is fitted."""
    cover = np.asarray(kept[~held_out].sum(axis=0)).ravel()
    taken = []
    for query in candidates[: (len(candidates) + 1) // 2]:
        columns = kept.indices[kept.indptr[query] : kept.indptr[query + 1]]
        if (cover[columns] > 1).all():
            cover[columns] -= 1
            taken.append(query)
    return np.array(taken, dtype=np.int64)


def _relevant(judged: JudgedQueries, query: int) -> list[tuple[int, str]]:
    """Corpus row and id of each relevant document."""
    grades, ids = judged.grades[query], judged.qrels[judged.ids[query]]
    return [(row, id_) for (row, grade), id_ in zip(grades.items(), ids, strict=True) if grade > 0]
