"""Parquet: one file, or a folder of shards in the order of their names."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec.data.columns import check_schema, table_embeddings
from smec.data.embeddings import Embeddings
from smec.data.readers import reading
from smec.errors import DataError


def read(path: Path) -> Embeddings:
    """Read the columns ``id``, ``vector`` and, where they are, ``text`` and ``title``.

    Raises
    ------
    DataError
        No Parquet or not all of it, a column is missing, or a row cannot be used.
    """
    return _joined(path) if path.is_dir() else _file(path)


def _file(path: Path) -> Embeddings:
    with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(path, memory_map=True) as file:
        table = file.read(columns=check_schema(file.schema_arrow, str(path)))
    return table_embeddings(table, str(path))


def _joined(folder: Path) -> Embeddings:
    shards = [_file(path) for path in sorted(folder.glob("*.parquet"))]
    if not shards:
        raise DataError(f"{folder}: holds no *.parquet shards")
    if len(shards) == 1:
        return shards[0]
    for shard in shards[1:]:
        _check_like(shard, shards[0])
    return Embeddings(
        ids=list(chain.from_iterable(shard.ids for shard in shards)),
        vectors=np.concatenate([shard.vectors for shard in shards]),
        texts=None if shards[0].texts is None else [text for s in shards for text in s.texts or ()],
        titles=None if shards[0].titles is None else [title for s in shards for title in s.titles or ()],
        name=str(folder),
    )


def _check_like(shard: Embeddings, first: Embeddings) -> None:
    if shard.dim != first.dim:
        raise DataError(f"{shard.name}: vectors have {shard.dim} dims, but those of {first.name} {first.dim}")
    for column, here, there in (
        ("text", shard.texts, first.texts),
        ("title", shard.titles, first.titles),
    ):
        if (here is None) != (there is None):
            raise DataError(
                f"{shard.name}: column {column!r} must be in all shards or none, unlike {first.name}"
            )
