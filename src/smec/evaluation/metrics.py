"""The field's retrieval measures, computed by ir-measures (trec_eval's code)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.data import JudgedQueries, Qrels
from smec.errors import ConfigError, MissingExtraError
from smec.evaluation.search import trec_tie_order
from smec.vectors import Float32Array, IntArray, row_blocks

QUERY_ROWS = 1024
"""Queries scored together: 1,000 documents deep, about 100 MB of dictionaries."""

Run = Mapping[str, Mapping[str, float]]
"""Query id -> corpus id -> score."""


class Scorer:
    """Scores rankings of one set of judged queries; the judgements are prepared once.

    Parameters
    ----------
    judged : JudgedQueries
        q of them; the same one may come twice, as one that two folds hold out.
    corpus_ids : sequence of n str
        Id of every corpus row.
    measures : sequence of str
        Names of ir-measures: "nDCG@10" (gains are linear, as in trec_eval), "R@100", "RR@10", "AP".

    Raises
    ------
    ConfigError
        ir-measures has no such measure.
    MissingExtraError
        ir-measures is not installed.
    """

    def __init__(
        self, judged: JudgedQueries, corpus_ids: Sequence[str], measures: Sequence[str] = ("nDCG@10",)
    ) -> None:
        self._query_ids = judged.ids
        self._corpus_ids = np.array(corpus_ids, dtype=object)
        self._tie_order = trec_tie_order(corpus_ids)
        self._measures = [_Measure(name, judged.qrels) for name in measures]

    def __call__(self, rows: IntArray, scores: Float32Array) -> dict[str, NDArray[np.float64]]:
        """Score what was retrieved for each query.

        Parameters
        ----------
        rows : ndarray of shape (q, k), int64
            Corpus rows, in any order.
        scores : ndarray of shape (q, k), float32
            Equal ones rank by corpus id descending, as in trec_eval.

        Returns
        -------
        dict of str to ndarray of shape (q,), float64
            By the measures' names, in the order of the queries.
        """
        order = np.lexsort((self._tie_order[rows], -scores), axis=1)
        rankings = self._corpus_ids[np.take_along_axis(rows, order, axis=1)].tolist()
        return _per_query(self._measures, dict(zip(self._query_ids, rankings, strict=True)), self._query_ids)


def per_query(qrels: Qrels, run: Run, measures: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Score a run given by ids.

    Parameters
    ----------
    qrels : mapping
        Query id -> corpus id -> grade.
    run : mapping
        Query id -> corpus id -> score; a query without an entry scores 0.
    measures : sequence of str
        Names of ir-measures.

    Returns
    -------
    dict of str to ndarray of shape (q,), float64
        By the measures' names, in the order of the queries in ``qrels``.

    Raises
    ------
    ConfigError
        ir-measures has no such measure.
    MissingExtraError
        ir-measures is not installed.
    """
    scorers = [_Measure(name, qrels) for name in measures]
    return _per_query(scorers, {query: _ranking(run.get(query, {})) for query in qrels}, list(qrels))


class _Measure:
    """One measure over prepared judgements."""

    def __init__(self, name: str, qrels: Qrels) -> None:
        self.name = name
        self.cutoff = _parse(name).params.get("cutoff")
        plain = {query: {id_: int(grade) for id_, grade in judged.items()} for query, judged in qrels.items()}
        try:
            self._evaluator = _ir_measures().evaluator([_parse(name)], plain)
        except (ValueError, AssertionError) as error:  # how ir-measures refuses a measure's parameters
            raise _unknown(name) from error

    def __call__(self, rankings: Mapping[str, list[str]]) -> dict[str, float]:
        # Providers break ties differently: trec_eval by id descending, MS MARCO's RR@k by id
        # ascending. Ranks as scores leave them no ties. Cut here, RR@10 costs 10 documents.
        descending = [float(-rank) for rank in range(max(map(len, rankings.values()), default=0))]
        queries = list(rankings)
        values: dict[str, float] = {}
        for part in row_blocks(len(queries), QUERY_ROWS):
            run = {
                query: dict(zip(rankings[query][: self.cutoff], descending, strict=False))
                for query in queries[part]
            }
            # The evaluator also gives a zero to every judged query that the run lacks.
            values.update((m.query_id, m.value) for m in self._evaluator.iter_calc(run) if m.query_id in run)
        return values


def _per_query(
    measures: Sequence[_Measure], rankings: Mapping[str, list[str]], queries: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    values: dict[str, NDArray[np.float64]] = {}
    for measure in measures:
        of_query = measure(rankings)
        values[measure.name] = np.array([of_query[query] for query in queries], dtype=np.float64)
    return values


def _ranking(retrieved: Mapping[str, float]) -> list[str]:
    return [id_ for _, id_ in sorted(((score, id_) for id_, score in retrieved.items()), reverse=True)]


def _parse(name: str) -> Any:
    # Not ir_measures.parse_measure: it uses ast.Num, deprecated in Python 3.12 and gone in 3.14.
    known = _ir_measures().measures.registry
    base, at, cutoff = name.partition("@")
    if base not in known or (at and not cutoff.isdecimal()):
        raise _unknown(name)
    return known[base] @ int(cutoff) if at else known[base]


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"measure {name!r} cannot be computed; use the likes of nDCG@10, R@100, RR@10, AP")


def _ir_measures() -> Any:
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtraError("ir_measures", "eval", "evaluation") from error
    return ir_measures
