"""Test queries that a table is about: those of a dataset or of its folds, for new documents or for seen ones.

A query asks for new documents if none of its relevant documents is relevant to a train query, and for seen
ones if all are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Laboratory
from benchmarks.coded_methods import CodedRival, CodedSmec
from benchmarks.figures import Figures, full_size
from benchmarks.methods import Method
from benchmarks.parts import fold_names
from benchmarks.plan import SPLIT_BY, Plan
from smec.evaluation import new_and_seen

Kind = Literal["new", "seen", "test"]

KINDS: dict[Kind, str] = {"new": "new documents", "seen": "seen documents", "test": "official test split"}
"""Kind of test queries -> what tables call it."""


@dataclass(frozen=True)
class QuerySet:
    """Test queries that are scored together.

    Attributes
    ----------
    title : str
        What tables call the dataset.
    datasets : tuple of str
        Dataset that methods are fitted to, or its folds, each with test queries of its own.
    kind : {"new", "seen", "test"}
        Which of the test queries; "test": all.
    """

    title: str
    datasets: tuple[str, ...]
    kind: Kind


@dataclass(frozen=True)
class Run:
    """What a method with one seed scored on a query set; the folds' queries stand side by side.

    Attributes
    ----------
    seed : int
    folds : tuple of Figures
        One for each dataset of the query set, of its queries alone.
    """

    seed: int
    folds: tuple[Figures, ...]

    @property
    def dims(self) -> tuple[int, ...]:
        """Sizes, descending."""
        return self.folds[0].dims

    @property
    def ndcg(self) -> NDArray[np.float64]:
        """nDCG@10 per size and query, shape (sizes, queries)."""
        return np.concatenate([fold.ndcg for fold in self.folds], axis=1)

    @property
    def fell_back(self) -> NDArray[np.float64]:
        """Share of the folds in which the gate shipped something else, per size."""
        share: NDArray[np.float64] = np.mean(
            [[str(dim) in fold.fallbacks for dim in fold.dims] for fold in self.folds], axis=0
        )
        return share


def query_sets(laboratory: Laboratory, plan: Plan) -> list[QuerySet]:
    """All that the main tables are about: new documents first, then seen ones, then the official splits."""
    of_datasets = {kind: [QuerySet(name, (name,), kind) for name in plan.datasets] for kind in KINDS}
    again = [QuerySet(f"{name} split by {SPLIT_BY[name]}", fold_names(name), "new") for name in plan.resplit]
    found = [*of_datasets["new"], *again, *of_datasets["seen"], *of_datasets["test"]]
    return [one for one in found if is_own(laboratory, one)]


def is_own(laboratory: Laboratory, queries: QuerySet) -> bool:
    """Whether a set has queries, and is not the set of new documents, or of seen ones, once more."""
    if queries.kind != "test":
        return any(of.any() for of in members(laboratory, queries))
    others = (replace(queries, kind=kind) for kind in KINDS if kind != "test")
    return not any(of.all() for other in others for of in members(laboratory, other))


def new_sets(laboratory: Laboratory, plan: Plan) -> list[QuerySet]:
    """Queries for new documents of the datasets and first folds that an experiment scores these on alone."""
    sets = [QuerySet(name, (name,), "new") for name in plan.new]
    return [one for one in sets if any(of.any() for of in members(laboratory, one))]


def members(laboratory: Laboratory, queries: QuerySet) -> list[NDArray[np.bool_]]:
    """For each dataset of the set, which of its test queries belong to it."""
    return [_members(laboratory, name, queries.kind) for name in queries.datasets]


def _members(laboratory: Laboratory, name: str, kind: Kind) -> NDArray[np.bool_]:
    dataset = laboratory.dataset(name)
    judged = dataset.judged("test")
    if kind == "test":
        return np.ones(len(judged), dtype=np.bool_)
    groups = new_and_seen(judged, dataset.qrels["train"])
    return groups.new if kind == "new" else groups.seen


def runs(
    laboratory: Laboratory,
    method: Method | CodedSmec | CodedRival,
    queries: QuerySet,
    seeds: Sequence[int],
    **rest: Any,
) -> list[Run]:
    """Runs of the seeds that are finished on every dataset of the set; ``rest`` as in `Cell`."""
    of_dataset = [laboratory.finished_by_seed(method, name, seeds, **rest) for name in queries.datasets]
    belong = members(laboratory, queries)
    return [
        Run(seed, tuple(by_seed[seed].of_queries(of) for by_seed, of in zip(of_dataset, belong, strict=True)))
        for seed in of_dataset[0]
        if all(seed in by_seed for by_seed in of_dataset)
    ]


def full_scores(laboratory: Laboratory, queries: QuerySet) -> NDArray[np.float64]:
    """nDCG@10 of every query of the set with the full vectors."""
    belong = members(laboratory, queries)
    pairs = zip(queries.datasets, belong, strict=True)
    return np.concatenate([full_size(laboratory.dataset(name))[of] for name, of in pairs])


def datasets_of(plan: Plan) -> Iterator[str]:
    """Every dataset and fold that the main tables need methods to be fitted to."""
    yield from plan.datasets
    for name in plan.resplit:
        yield from fold_names(name)
