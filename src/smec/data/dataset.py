"""A corpus with its queries and judgements, and the judged queries of one split."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from smec.data.embeddings import Embeddings, numbered
from smec.data.fingerprint import embeddings_sha256, qrels_sha256
from smec.data.folder import SENTENCES, check_folder, find_corpus, find_qrels, find_queries
from smec.data.moments import Moments, OnRows, moments_of
from smec.data.qrels import Qrels, check_grades, line_of, read_qrels
from smec.data.query_log import QueryLog, drawn_log, read_log
from smec.data.readers import read_vectors
from smec.errors import DataError
from smec.vectors import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class JudgedQueries:
    """The queries of a split that have at least one relevant document.

    Parameters
    ----------
    ids : tuple of q str
        In the order of the dataset's queries.
    vectors : ndarray of shape (q, D)
        A copy of their rows.
    grades : tuple of q dict
        Corpus row -> grade, grades of 0 included.
    qrels : mapping
        The same by id, query id -> corpus id -> grade, as ir-measures takes it.
    """

    ids: tuple[str, ...]
    vectors: FloatArray
    grades: tuple[dict[int, int], ...]
    qrels: Qrels

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, rows: IntArray) -> JudgedQueries:
        """Return the queries at these rows, in this order."""
        ids = tuple(self.ids[row] for row in rows)
        return JudgedQueries(
            ids=ids,
            vectors=self.vectors[rows],
            grades=tuple(self.grades[row] for row in rows),
            qrels={id_: self.qrels[id_] for id_ in ids},
        )

    def joined(self, others: JudgedQueries) -> JudgedQueries:
        """Return these queries, then the others; what is in both has the same judgements."""
        return JudgedQueries(
            ids=self.ids + others.ids,
            vectors=np.concatenate([self.vectors, others.vectors]),
            grades=self.grades + others.grades,
            qrels={**self.qrels, **others.qrels},
        )

    def without(self, documents: Mapping[int, str]) -> JudgedQueries:
        """Return the queries without their judgements of these documents, corpus row -> id."""
        ids = set(documents.values())
        return JudgedQueries(
            ids=self.ids,
            vectors=self.vectors,
            grades=tuple(
                {row: grade for row, grade in of.items() if row not in documents} for of in self.grades
            ),
            qrels={
                query: {
                    document: grade for document, grade in self.qrels[query].items() if document not in ids
                }
                for query in self.ids
            },
        )


@dataclass(frozen=True)
class Whole:
    """What is known of a corpus of which only a sample is at hand."""

    moments: Moments
    sha256: str


class Dataset:
    """A corpus, and where there are any its queries and the judgements of each split.

    Parameters
    ----------
    corpus : Embeddings or ndarray of shape (n, D)
        For a bare array the ids are the row numbers, "0", "1", ...
    queries : Embeddings or ndarray of shape (q, D), optional
        Of the corpus' width.
    qrels : mapping of str to Qrels, optional
        Split -> query id -> corpus id -> grade. Splits are checked when they are asked for.
    name : str
        What tables and messages call it.
    qrels_files : mapping of str to Path, optional
        The file that a split was read from, for messages.
    whole : Whole, optional
        Of the corpus that ``corpus`` is only a sample of; see `smec.data.sample.open_sample`.
    log : QueryLog, Embeddings or ndarray of shape (l, D), optional
        Queries that nobody judged, beside those of ``queries``; different ones are drawn from it.
    reserved : collection of str
        Ids of queries that other splits judge, where ``qrels`` does not hold these splits.
    reading : callable, optional
        Called with (rows read, rows in all) while the corpus is read for its `moments`.

    Raises
    ------
    DataError
        Unusable vectors or ids, or queries of another width than the corpus.
    """

    def __init__(
        self,
        corpus: Embeddings | FloatArray,
        queries: Embeddings | FloatArray | None = None,
        qrels: Mapping[str, Qrels] | None = None,
        name: str = "dataset",
        *,
        qrels_files: Mapping[str, Path] | None = None,
        whole: Whole | None = None,
        log: QueryLog | Embeddings | FloatArray | None = None,
        reserved: Collection[str] = (),
        reading: OnRows | None = None,
    ) -> None:
        self.name = name
        self._reading = reading
        self._whole = whole
        self._reserved = frozenset(reserved)
        self.log = log if log is None or isinstance(log, QueryLog) else drawn_log(log)
        self.corpus = corpus if isinstance(corpus, Embeddings) else numbered(corpus, "corpus")
        self.queries = (
            queries if queries is None or isinstance(queries, Embeddings) else numbered(queries, "queries")
        )
        self.qrels: dict[str, Qrels] = dict(qrels or {})
        self._qrels_files = dict(qrels_files or {})
        for what, asked in (("queries have", self.queries), ("the log of queries has", self.log)):
            if asked is not None and asked.dim != self.dim:
                where = asked.name if asked is self.log else name
                raise DataError(
                    f"{where}: {what} {asked.dim} dims, but the corpus {self.dim}; "
                    "embed both with the same model"
                )

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        log: str | os.PathLike[str] | None = None,
        reading: OnRows | None = None,
    ) -> Dataset:
        """Open a dataset folder: ``corpus.*``, ``queries.*`` and ``qrels/*``, the last two optional.

        ``log`` is a file, or a folder of shards, of further queries that nobody judged. ``reading`` is called with
        (rows read, rows in all) while the corpus is read for its `moments`.

        Raises
        ------
        DataError
            No folder or no corpus there, two files for one thing, or a file that cannot be used.
        """
        folder = Path(path)
        check_folder(folder)
        corpus, queries, files = find_corpus(folder), find_queries(folder), find_qrels(folder)
        return cls(
            corpus=read_vectors(corpus),
            queries=None if queries is None else read_vectors(queries),
            qrels={split: read_qrels(file) for split, file in files.items()},
            name=folder.resolve().name,
            qrels_files=files,
            log=None if log is None else read_log(Path(log)),
            reading=reading,
        )

    @property
    def dim(self) -> int:
        """D, the width of the embeddings."""
        return self.corpus.dim

    @cached_property
    def moments(self) -> Moments:
        """Of all rows of the corpus, read block by block when first asked for."""
        return self._whole.moments if self._whole else moments_of(self.corpus.vectors, self._reading)

    @property
    def all_documents(self) -> int:
        """Documents of the corpus, of which ``corpus`` holds a sample or all."""
        return self._whole.moments.rows if self._whole else len(self.corpus)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits of judgements, so without that of sentences."""
        return tuple(split for split in self.qrels if split != SENTENCES)

    def sentences(self) -> JudgedQueries | None:
        """Return the sentences of documents, each with its own one as relevant; None where there are none.

        Raises
        ------
        DataError
            As for `judged`.
        """
        return self.judged(SENTENCES) if SENTENCES in self.qrels else None

    def judged(self, split: str) -> JudgedQueries:
        """Return the judged queries of a split.

        A query without a grade above 0 is left out, as it cannot be scored; trec_eval's
        averages leave it out too.

        Raises
        ------
        DataError
            There is no such split, it judges nothing as relevant, a grade is no whole number
            from 0 up, or it names ids that the queries or the corpus do not have.
        """
        qrels, queries = self._split(split), self._judgeable(split)
        name = self._qrels_name(split)
        check_grades(qrels, name)
        self._check_known(split, list(qrels), queries, query=True)
        self._check_known(split, [d for judged in qrels.values() for d in judged], self.corpus, query=False)
        kept = sorted(
            queries.rows[query] for query, judged in qrels.items() if max(judged.values(), default=0) > 0
        )
        if not kept:
            raise DataError(f"{name}: no query of split {split!r} has a document graded above 0")
        ids = tuple(queries.ids[row] for row in kept)
        rows = self.corpus.rows
        return JudgedQueries(
            ids=ids,
            vectors=np.asarray(queries.vectors[kept]),
            grades=tuple({rows[d]: int(grade) for d, grade in qrels[query].items()} for query in ids),
            qrels={query: qrels[query] for query in ids},
        )

    def unjudged(self, split: str, *, judged: bool = True) -> IntArray:
        """Return the queries that a training for ``split`` may learn from without judgements.

        Those that no other split names and, with ``judged``, for which ``split`` has no relevant document.

        Parameters
        ----------
        split : str
        judged : bool
            Whether the judgements of ``split`` are used too; False: its queries are among those returned.

        Returns
        -------
        ndarray of shape (u,), int64
            Rows of ``queries``, ascending.
        """
        taken = set(self._reserved)
        taken |= {query for name, qrels in self.qrels.items() if name != split for query in qrels}
        if judged:
            taken |= {q for q, of in self.qrels.get(split, {}).items() if max(of.values(), default=0) > 0}
        ids = () if self.queries is None else self.queries.ids
        return np.array([row for row, id_ in enumerate(ids) if id_ not in taken], dtype=np.int64)

    def fingerprint(self, split: str | None = None) -> dict[str, str]:
        """SHA-256 of "corpus", "queries" and "sentences" (if any) and, for a given split, "qrels".

        The same ids, vectors and judgements give the same hashes from every file format.

        Raises
        ------
        DataError
            There is no such split.
        """
        hashes = {"corpus": self._whole.sha256 if self._whole else embeddings_sha256(self.corpus)}
        if self.queries is not None:
            hashes["queries"] = embeddings_sha256(self.queries)
        if self.log is not None:
            hashes["log"] = self.log.sha256
        if split is not None:
            hashes["qrels"] = qrels_sha256(self._split(split))
        if SENTENCES in self.qrels:
            hashes["sentences"] = qrels_sha256(self.qrels[SENTENCES])
        return hashes

    def _split(self, split: str) -> Qrels:
        if split not in self.qrels:
            known = ", ".join(self.splits) or "none"
            raise DataError(f"{self.name}: has no qrels for split {split!r}; its splits: {known}")
        if not self.qrels[split]:
            raise DataError(f"{self._qrels_name(split)}: split {split!r} is empty")
        return self.qrels[split]

    def _judgeable(self, split: str) -> Embeddings:
        if self.queries is None:
            raise DataError(f"{self.name}: split {split!r} judges queries, but their vectors are missing")
        return self.queries

    def _qrels_name(self, split: str) -> str:
        return str(self._qrels_files.get(split, f"{self.name}: qrels"))

    def _check_known(self, split: str, ids: list[str], known: Embeddings, *, query: bool) -> None:
        unknown = list(dict.fromkeys(id_ for id_ in ids if id_ not in known.rows))
        if not unknown:
            return
        file = self._qrels_files.get(split)
        line = "" if file is None else f"line {line_of(file, unknown[0], query=query)}: "
        raise DataError(
            f"{self._qrels_name(split)}: {line}{'query' if query else 'corpus'} id {unknown[0]!r} "
            f"of split {split!r} is not in {known.name} ({len(unknown)} such ids); "
            "add its vector or drop its judgements"
        )
