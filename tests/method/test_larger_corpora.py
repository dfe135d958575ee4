"""A folder with more rows than the pool: what is learned does not depend on who holds the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smec import Dataset, train
from smec.data import Embeddings
from smec.method.extension import extend
from training_data import short, small_dataset

POOL = 220


def folder(path: Path) -> Path:
    dataset = small_dataset()
    assert dataset.queries is not None
    for role, embeddings in (("corpus", dataset.corpus), ("queries", dataset.queries)):
        _write(path / f"{role}.parquet", embeddings)
    (path / "qrels").mkdir()
    lines = [f"{q}\t{d}\t{g}\n" for q, of in dataset.qrels["train"].items() for d, g in of.items()]
    (path / "qrels" / "train.tsv").write_text("".join(["query-id\tcorpus-id\tscore\n", *lines]), "utf-8")
    return path


def _write(file: Path, embeddings: Embeddings) -> None:
    vectors = np.ascontiguousarray(embeddings.vectors)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    pq.write_table(pa.table({"id": list(embeddings.ids), "vector": column}), file)


@pytest.mark.parametrize("supervised", [True, False])
def test_a_folder_larger_than_the_pool_trains_as_the_same_corpus_in_memory(
    supervised: bool, tmp_path: Path
) -> None:
    config = short(pool=POOL, supervised=supervised)
    path, seen = folder(tmp_path), []
    streamed = train(path, config=config, reading=lambda *call: seen.append(call))
    held = train(Dataset.open(path), config=config)
    rows = len(small_dataset().corpus)
    assert rows > POOL and seen == [(rows, rows)]
    assert len(streamed.blocks) == len(held.blocks)
    for one, other in zip(streamed.blocks, held.blocks, strict=True):
        assert (one.method, one.dims) == (other.method, other.dims)
        np.testing.assert_allclose(one.matrix, other.matrix, atol=1e-6)
    assert streamed.manifest.data == held.manifest.data
    assert {id_ in small_dataset().corpus.rows for id_ in streamed.manifest.canary_ids} == {True}


def test_a_size_is_added_from_a_folder_larger_than_the_pool(tmp_path: Path) -> None:
    config = short(pool=POOL, dims=(48, 24))
    path = folder(tmp_path)
    extended = extend(train(path, config=config), path, 12)
    assert extended.dims == (48, 24, 12)


def test_a_corpus_within_the_pool_is_not_read_as_a_stream(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    train(folder(tmp_path), config=short(dims=(24,)), reading=lambda *call: seen.append(call))
    assert seen == []
