"""Queries of one split with their judgements, read without the corpus."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from smec.data.dataset import Dataset
from smec.data.embeddings import Embeddings
from smec.data.folder import check_folder, find_qrels, find_queries
from smec.data.qrels import Qrels, check_grades, line_of, read_qrels
from smec.data.readers import read_vectors
from smec.errors import DataError


@dataclass(frozen=True)
class Judgements:
    """The relevant documents of each query of a split.

    Parameters
    ----------
    queries : Embeddings
        All queries of the dataset, judged or not.
    relevant : mapping
        Query id -> corpus id -> grade, grades above 0 alone. The corpus may lack some of these ids.
    """

    queries: Embeddings
    relevant: Qrels


def read_judgements(dataset: Dataset | str | os.PathLike[str], split: str) -> Judgements:
    """Read the judgements of a split; the corpus of a folder is not opened.

    Parameters
    ----------
    dataset : Dataset or path of a dataset folder
    split : str

    Raises
    ------
    DataError
        No queries, no such split, a grade that is no whole number from 0 up, a judged query without a
        vector, or no document graded above 0.
    """
    files: dict[str, Path] = {}
    if isinstance(dataset, Dataset):
        queries, splits, name = dataset.queries, dataset.qrels, dataset.name
    else:
        queries, splits, name, files = _read(Path(dataset), split)
    if split not in splits:
        known = ", ".join({**splits, **files}) or "none"
        raise DataError(f"{name}: has no qrels for split {split!r}; its splits: {known}")
    qrels, file = splits[split], files.get(split)
    if queries is None:
        raise DataError(f"{name}: split {split!r} judges queries, but their vectors are missing")
    where = name if file is None else str(file)
    check_grades(qrels, where)
    _check_queries(qrels, queries, where, file)
    relevant = {
        query: {document: grade for document, grade in judged.items() if grade > 0}
        for query, judged in qrels.items()
        if any(grade > 0 for grade in judged.values())
    }
    if not relevant:
        raise DataError(f"{where}: no query of split {split!r} has a document graded above 0")
    return Judgements(queries, relevant)


def _read(folder: Path, split: str) -> tuple[Embeddings | None, dict[str, Qrels], str, dict[str, Path]]:
    """Queries, the qrels of the split if there are any, the folder's name, and the file of every split."""
    check_folder(folder)
    queries, files = find_queries(folder), find_qrels(folder)
    qrels: dict[str, Qrels] = {split: read_qrels(files[split])} if split in files else {}
    return None if queries is None else read_vectors(queries), qrels, str(folder), files


def _check_queries(qrels: Qrels, queries: Embeddings, where: str, file: Path | None) -> None:
    unknown = [query for query in qrels if query not in queries.rows]
    if not unknown:
        return
    line = "" if file is None else f"line {line_of(file, unknown[0], query=True)}: "
    raise DataError(
        f"{where}: {line}query id {unknown[0]!r} is not in {queries.name} ({len(unknown)} such ids); "
        "add its vector or drop its judgements"
    )
