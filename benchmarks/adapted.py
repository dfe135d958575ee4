"""Gains of `smec adapt`: compressors trained without labels, then adapted to all train judgements.

``python -m benchmarks.adapted DATA`` trains on xquad-e5 and scifact-mpnet (some minutes) and writes its table
of ``docs/judgements.md``; DATA is the folder of the reference datasets. A training with all labels and one
matrix for queries and documents stands beside: it changes every stored vector, and adapting changes none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import per_query
from benchmarks.judged_by_bm25 import PAGE
from benchmarks.markdown import points, table, write_between
from smec import Dataset, adapt, train
from smec.config import build_config
from smec.evaluation import new_and_seen

DATASETS = ("xquad-e5", "scifact-mpnet")

MARKER = "adapted"


def rows_of(dataset: Dataset, **fields: Any) -> Iterator[list[str]]:
    """Rows of the table: each encoder on test queries for new documents, and for judged ones.

    Parameters
    ----------
    dataset : Dataset
        With train and test judgements.
    **fields
        Of the trainings' configuration, over the preset.
    """
    unlabelled = train(dataset, config=build_config(supervised=False, **fields))
    encoders = {
        "no labels": unlabelled,
        "no labels, adapted": adapt(unlabelled, dataset),
        "all labels, one matrix": train(dataset, config=build_config(**fields)),
    }
    groups = new_and_seen(dataset.judged("test"), dataset.qrels["train"])
    for name, encoder in encoders.items():
        scores = per_query(dataset, encoder)
        for kind, of in (("new", groups.new), ("seen", groups.seen)):
            if of.any():
                yield [dataset.name, f"{kind}: {of.sum()}", name, _points(scores[:, of])]


def _points(scores: NDArray[np.float64]) -> str:
    return " / ".join(points(value) for value in scores.mean(axis=1))


def main(data: Path) -> None:
    """Write the table into the page."""
    rows = []
    for name in DATASETS:
        for row in rows_of(Dataset.open(data / name)):
            print(*row, flush=True)
            rows.append(row)
    rows.sort(key=lambda row: (DATASETS.index(row[0]), row[1].startswith("seen")))
    write_between(PAGE, MARKER, table(["dataset", "test queries", "training", "D/2 to D/32"], rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
