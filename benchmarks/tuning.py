"""How the rivals were tuned: a few settings each, compared on train queries that were left out.

A fifth of the train queries, split off by document, stands for the test split, which is not touched. What
scores highest over all queries of the datasets became the default of the baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.cells import Cell, Laboratory
from benchmarks.cross_validation import SETTINGS
from benchmarks.markdown import points, table
from benchmarks.methods import Method
from benchmarks.parts import parted
from benchmarks.plan import Plan

NAME = "tuning"

Document = dict[str, Any]

DATASETS = ("scifact-mpnet", "cranfield-mpnet", "xquad-e5")
"""Many labels, few of them, and several languages."""

RATES: tuple[dict[str, Any], ...] = tuple({"learning_rate": rate} for rate in (1e-4, 3e-4, 1e-3, 3e-3))
OTHERS: tuple[dict[str, Any], ...] = ({"steps": 200}, {"hard_negatives": 8})
"""Few steps, whose learning rate falls early, and near documents: what smec's own training has."""

BASE: dict[str, Any] = {"learning_rate": 1e-3, "hard_negatives": 0}
BASES: dict[str, dict[str, Any]] = {"mrl": {**BASE, "learning_rate": 3e-3}}
"""Settings that each line of a grid changes, `BASE` where none are named: not the baseline's own, which are
what was chosen."""

GRIDS: dict[str, tuple[dict[str, Any], ...]] = {
    "matryoshka-adaptor": (
        {"temperature": 1.0, "start": "identity"},
        {"temperature": 0.2, "start": "identity"},
        *RATES[:3],
        *OTHERS,
    ),
    "search-adaptor": ({"temperature": 1.0, "start": "identity"}, *RATES[:3], *OTHERS),
    "mrl": (*RATES, *OTHERS),
    "chain": (*RATES, *OTHERS),
    "adawidth": (*RATES, {"learning_rate": 1e-2}, *OTHERS),
    "dive": (*RATES, *OTHERS),
    "query-adapter": (*RATES, *OTHERS),
}
"""Baseline -> settings that were tried; "mrl-weighted" has those of "mrl"."""


def tried(name: str, settings: dict[str, Any]) -> Method:
    """The baseline with these settings."""
    return Method(name, overlay={**BASES.get(name, BASE), **settings})


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run, with the first seed."""
    for dataset in DATASETS:
        for name, grid in GRIDS.items():
            for settings in grid:
                yield Cell(tried(name, settings), dataset, plan.seeds[0], tuning=True)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Mean nDCG@10 over the sizes per setting and dataset."""
    rivals = []
    for name, grid in GRIDS.items():
        rows = []
        for settings in grid:
            method = tried(name, settings)
            runs = [laboratory.finished(method, data, plan.seeds[:1], tuning=True) for data in DATASETS]
            if all(runs):
                rows.append(
                    {"settings": settings, "ndcg": [round(float(of[0].ndcg.mean()), 4) for of in runs]}
                )
        rivals.append({"method": name, "rows": rows})
    counts = [len(parted(laboratory.dataset(name)).qrels["test"]) for name in DATASETS]
    return {
        "datasets": list(DATASETS),
        "queries": counts,
        "rivals": rivals,
        "tried": {name: len(grid) for name, grid in GRIDS.items()},
        "tried_for_default": len(SETTINGS),
    }


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not any(rival["rows"] for rival in document["rivals"]):
        return []

    def pooled(row: Document) -> float:
        weighted = zip(row["ndcg"], document["queries"], strict=True)
        return float(sum(value * count for value, count in weighted) / sum(document["queries"]))

    rows = [
        [
            rival["method"],
            ", ".join(f"{name} {value}" for name, value in row["settings"].items()),
            *map(points, row["ndcg"]),
            points(pooled(row)) + (" chosen" if row is max(rival["rows"], key=pooled) else ""),
        ]
        for rival in document["rivals"]
        for row in rival["rows"]
    ]
    tried = ", ".join(f"{name} {count}" for name, count in document["tried"].items())
    return [
        "## How the rivals were tuned",
        "",
        "nDCG@10 times 100, mean over the sizes, on a fifth of the train queries, which was split off by",
        "document for this. The rest of the settings are the papers' own, or are in the baseline's file.",
        f"Settings tried: {tried}; smec default: at least {document['tried_for_default']}.",
        "",
        *table(["method", "settings", *document["datasets"], "all queries"], rows),
        "",
    ]
