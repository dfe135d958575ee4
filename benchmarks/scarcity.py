"""Label scarcity: how many judged train queries a method needs before it is worth more than PCA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import mean_over_seeds
from benchmarks.markdown import points, signed, table
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, PCA, Method
from benchmarks.paired import LEVEL, gap, p_below
from benchmarks.plan import Plan
from benchmarks.plots import draw_lines
from benchmarks.query_sets import QuerySet, Run, new_sets, runs

NAME = "scarcity"

Document = dict[str, Any]

LABELS = (10, 30, 100, 300, None)
"""Train queries, of which a part is held out; None: all."""

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
        for dataset in plan.new:
            yield Cell(DEFAULT_UNSUPERVISED, dataset, seed)
            if seed == 0:
                yield Cell(PCA, dataset)
            for labels in LABELS:
                for method in METHODS:
                    yield Cell(method, dataset, seed, labels)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Gain over PCA, mean over the sizes, per method and number of labels, with its interval."""
    parts = [_dataset(laboratory, queries, plan) for queries in new_sets(laboratory, plan)]
    return {"datasets": [part for part in parts if part is not None]}


def _dataset(laboratory: Laboratory, queries: QuerySet, plan: Plan) -> Document | None:
    pca = runs(laboratory, PCA, queries, plan.seeds)
    judged = len(laboratory.dataset(queries.title).judged("train"))
    given = [labels for labels in LABELS if labels is None or labels < judged]
    unlabelled = runs(laboratory, DEFAULT_UNSUPERVISED, queries, plan.seeds)
    asked: dict[tuple[str, int | None], list[Run]] = {("smec default", 0): unlabelled}
    for method in METHODS:
        for labels in given:
            asked[method.name, labels] = runs(laboratory, method, queries, plan.seeds, labels=labels)
    finished = {key: found for key, found in asked.items() if found}
    if not pca or not finished:
        return None
    rows = [_row(finished, name, labels, pca[0]) for name, labels in finished]
    return {
        "dataset": queries.title,
        "labels": judged,
        "queries": pca[0].ndcg.shape[1],
        "dims": list(pca[0].dims),
        "pca": [round(float(v), 4) for v in pca[0].ndcg.mean(axis=1)],
        "rows": rows,
    }


def _row(
    finished: dict[tuple[str, int | None], list[Run]], name: str, labels: int | None, pca: Run
) -> Document:
    found = finished[name, labels]
    per_query = mean_over_seeds(found)
    below = [p_below(ours, theirs) for ours, theirs in zip(per_query, pca.ndcg, strict=True)]
    default = finished.get(("smec default", labels), found)
    return {
        "method": name,
        "labels": labels,
        "seeds": len(found),
        "ndcg": [round(float(v), 4) for v in per_query.mean(axis=1)],
        "over_pca": _gap(found, [pca]),
        "sizes_surely_below_pca": sum(p < LEVEL for p in below),
        "default_ahead": None if default is found else _gap(default, found),
    }


def _gap(ours: list[Run], theirs: list[Run]) -> Document:
    """How far the mean over the sizes is ahead, over queries and seeds."""
    one, other = (np.array([run.ndcg.mean(axis=0) for run in side]) for side in (ours, theirs))
    return gap(one, other).document()


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not document["datasets"]:
        return []
    lines = [
        "## Few labels",
        "",
        "Gain over PCA on new documents in nDCG@10 times 100, mean over the sizes, with its 95 % interval",
        "over queries and seeds. *below* counts the sizes that are below PCA at p < .05 (one-sided paired",
        "t-test, not corrected). The labels are drawn with the seed, and a method holds a part of them out;",
        "0 labels is training without any. `@0` is the first fold of a dataset that is split again.",
        "",
    ]
    for part in document["datasets"]:
        rows = [
            [
                row["method"],
                "all" if row["labels"] is None else str(row["labels"]),
                _over_pca(row),
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
            f"{part['queries']} test queries. PCA: {' / '.join(points(v) for v in part['pca'])} at {sizes}.",
            "",
            f"![gain over PCA against labels, {part['dataset']}](benchmarks/scarcity-{part['dataset']}.svg)",
            "",
            *table(["method", "labels", "gain over PCA", "below", sizes, "seeds"], rows),
            "",
        ]
    return lines


def _over_pca(row: Document) -> str:
    of = row["over_pca"]
    return f"{signed(of['gap'])} ({signed(of['ci'][0])} to {signed(of['ci'][1])})"


def draw(document: Document, folder: Path) -> None:
    """Gain over PCA against the number of labels."""
    for part in document["datasets"]:
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in part["rows"]:
            count = part["labels"] if row["labels"] is None else row["labels"]
            lines.setdefault(row["method"], []).append((max(count, 3), 100 * row["over_pca"]["gap"]))
        draw_lines(
            lines,
            folder / f"scarcity-{part['dataset']}.svg",
            "judged train queries (3 stands for none)",
            "gain over PCA, nDCG@10 times 100",
            level=(0.0, "PCA"),
            logarithmic=True,
        )
