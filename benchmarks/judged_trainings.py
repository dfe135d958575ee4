"""Gains of judgements by BM25: trainings on them, beside people's, a few of people's and none at all.

``python -m benchmarks.judged_trainings DATA`` trains on scifact-mpnet (some minutes) and writes its table of
``docs/judgements.md``; DATA is the folder of the reference datasets. BM25 judges the train queries whose
labels are hidden, as `smec judge` does; it sees no query of the test split. All rows score the same queries:
which of them ask for new documents is told by all of people's train labels, whatever a training has seen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import full_size, per_query
from benchmarks.judged_by_bm25 import PAGE, hidden, judged
from benchmarks.markdown import points, table, write_between
from smec import Dataset, train
from smec.baselines import fit_baseline
from smec.config import build_config
from smec.data.qrels import Qrels, read_qrels
from smec.encoder import Encoder, default_dims
from smec.evaluation import new_and_seen

DATASET, SHOWN = "scifact-mpnet", 200
"""What is trained on, and how many of its train queries keep people's labels beside BM25's."""

MARKER = "gained"


def signals(source: Path, shown: int) -> Iterator[tuple[str, Qrels]]:
    """What a row is called, and its train judgements: none, BM25's alone, both, a few of people's, all."""
    every = read_qrels(source / "qrels" / "train.tsv")
    alone, _ = _judged(source, 0)
    beside, few = _judged(source, shown)
    yield "nobody", {}
    yield f"BM25 ({len(alone):,})", alone
    yield f"people ({len(few):,}) and BM25 ({len(beside) - len(few):,})", beside
    yield f"people ({len(few):,})", few
    yield f"people (all {len(every):,})", every


def _judged(source: Path, shown: int) -> tuple[Qrels, Qrels]:
    """Train judgements when BM25 has judged the hidden ones, and those of people among them."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / source.name
        truth = hidden(source, folder, shown)
        if judged(folder)["unusable"]:
            raise RuntimeError(f"{folder}: answers that could not be used; the table would not be of all")
        made = read_qrels(folder / "qrels" / "train.tsv")
    return made, {query: of for query, of in made.items() if query not in truth}


def gains(source: Path, shown: int, **fields: Any) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table: every signal on test queries for new documents, then on all of them.

    Parameters
    ----------
    source : Path
        Dataset folder with texts, train and test judgements.
    shown : int
        Train queries that keep people's labels in the mixed case.
    **fields
        Of the configuration, over the preset.
    """
    whole = Dataset.open(source)
    new = new_and_seen(whole.judged("test"), whole.qrels["train"]).new
    dims = fields.get("dims") or default_dims(whole.dim)
    found = {
        f"full ({whole.dim} dims)": full_size(whole)[None],
        "PCA": per_query(whole, fit_baseline("pca", whole, dims)),
    }
    for name, labels in signals(source, shown):
        found[name] = per_query(whole, _trained(whole, labels, fields))
        print(name, _points(found[name][:, new]), _points(found[name]), flush=True)
    rows = [
        [name, about, *_points(scores[:, of]), *[""] * (len(dims) - len(scores))]
        for about, of in ((f"new: {new.sum()}", new), (f"all: {len(new)}", np.ones_like(new)))
        for name, scores in found.items()
    ]
    return ["train queries judged by", "test queries", *map(str, dims)], rows


def _trained(whole: Dataset, labels: Qrels, fields: Mapping[str, Any]) -> Encoder:
    """A training that has these judgements; no test query teaches it anything."""
    qrels = {"test": whole.qrels["test"], **({"train": labels} if labels else {})}
    dataset = Dataset(whole.corpus, whole.queries, qrels, whole.name)
    return train(dataset, config=build_config(supervised=bool(labels), **fields))


def _points(scores: NDArray[np.float64]) -> list[str]:
    return [points(value) for value in scores.mean(axis=1)]


def main(data: Path) -> None:
    """Write the table into the page."""
    head, rows = gains(data / DATASET, SHOWN)
    write_between(PAGE, MARKER, table(head, rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
