"""Continuation: the smallest size added later by `smec.extend`, against all sizes trained in one go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.cells import Cell, Laboratory, mean_over_seeds
from benchmarks.markdown import points, table
from benchmarks.methods import DEFAULT, Method
from benchmarks.plan import Plan
from smec.evaluation import bootstrap_interval, paired_p_value

NAME = "continuation"

Document = dict[str, Any]

EXTENDED = Method("smec extended", preset="default", extended=True)
PCA = Method("pca", supervised=False, learned=False)
METHODS = {"in one go": DEFAULT, "added by extend": EXTENDED, "pca": PCA}


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in plan.datasets:
            for method in METHODS.values():
                if method.learned or seed == 0:
                    yield Cell(method, dataset, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """NDCG@10 of the smallest size, both ways."""
    rows = []
    for dataset in plan.datasets:
        runs = {name: laboratory.finished(method, dataset, plan.seeds) for name, method in METHODS.items()}
        if not all(runs.values()):
            continue
        smallest = {name: mean_over_seeds(of)[-1] for name, of in runs.items()}
        rows.append(
            {
                "dataset": dataset,
                "dim": runs["pca"][0].dims[-1],
                "seeds": len(runs["added by extend"]),
                "ndcg": {name: round(float(values.mean()), 4) for name, values in smallest.items()},
                "ci": {
                    name: [round(end, 4) for end in bootstrap_interval(values)]
                    for name, values in smallest.items()
                },
                "p": round(paired_p_value(smallest["in one go"], smallest["added by extend"]), 4),
            }
        )
    return {"rows": rows}


def section(document: Document) -> list[str]:
    """Lines of the page."""
    rows = [
        [
            row["dataset"],
            str(row["dim"]),
            *[
                f"{points(row['ndcg'][name])} ({points(row['ci'][name][0])} to {points(row['ci'][name][1])})"
                for name in METHODS
            ],
            f"{row['p']:.3f}",
            str(row["seeds"]),
        ]
        for row in document["rows"]
    ]
    return [
        "## A size added later",
        "",
        "D/32 added by `smec extend` as a head on the stored D/16 vectors, against all sizes in one go.",
        "*p* is that of the two being equal.",
        "",
        *table(["dataset", "size", *METHODS, "p", "seeds"], rows),
        "",
    ]
