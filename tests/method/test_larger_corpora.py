"""A folder with more rows than the pool: what is learned does not depend on who holds the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smec import Dataset, train
from smec.method.extension import extend
from training_data import short, small_dataset, write_dataset

POOL = 220


@pytest.mark.parametrize("supervised", [True, False])
def test_a_folder_larger_than_the_pool_trains_as_the_same_corpus_in_memory(
    supervised: bool, tmp_path: Path
) -> None:
    config = short(pool=POOL, supervised=supervised)
    path, seen = write_dataset(tmp_path / "small", small_dataset()), []
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
    path = write_dataset(tmp_path / "small", small_dataset())
    extended = extend(train(path, config=config), path, 12)
    assert extended.dims == (48, 24, 12)


def test_a_corpus_within_the_pool_is_not_read_as_a_stream(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    train(
        write_dataset(tmp_path / "small", small_dataset()),
        config=short(dims=(24,)),
        reading=lambda *call: seen.append(call),
    )
    assert seen == []
