"""A small dataset whose train judgements say where documents move, as a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from small_compressor import WIDTH, corpus
from smec.vectors import Float32Array, FloatArray

ROWS = 60
IDS = [f"d{row}" for row in range(ROWS)]
QRELS = {
    "q0": {"d3": 1, "d4": 0},
    "q1": {"d3": 2, "d10": 1},
    "q2": {"d57": 1, "elsewhere": 1},
}
"""d3 answers two queries, d4 none; one judged document is in no corpus."""
LATER = {"q2": {"d10": 1}, "q3": {"d20": 1}}
"""d3 and d57 are not judged any more, d20 is new, and d10 answers another query."""


def queries() -> Float32Array:
    return np.random.default_rng(5).standard_normal((4, WIDTH)).astype(np.float32)


def write_table(file: Path, ids: list[str], vectors: FloatArray) -> Path:
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(vectors)), vectors.shape[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": ids, "vector": column, "row": list(range(len(ids)))}), file)
    return file


def write_dataset(folder: Path, qrels: Mapping[str, Mapping[str, int]] | None = None) -> Path:
    """A dataset folder with these train judgements, `QRELS` by default."""
    write_table(folder / "corpus.parquet", IDS, corpus(ROWS))
    write_table(folder / "queries.parquet", [f"q{row}" for row in range(4)], queries())
    judged = QRELS if qrels is None else qrels
    lines = [f"{query}\t{doc}\t{grade}" for query, docs in judged.items() for doc, grade in docs.items()]
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / "train.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")
    return folder
