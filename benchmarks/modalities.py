"""Modalities: a corpus of fused image and text vectors, searched by queries of only one of the two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import full_size, mean_over_seeds
from benchmarks.markdown import points, seed_count, table
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, PCA, Method
from benchmarks.plan import MULTIMODAL, Plan
from benchmarks.plots import draw_lines
from smec.evaluation import bootstrap_interval

NAME = "modalities"

Document = dict[str, Any]

FOLD = f"{MULTIMODAL}@0"
"""First fold of its judged queries, split by product kind: its test queries ask for new documents."""

METHODS = {
    "smec default": DEFAULT,
    "smec default, no labels": DEFAULT_UNSUPERVISED,
    "matryoshka-adaptor": Method("matryoshka-adaptor"),
    "mrl": Method("mrl"),
    "pca": PCA,
    "spectemp": Method("spectemp", supervised=False, learned=False),
    "random": Method("random", supervised=False),
}


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for method in METHODS.values():
            if method.learned or seed == 0:
                yield Cell(method, FOLD, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """NDCG@10 of image queries and of text queries, per method and size."""
    dataset = laboratory.dataset(FOLD)
    ids = dataset.judged("test").ids
    full = full_size(dataset)
    parts = []
    for modality in ("image", "text"):
        chosen = np.array([query.startswith(modality) for query in ids])
        rows = []
        for name, method in METHODS.items():
            runs = laboratory.finished(method, FOLD, plan.seeds)
            if runs:
                seeds = len(runs) if method.learned else None
                rows.append(_row(name, seeds, mean_over_seeds(runs)[:, chosen]))
        parts.append(
            {
                "modality": modality,
                "queries": int(chosen.sum()),
                "full": round(float(full[chosen].mean()), 4),
                "rows": rows,
            }
        )
    dims = [dataset.dim >> k for k in range(1, 6)]
    return {"documents": len(dataset.corpus), "dim": dataset.dim, "dims": dims, "parts": parts}


def _row(name: str, seeds: int | None, per_query: NDArray[np.float64]) -> Document:
    return {
        "method": name,
        "seeds": seeds,
        "ndcg": [round(float(values.mean()), 4) for values in per_query],
        "ci": [[round(end, 4) for end in bootstrap_interval(values)] for values in per_query],
    }


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not any(row["seeds"] for part in document["parts"] for row in part["rows"]):
        return []
    lines = [
        "## Image and text together",
        "",
        f"{document['documents']} shelf photos of grocery-effnet, each fused with its product's name "
        f"(all-MiniLM-L6-v2) into {document['dim']} dims, made by `benchmarks/multimodal_data.py`.",
        "A query has an image alone or a phrase alone, the other half is zero, and one compressor serves",
        "both. Truncation is left out: it would cut the text off. Phrases can only be answered by product,",
        "so their full-size scores are coarse. The judged queries are split again by product kind, and this",
        "is the first of five folds: all test queries ask for new documents.",
        "",
    ]
    for part in document["parts"]:
        rows = [
            [
                row["method"],
                *[
                    f"{points(v)}<br>{points(low)} to {points(high)}"
                    for v, (low, high) in zip(row["ndcg"], row["ci"], strict=True)
                ],
                seed_count(row["seeds"]),
            ]
            for row in part["rows"]
        ]
        lines += [
            f"### {part['modality']} queries",
            "",
            f"{part['queries']} test queries; the full vectors score {points(part['full'])}.",
            "",
            f"![nDCG@10 against dims, {part['modality']}](benchmarks/modality-{part['modality']}.svg)",
            "",
            *table(["method", *map(str, document["dims"]), "seeds"], rows),
            "",
        ]
    return lines


def draw(document: Document, folder: Path) -> None:
    """NDCG@10 against dims, a plot per modality."""
    for part in document["parts"]:
        lines = {
            row["method"]: list(zip(document["dims"], (100 * v for v in row["ndcg"]), strict=True))
            for row in part["rows"]
        }
        draw_lines(
            lines,
            folder / f"modality-{part['modality']}.svg",
            "dims",
            "nDCG@10, times 100",
            level=(100 * part["full"], "full vectors"),
            ticks=document["dims"],
        )
