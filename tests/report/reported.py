"""Compressors of the sample that smec carries, trained for a moment, and a dataset with hostile texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec import Compressor, Dataset, Embeddings, train
from smec.config import build_config
from smec.demo import demo_dataset

HOSTILE = '<script>window.broken=true</script><img src=x onerror="window.broken=true">&amp;$x^2$'
DIMS = (48, 16)


def small_dataset(name: str = "medquad", documents: int = 600) -> Dataset:
    """The first documents of the sample with the queries that they answer; one text is hostile."""
    whole = demo_dataset()
    assert whole.queries is not None and whole.corpus.texts is not None and whole.queries.texts is not None
    kept = set(whole.corpus.ids[:documents])
    qrels = {
        split: {
            query: {d: grade for d, grade in judged.items() if d in kept}
            for query, judged in whole.qrels[split].items()
            if kept & judged.keys()
        }
        for split in ("train", "test")
    }
    corpus = Embeddings(
        whole.corpus.ids[:documents],
        np.asarray(whole.corpus.vectors[:documents]),
        texts=[HOSTILE + text for text in whole.corpus.texts[:documents]],
        name="corpus",
    )
    queries = Embeddings(
        whole.queries.ids,
        whole.queries.vectors,
        texts=[HOSTILE + text for text in whole.queries.texts],
        name="queries",
    )
    return Dataset(corpus, queries, qrels, name)


def trained(dataset: Dataset, preset: str = "default", **fields: Any) -> Compressor:
    """Ten steps a stage."""
    short: dict[str, Any] = {"optimiser": {"steps": 10}, "validation": {"every": 5, "folds": 1}}
    short |= {"candidates": (), "dims": DIMS}
    return train(dataset, config=build_config(preset, **{**short, **fields}))


def save_dataset(dataset: Dataset, folder: Path) -> Path:
    """As a dataset folder of Parquet files."""
    (folder / "qrels").mkdir(parents=True)
    for name, embeddings in (("corpus", dataset.corpus), ("queries", dataset.queries)):
        assert embeddings is not None
        vectors = np.asarray(embeddings.vectors, dtype=np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        columns = {"id": list(embeddings.ids), "vector": column}
        texts = {} if embeddings.texts is None else {"text": list(embeddings.texts)}
        pq.write_table(pa.table({**columns, **texts}), folder / f"{name}.parquet")
    for split, judged in dataset.qrels.items():
        lines = [f"{query}\t{d}\t{grade}\n" for query, of in judged.items() for d, grade in of.items()]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return folder
