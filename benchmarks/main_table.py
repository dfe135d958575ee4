"""The main table: every method on every dataset at every size, on the test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Figures, Laboratory, full_size, mean_over_seeds
from benchmarks.markdown import points, table
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, SUPERVISED, UNSUPERVISED
from benchmarks.plan import Plan
from benchmarks.plots import draw_lines
from smec.evaluation import bootstrap_interval, paired_p_value

NAME = "main"

Document = dict[str, Any]

LEVEL = 0.05
"""Of the paired test that a difference from `default` has to pass to be marked."""


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in plan.datasets:
            for method in (*UNSUPERVISED, *SUPERVISED):
                if method.learned or seed == 0:
                    yield Cell(method, dataset, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Means over seeds, their spread, intervals over queries and paired tests against ``default``."""
    tables = []
    for dataset in plan.datasets:
        full = full_size(laboratory.dataset(dataset))
        for supervised, methods, reference in (
            (True, SUPERVISED, DEFAULT),
            (False, UNSUPERVISED, DEFAULT_UNSUPERVISED),
        ):
            of_method = {method: laboratory.finished(method, dataset, plan.seeds) for method in methods}
            default = mean_over_seeds(of_method[reference])
            tables.append(
                {
                    "dataset": dataset,
                    "supervised": supervised,
                    "queries": len(full),
                    "dims": list(of_method[reference][0].dims),
                    "full": round(float(full.mean()), 4),
                    "full_ci": _rounded(np.array(bootstrap_interval(full))),
                    "methods": [
                        _row(method.name, runs, default if method != reference else None)
                        for method, runs in of_method.items()
                        if runs
                    ],
                }
            )
    return {"tables": tables}


def _row(name: str, runs: Sequence[Figures], default: NDArray[np.float64] | None) -> Document:
    by_seed = np.array([run.ndcg.mean(axis=1) for run in runs])
    per_query = mean_over_seeds(runs)
    row: Document = {
        "method": name,
        "seeds": len(runs),
        "ndcg": _rounded(by_seed.mean(axis=0)),
        "spread": _rounded(by_seed.std(axis=0, ddof=1)) if len(runs) > 1 else None,
        "ci": [_rounded(np.array(bootstrap_interval(values))) for values in per_query],
        "fallbacks": _rounded(np.mean([[str(d) in run.fallbacks for d in run.dims] for run in runs], axis=0)),
        "fit_seconds": round(float(np.median([run.fit_seconds for run in runs])), 1),
        "encode_seconds": round(float(np.median([run.encode_seconds for run in runs])), 3),
    }
    if default is not None:
        pairs = zip(default, per_query, strict=True)
        row["p_against_default"] = [round(paired_p_value(ours, theirs), 4) for ours, theirs in pairs]
    return row


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in values]


INTRODUCTION = """## Main table

A figure is the mean over seeds; ± is the standard deviation over them. The line below is the 95 %
bootstrap interval over the queries. **Bold** is the best of a size. `*` marks what differs from
`smec default` at p < .05 (paired permutation test over the queries, of the mean over seeds; not corrected
for the number of comparisons). None but smec has a gate: *gate 100 %* says that all seeds shipped PCA or
truncation there. *fit* and *encode* are seconds of one thread on a busy machine: compare them roughly.
PCA is fitted on the corpus of the dataset, on unit-length rows, uncentred (as cosine sees them);
`pca-centred` is the textbook's. LeanVec sees the vectors of the train queries, but no judgements.
"""


def section(document: Document) -> list[str]:
    """Lines of the page."""
    return [*INTRODUCTION.splitlines(), "", *(line for part in document["tables"] for line in _table(part))]


def _file(part: Document) -> str:
    return f"{part['dataset']}-{'labels' if part['supervised'] else 'no-labels'}.svg"


def _table(part: Document) -> list[str]:
    title = f"{part['dataset']}, {'with' if part['supervised'] else 'without'} labels"
    full, (low, high) = part["full"], part["full_ci"]
    best = [max(row["ndcg"][place] for row in part["methods"]) for place in range(len(part["dims"]))]
    return [
        f"### {title}",
        "",
        f"{part['queries']} test queries; the full vectors score {points(full)} "
        f"({points(low)} to {points(high)}).",
        "",
        f"![nDCG@10 against dims, {title}](benchmarks/{_file(part)})",
        "",
        *table(
            ["method", *map(str, part["dims"]), "seeds", "fit", "encode"],
            (_line(row, best) for row in part["methods"]),
        ),
        "",
    ]


def _line(row: Document, best: list[float]) -> list[str]:
    figures = [_figure(row, place, best[place]) for place in range(len(best))]
    fit, encode = f"{row['fit_seconds']:.0f}", f"{row['encode_seconds']:.2f}"
    return [row["method"], *figures, str(row["seeds"]), fit, encode]


def _figure(row: Document, place: int, best: float) -> str:
    value = row["ndcg"][place]
    figure = f"**{points(value)}**" if value == best else points(value)
    if row["spread"] is not None:
        figure += f" ±{points(row['spread'][place])}"
    if "p_against_default" in row and row["p_against_default"][place] < LEVEL:
        figure += " *"
    if row["fallbacks"][place] > 0:
        figure += f" (gate {100 * row['fallbacks'][place]:.0f} %)"
    low, high = row["ci"][place]
    return f"{figure}<br>{points(low)} to {points(high)}"


def draw(document: Document, folder: Path) -> None:
    """NDCG@10 against dims, a plot per dataset with and without labels."""
    for part in document["tables"]:
        lines = {
            row["method"]: list(zip(part["dims"], (100 * value for value in row["ndcg"]), strict=True))
            for row in part["methods"]
        }
        draw_lines(
            lines,
            folder / _file(part),
            "dims",
            "nDCG@10, times 100",
            level=(100 * part["full"], "full vectors"),
            ticks=part["dims"],
        )
