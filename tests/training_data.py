"""A small real dataset and a short configuration: enough to learn something in a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec.config import TrainConfig, build_config
from smec.data import Dataset, Embeddings
from smec.demo import demo_dataset
from smec.method.folds import draw_folds
from smec.presets import CANDIDATES
from smec.training.pool import Pool, document_pool

SHORT: dict[str, Any] = {
    "dims": (48, 24, 12),
    "candidates": (),
    "optimiser": {"steps": 30, "batch": 16, "negatives": 32},
    "validation": {"every": 10, "folds": 1},
    "memory": {"size": 128, "neighbours": 4},
    "distillation": {"negatives": 32},
}

TWO_STAGES: dict[str, Any] = {
    name: CANDIDATES["trained"][name] for name in ("schedule", "turned", "coordinates")
}
"""Settings with which the full size is trained first, and then teaches the others."""


def short(preset: str = "default", **fields: Any) -> TrainConfig:
    """The short configuration of a preset, with ``fields`` on top."""
    merged = {**SHORT, **fields}
    for group in ("optimiser", "validation", "memory", "distillation"):
        merged[group] = {**SHORT[group], **fields.get(group, {})}
    return build_config(preset, **merged)


def pool_of(dataset: Dataset, *, supervised: bool = True, seed: int = 0, limit: int = 100_000) -> Pool:
    """The pool of the first fold, or of a training without labels."""
    config = short(supervised=supervised, seed=seed).model_copy(update={"pool": limit})
    if supervised:
        return draw_folds(dataset, config)[0].pool
    return document_pool(dataset, seed=seed, limit=limit, validation=config.validation)


@cache
def small_dataset() -> Dataset:
    """150 train and 40 test questions of the demo, with their answers and some others."""
    demo = demo_dataset()
    qrels = {
        split: dict(list(demo.qrels[split].items())[:count])
        for split, count in (("train", 150), ("test", 40))
    }
    wanted = {document for judged in qrels.values() for of_query in judged.values() for document in of_query}
    corpus = [row for row, id_ in enumerate(demo.corpus.ids) if id_ in wanted or row % 10 == 0]
    assert demo.queries is not None
    asked = {query for judged in qrels.values() for query in judged}
    queries = [row for row, id_ in enumerate(demo.queries.ids) if id_ in asked]
    return Dataset(rows_of(demo.corpus, corpus), rows_of(demo.queries, queries), qrels, "small")


def write_dataset(folder: Path, dataset: Dataset) -> Path:
    """A folder with corpus, queries and the judgements of the train split."""
    (folder / "qrels").mkdir(parents=True)
    assert dataset.queries is not None
    for role, embeddings in (("corpus", dataset.corpus), ("queries", dataset.queries)):
        vectors = np.ascontiguousarray(embeddings.vectors)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        pq.write_table(pa.table({"id": list(embeddings.ids), "vector": column}), folder / f"{role}.parquet")
    judged = dataset.qrels["train"].items()
    lines = [f"{query}\t{document}\t{grade}\n" for query, of in judged for document, grade in of.items()]
    header = "query-id\tcorpus-id\tscore\n"
    (folder / "qrels" / "train.tsv").write_text("".join([header, *lines]), "utf-8")
    return folder


def rows_of(embeddings: Embeddings, rows: list[int]) -> Embeddings:
    """Some rows of ``embeddings``."""
    return Embeddings([embeddings.ids[row] for row in rows], np.asarray(embeddings.vectors)[rows])


EACH = {
    "default": short(),
    "the full size first": short(**TWO_STAGES),
    "compared": short(candidates=("distilled", "tempered")),
    "paper": short("paper", validation={"gate": False}),
    "without labels": short(supervised=False, validation={"gate": False}),
    "random neighbours": short(memory={"sampling": "random"}, validation={"gate": False}),
    "through a code": short(codec="pq6", validation={"gate": False}),
    "sizes and codecs to choose from": short(budget=24),
    # Of three queries, of one anchor and of one held-out vector not every process has a share.
    "next to nothing": short(
        optimiser={"batch": 1, "negatives": 0, "steps": 10},
        distillation={"negatives": 0, "anchors": 1, "passes": 0},
        memory={"anchors": 1, "weight": 1.0},
        validation={"gate": False},
    ),
}
"""What is trained together in the test of several processes."""
