"""The two ratios of "free of loss": to the untrained full vectors, and to our own trained full size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import mean_over_seeds
from benchmarks.markdown import points, table
from benchmarks.methods import DEFAULT, Method
from benchmarks.plan import Plan
from benchmarks.query_sets import full_scores, new_sets, runs
from smec.evaluation import bootstrap_interval

NAME = "lossless"

Document = dict[str, Any]
Scores = NDArray[np.float64]

FULL = Method("smec default, full size", preset="default", full=True, overlay={"validation": {"gate": False}})


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in plan.new:
            yield Cell(DEFAULT, dataset, seed)
            yield Cell(FULL, dataset, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Per dataset and size: the share kept of either full size."""
    rows = []
    for queries in new_sets(laboratory, plan):
        small = runs(laboratory, DEFAULT, queries, plan.seeds)
        trained = runs(laboratory, FULL, queries, plan.seeds)
        if not small or not trained:
            continue
        references = {
            "untrained": full_scores(laboratory, queries),
            "trained": mean_over_seeds(trained)[0],
        }
        rows.append(
            {
                "dataset": queries.title,
                "dims": list(small[0].dims),
                "seeds": min(len(small), len(trained)),
                "full": {name: round(float(values.mean()), 4) for name, values in references.items()},
                "kept": {
                    name: [_kept(values, reference) for values in mean_over_seeds(small)]
                    for name, reference in references.items()
                },
            }
        )
    return {"rows": rows}


def _kept(values: Scores, reference: Scores) -> list[float]:
    """Ratio of the means, and the interval that the paired differences give it."""
    whole = float(reference.mean())
    low, high = bootstrap_interval(values - reference)
    return [round(float(values.mean()) / whole, 4), round(1 + low / whole, 4), round(1 + high / whole, 4)]


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not document["rows"]:
        return []
    lines = [
        "## What is kept",
        "",
        "On new documents; `@0` is the first fold of a dataset that is split again.",
        "A small size can score above the full vectors because it was trained, not for nothing lost.",
        '"Free of loss" therefore has two ratios, in percent with the 95 % interval of the paired gap:',
        "to the vectors as they came, and to the same vectors after our own training at full size.",
        "",
    ]
    for row in document["rows"]:
        body = [
            [
                f"{name} full size ({points(row['full'][name])})",
                *[f"{points(v)}<br>{points(low)} to {points(high)}" for v, low, high in kept],
            ]
            for name, kept in row["kept"].items()
        ]
        lines += [
            f"### {row['dataset']}, seeds: {row['seeds']}",
            "",
            *table(["of the", *map(str, row["dims"])], body),
            "",
        ]
    return lines
