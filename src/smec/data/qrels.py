"""Relevance judgements: BEIR's TSV and TREC's four columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from smec.data.readers import reading
from smec.errors import DataError

Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> corpus id -> grade, 0 or more."""

SUFFIXES = (".tsv", ".txt", ".qrels", ".trec")
HEADER = ["query-id", "corpus-id", "score"]


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read a BEIR TSV (with its header) or TREC qrels (``query 0 document grade``).

    Which of the two it is shows in the first line, whatever the suffix.

    Raises
    ------
    DataError
        Names the line: wrong number of columns, a grade that is no whole number of 0 or more,
        or one pair judged twice with different grades.
    """
    qrels: dict[str, dict[str, int]] = {}
    for line, query, document, grade in _judgements(path):
        if not grade.isdecimal():
            raise DataError(f"{path}: line {line}: grades must be whole numbers from 0 up, got {grade!r}")
        judged = qrels.setdefault(query, {})
        if judged.setdefault(document, int(grade)) != int(grade):
            raise DataError(
                f"{path}: line {line}: query {query!r} and document {document!r} are graded {grade}, "
                f"but {judged[document]} further up; keep one"
            )
    return qrels


def line_of(path: Path, id_: str, *, query: bool) -> int:
    """Return the number of the first line that names the query (or else the document) ``id_``."""
    return next(line for line, q, d, _ in _judgements(path) if id_ == (q if query else d))


def check_grades(qrels: Qrels, name: str) -> None:
    """Raise DataError unless every grade is a whole number from 0 up."""
    for query, judged in qrels.items():
        for document, grade in judged.items():
            if not isinstance(grade, int | np.integer) or grade < 0:
                raise DataError(
                    f"{name}: query {query!r}, document {document!r}: "
                    f"grades must be whole numbers from 0 up, got {grade!r}"
                )


def _judgements(path: Path) -> Iterator[tuple[int, str, str, str]]:
    with reading(path, "qrels"), path.open(encoding="utf-8-sig") as text:
        lines = ((number, line.rstrip("\n")) for number, line in enumerate(text, 1) if line.strip())
        number, first = next(lines, (0, ""))
        if not first:
            return
        if first.split("\t") == HEADER:
            for number, line in lines:
                yield number, *_beir(line, path, number)
            return
        yield number, *_trec(first, path, number)
        for number, line in lines:
            yield number, *_trec(line, path, number)


def _beir(line: str, path: Path, number: int) -> tuple[str, str, str]:
    fields = line.split("\t")
    if len(fields) != 3:
        raise DataError(
            f"{path}: line {number}: {len(fields)} columns, but query-id, corpus-id and score "
            "between tabs are expected"
        )
    return fields[0], fields[1], fields[2].strip()


def _trec(line: str, path: Path, number: int) -> tuple[str, str, str]:
    fields = line.split()
    if len(fields) != 4:
        raise DataError(
            f"{path}: line {number}: {len(fields)} columns, but TREC's four (query 0 document grade) are "
            "expected; BEIR's three need the header query-id, corpus-id, score between tabs"
        )
    return fields[0], fields[2], fields[3]
