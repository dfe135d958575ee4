"""The gate's decisions, size by size, held against new documents.

One training gives two encoders, what ships and the same without the gate, so that a size that fell back can
be compared with what it fell back from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Laboratory
from benchmarks.markdown import points, signed, table
from benchmarks.methods import DEFAULT, NO_GATE, PCA
from benchmarks.paired import LEVEL, holm, p_below, standard_error
from benchmarks.plan import Plan
from benchmarks.query_sets import QuerySet, Run, datasets_of, members, runs

NAME = "gate_decisions"

Document = dict[str, Any]
Scores = NDArray[np.float64]

LABELS = (10, 30, 100, 300, None)
"""Train queries, of which a part is held out; None: all."""

WORTH = 0.02
"""Gain in nDCG@10 over PCA from which a size should ship."""

HEAD = ("labels", "decisions", "ship", "mean gain", "below PCA", "corrected", "worth it", "of these ship")

CANDIDATE = DEFAULT.as_variant(NO_GATE, "smec default, no gate")


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in datasets_of(plan):
            if seed == plan.seeds[0]:
                yield Cell(PCA, dataset)
            for labels in LABELS:
                yield Cell(DEFAULT, dataset, seed, labels)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """A decision per dataset or fold with new documents, number of labels, seed and size."""
    sets = [QuerySet(name, (name,), "new") for name in datasets_of(plan)]
    decisions = [
        decision
        for queries in sets
        if members(laboratory, queries)[0].any()
        for decision in _decisions(laboratory, queries, plan.seeds)
    ]
    for decision, adjusted in zip(decisions, holm([one["p_below"] for one in decisions]), strict=True):
        decision["p_below_holm"] = round(adjusted, 4)
    return {"decisions": decisions}


def _decisions(laboratory: Laboratory, queries: QuerySet, seeds: Sequence[int]) -> Iterator[Document]:
    found = runs(laboratory, PCA, queries, seeds)
    if not found:
        return
    judged = len(laboratory.dataset(queries.title).judged("train"))
    for labels in LABELS:
        if labels is not None and labels >= judged:
            continue  # the same as all of them
        shipped = runs(laboratory, DEFAULT, queries, seeds, labels=labels)
        candidates = runs(laboratory, CANDIDATE, queries, seeds, labels=labels)
        for pair in zip(shipped, candidates, strict=True):
            yield from _of_training(queries.title, labels, *pair, found[0].ndcg)


def _of_training(
    dataset: str, labels: int | None, shipped: Run, candidate: Run, pca: Scores
) -> Iterator[Document]:
    for place, dim in enumerate(shipped.dims):
        gains = shipped.ndcg[place] - pca[place]
        yield {
            "dataset": dataset,
            "labels": labels,
            "seed": shipped.seed,
            "dim": dim,
            "queries": len(gains),
            "shipped": shipped.folds[0].fallbacks.get(str(dim), "smec"),
            "gain": round(float(gains.mean()), 4),
            "error": round(standard_error(gains), 4),
            "p_below": round(p_below(shipped.ndcg[place], pca[place]), 4),
            "candidate_gain": round(float((candidate.ndcg[place] - pca[place]).mean()), 4),
        }


def section(document: Document) -> list[str]:
    """Lines of the page."""
    decisions = document["decisions"]
    if not decisions:
        return []
    by_labels = {labels: [one for one in decisions if one["labels"] == labels] for labels in LABELS}
    rows = [_counts("all" if n is None else str(n), some) for n, some in by_labels.items() if some]
    rows.append(_counts("together", decisions))
    seeds = len({one["seed"] for one in decisions})
    return [
        "## What the gate decides",
        "",
        f"{len(decisions)} decisions, each of one size in one training: of every dataset and fold with new",
        f"documents, with few labels and with all; seeds: {seeds}. A size *ships* if the gate lets smec's",
        "matrix through. *below PCA* counts shipped sizes that score below PCA on new test documents by more",
        "than the noise (one-sided paired t-test, p < .05): not corrected, then corrected after Holm for all",
        "decisions.",
        f"*worth it* counts sizes whose candidate gains {points(WORTH)} points or more over PCA on new test",
        "documents, and the last column how many of these ship.",
        "",
        *table(HEAD, rows),
        "",
    ]


def _counts(name: str, decisions: list[Document]) -> list[str]:
    ship = [one for one in decisions if one["shipped"] == "smec"]
    worth = [one for one in decisions if one["candidate_gain"] >= WORTH]
    shipped = sum(one["shipped"] == "smec" for one in worth)
    return [
        name,
        str(len(decisions)),
        str(len(ship)),
        signed(float(np.mean([one["gain"] for one in ship]))) if ship else "",
        str(sum(one["p_below"] < LEVEL for one in decisions)),
        str(sum(one["p_below_holm"] < LEVEL for one in decisions)),
        str(len(worth)),
        f"{100 * shipped / len(worth):.0f} %" if worth else "",
    ]
