"""Some rows of a corpus by their ids, read without holding the others."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from smec.data.blocks import Source, alike
from smec.data.columns import string_column
from smec.data.embeddings import Embeddings
from smec.data.readers import STREAMED, read_vectors, streamed
from smec.vectors import FloatArray


def read_rows(path: Path, ids: Collection[str]) -> Embeddings | None:
    """Read the rows of these ids, as far as the file has them, in its order; None where it has none.

    Memory is that of these rows; ``.npz`` and ``.jsonl`` are opened whole, as memory maps.

    Parameters
    ----------
    path : Path
        A table of vectors of any format, or a folder of Parquet shards.
    ids : collection of str

    Raises
    ------
    DataError
        The file cannot be used, it has no ids, or one of these rows cannot be used.
    """
    wanted = frozenset(ids)
    suffix = ".parquet" if path.is_dir() else path.suffix
    source = streamed(suffix).source(path) if suffix in STREAMED else None
    names, vectors = _of_file(path, wanted) if source is None or not source.has_ids else _of(source, wanted)
    return Embeddings(names, vectors, name=str(path)) if names else None


def _of_file(path: Path, wanted: Collection[str]) -> tuple[list[str], FloatArray]:
    whole = read_vectors(path)
    rows = [row for row, id_ in enumerate(whole.ids) if id_ in wanted]
    return [whole.ids[row] for row in rows], np.asarray(whole.vectors[rows])


def _of(source: Source, wanted: Collection[str]) -> tuple[list[str], FloatArray]:
    place = source.schema.get_field_index("id")
    names: list[str] = []
    parts: list[FloatArray] = []
    for block in alike(source.blocks):
        ids = string_column(block.columns[place], block.name, "id")
        rows = [row for row, id_ in enumerate(ids) if id_ in wanted]
        names += [ids[row] for row in rows]
        parts.append(block.vectors[rows])
    return names, np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
