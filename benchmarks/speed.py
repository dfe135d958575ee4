"""Training time, side by side in one run: `default` against Matryoshka-Adaptor, with all cores."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from benchmarks.cells import Laboratory
from benchmarks.figures import per_query
from benchmarks.markdown import points, table
from benchmarks.methods import DEFAULT, Method
from benchmarks.plan import Plan

NAME = "speed"

Document = dict[str, Any]

DATASET = "scifact-mpnet"
ROUNDS = 2
RIVAL = Method("matryoshka-adaptor")


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """Train both in turn, seeds 0 and 1, all five sizes with the gate; nothing else may run meanwhile."""
    dataset = laboratory.dataset(DATASET)
    rows: list[Document] = []
    taken: dict[Method, list[float]] = {DEFAULT: [], RIVAL: []}
    for seed in range(ROUNDS):
        for method, seconds in taken.items():
            start = time.perf_counter()
            encoder = method.fit(dataset, seed)
            seconds.append(time.perf_counter() - start)
            ndcg = [round(float(value), 4) for value in per_query(dataset, encoder).mean(axis=1)]
            rows.append({"method": method.name, "seed": seed, "seconds": round(seconds[-1], 1), "ndcg": ndcg})
    ratios = [ours / theirs for ours, theirs in zip(taken[DEFAULT], taken[RIVAL], strict=True)]
    return {
        "dataset": DATASET,
        "rows": rows,
        "seconds": round(median(taken[DEFAULT]), 1),
        "ratio": round(median(ratios), 3),
    }


def section(document: Document) -> list[str]:
    """Lines of the page."""
    rows = [
        [row["method"], str(row["seed"]), f"{row['seconds']:.1f}", " / ".join(points(v) for v in row["ndcg"])]
        for row in document["rows"]
    ]
    return [
        "## Training time",
        "",
        f"Both train all five sizes of {document['dataset']} in turn, with all cores to themselves.",
        f"The median of `smec default` is {document['seconds']:.1f} s, and the median ratio to",
        f"Matryoshka-Adaptor, which ends by its own early stopping, {document['ratio']:.2f}.",
        "",
        *table(["method", "seed", "seconds", "nDCG@10, D/2 to D/32"], rows),
        "",
    ]
