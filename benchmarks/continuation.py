"""Continuation: the smallest size added later by `smec.extend`, against all sizes trained in one go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import mean_over_seeds
from benchmarks.markdown import points, table
from benchmarks.methods import DEFAULT, PCA, Method
from benchmarks.plan import Plan
from benchmarks.query_sets import new_sets, runs
from smec.evaluation import bootstrap_interval, paired_p_value

NAME = "continuation"

Document = dict[str, Any]

EXTENDED = Method("smec extended", preset="default", extended=True)
METHODS = {"in one go": DEFAULT, "added by extend": EXTENDED, "pca": PCA}


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in plan.new:
            for method in METHODS.values():
                if method.learned or seed == 0:
                    yield Cell(method, dataset, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """NDCG@10 of the smallest size, both ways."""
    rows = []
    for queries in new_sets(laboratory, plan):
        found = {name: runs(laboratory, method, queries, plan.seeds) for name, method in METHODS.items()}
        if not all(found.values()):
            continue
        smallest = {name: mean_over_seeds(of)[-1] for name, of in found.items()}
        rows.append(
            {
                "dataset": queries.title,
                "dim": found["pca"][0].dims[-1],
                "seeds": len(found["added by extend"]),
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
    if not document["rows"]:
        return []
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
        "*p* is that of the two being equal. New documents; `@0` is the first fold of a dataset that is",
        "split again.",
        "",
        *table(["dataset", "size", *METHODS, "p", "seeds"], rows),
        "",
    ]
