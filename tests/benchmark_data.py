"""A dataset folder of a few vectors, and finished cells with figures that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import Figures, save

D = 64
DIMS = (32, 16, 8, 4, 2)

Qrels = Mapping[str, Mapping[str, int]]


def write_dataset(folder: Path, train: Qrels, test: Qrels, documents: int = 40) -> None:
    """Random vectors, the same for every folder: documents "d0", "d1", ... and the queries of the qrels."""
    rng = np.random.default_rng(0)
    _write_vectors(folder / "corpus.parquet", [f"d{row}" for row in range(documents)], rng)
    _write_vectors(folder / "queries.parquet", sorted({*train, *test}), rng)
    (folder / "qrels").mkdir()
    for split, qrels in (("train", train), ("test", test)):
        lines = [f"{query}\t{doc}\t{grade}" for query, of in qrels.items() for doc, grade in of.items()]
        text = "\n".join(["query-id\tcorpus-id\tscore", *lines, ""])
        (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")


def _write_vectors(file: Path, ids: list[str], rng: np.random.Generator) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    vectors = rng.standard_normal((len(ids), D)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), D)
    pq.write_table(pa.table({"id": ids, "vector": column}), file)


def laboratory(folder: Path) -> Laboratory:
    """One whose datasets and cells are in a folder."""
    return Laboratory(folder, folder / "made", folder / "cells")


def finish(
    folder: Path,
    cell: Cell,
    ndcg: list[list[float]],
    variants: tuple[str, ...] = (),
    fallbacks: Mapping[str, str] | None = None,
) -> None:
    """Keep a cell as if it had been run: nDCG@10 by size and test query, of each variant in turn."""
    (folder / "cells").mkdir(exist_ok=True)
    sizes = len(ndcg) // max(1, len(variants))
    save(
        Figures(
            dims=DIMS[:sizes] * max(1, len(variants)),
            ndcg=np.array(ndcg),
            fit_seconds=1.0,
            encode_seconds=0.1,
            fallbacks=dict(fallbacks or {}),
            variants=tuple(name for name in variants for _ in range(sizes)),
        ),
        folder / "cells" / f"{cell.key()}.npz",
    )
