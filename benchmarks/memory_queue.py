"""S-XBM: nDCG@10 and time against the size of the queue, the number of neighbours and how they are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import mean_over_seeds
from benchmarks.markdown import points, signed, table
from benchmarks.methods import Method, smec
from benchmarks.plan import Plan

NAME = "memory_queue"

Document = dict[str, Any]

DATASETS = ("scifact-mpnet", "medquad-minilm")

SIZES = (256, 1024, 4096)
NEIGHBOURS = (8, 32, 128)


def _variant(size: int, neighbours: int, sampling: str) -> Method:
    return smec(
        f"{sampling}, queue {size}, k {neighbours}",
        supervised=False,
        schedule="sequential",
        memory={"loss": "listwise", "size": size, "neighbours": neighbours, "sampling": sampling},
        validation={"gate": False},
    )


VARIANTS = (
    *((size, 32, "nearest") for size in SIZES),
    *((4096, neighbours, "nearest") for neighbours in NEIGHBOURS if neighbours != 32),
    *((size, 32, "random") for size in SIZES),
)


def cells(plan: Plan) -> Iterator[Cell]:
    """What has to be run."""
    for seed in plan.seeds:
        for dataset in DATASETS:
            for variant in VARIANTS:
                yield Cell(_variant(*variant), dataset, seed)


def summarise(laboratory: Laboratory, plan: Plan) -> Document:
    """Per dataset and variant: nDCG@10 per size, and training time as a ratio to the smallest queue's."""
    datasets = []
    for dataset in DATASETS:
        rows: list[Document] = []
        for size, neighbours, sampling in VARIANTS:
            runs = laboratory.finished(_variant(size, neighbours, sampling), dataset, plan.seeds)
            if runs:
                rows.append(
                    {
                        "queue": size,
                        "k": neighbours,
                        "sampling": sampling,
                        "seeds": len(runs),
                        "ndcg": [round(float(v), 4) for v in mean_over_seeds(runs).mean(axis=1)],
                        "seconds": round(sum(run.fit_seconds for run in runs) / len(runs), 1),
                    }
                )
        datasets.append({"dataset": dataset, "rows": rows})
    return {"datasets": datasets}


def section(document: Document) -> list[str]:
    """Lines of the page."""
    if not any(part["rows"] for part in document["datasets"]):
        return []
    lines = [
        "## The memory (S-XBM)",
        "",
        "`default` without labels and without the gate, where the memory is all there is to learn from.",
        "*time* is that of the training as a multiple of the first row's.",
        "",
    ]
    for part in document["datasets"]:
        if not part["rows"]:
            continue
        first = part["rows"][0]
        rows = [
            [
                row["sampling"],
                str(row["queue"]),
                str(row["k"]),
                " / ".join(points(v) for v in row["ndcg"]),
                signed(_mean(row["ndcg"]) - _mean(first["ndcg"])),
                f"{row['seconds'] / first['seconds']:.1f}",
                str(row["seeds"]),
            ]
            for row in part["rows"]
        ]
        head = ["entries", "queue", "k", "nDCG@10, D/2 to D/32", "mean against the first", "time", "seeds"]
        lines += [f"### {part['dataset']}", "", *table(head, rows), ""]
    return lines


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
