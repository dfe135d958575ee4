"""``.npy``, memory-mapped, with the ids in a text file beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smec.data.embeddings import Embeddings
from smec.data.readers import reading
from smec.errors import DataError
from smec.vectors import FloatArray


def read(path: Path) -> Embeddings:
    """Map ``corpus.npy``; its ids stand in ``corpus.ids.txt``, one a line, in the order of the rows.

    Raises
    ------
    DataError
        No ``.npy`` file or not all of it, no ids, or a row cannot be used.
    """
    vectors = mapped(path)
    ids_path = path.with_name(f"{path.stem}.ids.txt")
    if not ids_path.exists():
        raise DataError(
            f"{path}: its ids are missing; write them to {ids_path.name} beside it, one a line, "
            f"or put BEIR's {path.stem}.jsonl there"
        )
    with reading(ids_path, "a list of ids"), ids_path.open(encoding="utf-8-sig") as lines:
        ids = [line.rstrip("\n") for line in lines]
    if len(ids) != len(vectors):
        raise DataError(f"{ids_path}: {len(ids)} ids for the {len(vectors)} vectors in {path.name}")
    return Embeddings(ids, vectors, name=str(path))


def mapped(path: Path) -> FloatArray:
    """Memory-map the array in a ``.npy`` file, read-only.

    Raises
    ------
    DataError
        No ``.npy`` file, not all of it, or not a table.
    """
    with reading(path, ".npy"):
        array: FloatArray = np.lib.format.open_memmap(path, mode="r")
    if array.ndim != 2:
        raise DataError(f"{path}: vectors must be a table of shape (rows, dims), got shape {array.shape}")
    return array
