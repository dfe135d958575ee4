"""Label scarcity: how many judged train queries a method needs before it is worth more than PCA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Figures, Laboratory, mean_over_seeds
from benchmarks.markdown import points, signed, table
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, Method
from benchmarks.plan import Plan
from benchmarks.plots import draw_lines
from smec.evaluation import bootstrap_interval, paired_p_value

NAME = "scarcity"

Document = dict[str, Any]

LABELS = (10, 30, 100, 300, None)
"""Train queries, of which a part is held out; None: all."""

PCA = Method("pca", supervised=False, learned=False)

METHODS = (
    DEFAULT,
    Method("matryoshka-adaptor"),
    Method("mrl"),
    Method("adawidth"),
    Method("dive"),
)


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in plan.datasets:
            yield Cell(DEFAULT_UNSUPERVISED, dataset, seed)
            if seed == 0:
                yield Cell(PCA, dataset)
            for labels in LABELS:
                for method in METHODS:
                    yield Cell(method, dataset, seed, labels)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Gain over PCA, mean over the sizes, per method and number of labels, with its interval."""
    datasets = []
    for dataset in plan.datasets:
        (pca,) = laboratory.finished(PCA, dataset, plan.seeds)
        unlabelled = laboratory.finished(DEFAULT_UNSUPERVISED, dataset, plan.seeds)
        rows = [_row("smec default", 0, unlabelled, pca.ndcg)] if unlabelled else []
        judged = len(laboratory.dataset(dataset).judged("train"))
        for method in METHODS:
            for labels in LABELS:
                if labels is not None and labels >= judged:
                    continue  # the same as all of them
                runs = laboratory.finished(method, dataset, plan.seeds, labels=labels)
                if runs:
                    rows.append(_row(method.name, labels, runs, pca.ndcg))
        datasets.append(
            {
                "dataset": dataset,
                "labels": judged,
                "dims": list(pca.dims),
                "pca": [round(float(v), 4) for v in pca.ndcg.mean(axis=1)],
                "rows": rows,
            }
        )
    return {"datasets": datasets}


def _row(name: str, labels: int | None, runs: list[Figures], pca: NDArray[np.float64]) -> Document:
    per_query = mean_over_seeds(runs)
    gains = (per_query - pca).mean(axis=0)
    low, high = bootstrap_interval(gains)
    below = [
        paired_p_value(ours, theirs) < 0.05 and ours.mean() < theirs.mean()
        for ours, theirs in zip(per_query, pca, strict=True)
    ]
    return {
        "method": name,
        "labels": labels,
        "seeds": len(runs),
        "ndcg": [round(float(v), 4) for v in per_query.mean(axis=1)],
        "gain": round(float(gains.mean()), 4),
        "ci": [round(low, 4), round(high, 4)],
        "sizes_surely_below_pca": int(sum(below)),
    }


def section(document: Document) -> list[str]:
    """Lines of the page."""
    lines = [
        "## Few labels",
        "",
        "Gain over PCA in nDCG@10 times 100, mean over the sizes, with its 95 % interval over the test",
        "queries. *below* counts the sizes that are below PCA at p < .05 (paired permutation test). The",
        "labels are drawn with the seed, and a method holds a part of them out; 0 labels is training",
        "without any.",
        "",
    ]
    for part in document["datasets"]:
        rows = [
            [
                row["method"],
                "all" if row["labels"] is None else str(row["labels"]),
                f"{signed(row['gain'])} ({signed(row['ci'][0])} to {signed(row['ci'][1])})",
                str(row["sizes_surely_below_pca"]),
                " / ".join(points(v) for v in row["ndcg"]),
                str(row["seeds"]),
            ]
            for row in part["rows"]
        ]
        sizes = " / ".join(map(str, part["dims"]))
        lines += [
            f"### {part['dataset']}: {part['labels']} judged train queries in all",
            "",
            f"PCA: {' / '.join(points(v) for v in part['pca'])} at {sizes}.",
            "",
            f"![gain over PCA against labels, {part['dataset']}](benchmarks/scarcity-{part['dataset']}.svg)",
            "",
            *table(["method", "labels", "gain over PCA", "below", sizes, "seeds"], rows),
            "",
        ]
    return lines


def draw(document: Document, folder: Path) -> None:
    """Gain over PCA against the number of labels."""
    for part in document["datasets"]:
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in part["rows"]:
            count = part["labels"] if row["labels"] is None else row["labels"]
            lines.setdefault(row["method"], []).append((max(count, 3), 100 * row["gain"]))
        draw_lines(
            lines,
            folder / f"scarcity-{part['dataset']}.svg",
            "judged train queries (3 stands for none)",
            "gain over PCA, nDCG@10 times 100",
            level=(0.0, "PCA"),
            logarithmic=True,
        )
