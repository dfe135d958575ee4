"""Reads a file that a compression has written, batch by batch, to write it again with some codes changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec.bulk import npy
from smec.bulk.tables import CODE, METADATA_KEY, stored_field
from smec.codecs import FREE, Codes
from smec.data.blocks import Source
from smec.data.columns import string_column
from smec.data.npy import SCHEMA, ids_path, mapped
from smec.data.npy import source as npy_source
from smec.data.readers import reading
from smec.errors import DataError, OutputError
from smec.feedback import FeedbackStamp

Batch = tuple[Sequence[pa.Array], Codes]
"""Columns of some rows, and their codes of shape (n, w); the codes are a copy."""


@dataclass(frozen=True)
class StoredFile:
    """A compressed file.

    Parameters
    ----------
    path : Path
    rows : int
    schema : pyarrow.Schema
        As `compressed_schema` made it.
    note : dict
        Metadata that names the compressor, size, codec and feedback.
    read : callable
        Gives the batches from the start.
    read_ids : callable
        Gives the column of ids alone, in pieces.
    """

    path: Path
    rows: int
    schema: pa.Schema
    note: dict[str, Any]
    read: Callable[[], Iterator[Batch]]
    read_ids: Callable[[], Iterator[pa.Array]]

    def present(self, among: Collection[str]) -> list[str]:
        """Those of the ids that the file holds."""
        columns = (string_column(column, str(self.path), "id") for column in self.read_ids())
        return [id_ for column in columns for id_ in column if id_ in among]

    def ids(self, columns: Sequence[pa.Array]) -> list[str]:
        """Ids of the rows of a batch."""
        return string_column(columns[self.schema.get_field_index("id")], str(self.path), "id")

    def source(self) -> Source:
        """Rows and schema, as the writers of formats take them."""
        return Source(self.rows, self.schema, iter(()))


def open_stored(path: Path) -> StoredFile:
    """Open a compressed Parquet, Arrow IPC or ``.npy`` file.

    Raises
    ------
    DataError
        The file is damaged, or of another kind.
    OutputError
        Nothing tells which compressor made it.
    """
    if path.suffix == ".npy":
        return _npy(path)
    with reading(path, "a compressed table", pa.ArrowException):
        return _parquet(path) if path.suffix == ".parquet" else _arrow(path)


def _parquet(path: Path) -> StoredFile:
    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows

    def read() -> Iterator[Batch]:
        with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                for batch in file.read_row_group(group).combine_chunks().to_batches():
                    yield batch.columns, _codes(batch, path)

    def read_ids() -> Iterator[pa.Array]:
        with reading(path, "Parquet", pa.ArrowException), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["id"]):
                yield batch.column(0)

    return StoredFile(path, rows, schema, _note(schema, path), read, read_ids)


def _arrow(path: Path) -> StoredFile:
    with pa.memory_map(str(path)) as bytes_:
        schema = pa.ipc.open_file(bytes_).schema

    def batches() -> Iterator[pa.RecordBatch]:
        with reading(path, "Arrow IPC", pa.ArrowException), pa.memory_map(str(path)) as bytes_:
            file = pa.ipc.open_file(bytes_)
            for number in range(file.num_record_batches):
                batch = file.get_batch(number)
                batch.validate(full=True)  # mapped bytes are used as they are: a damaged offset would crash
                yield batch

    def read() -> Iterator[Batch]:
        return ((batch.columns, _codes(batch, path)) for batch in batches())

    def read_ids() -> Iterator[pa.Array]:
        return (batch.column("id") for batch in batches())

    rows = sum(batch.num_rows for batch in batches())
    return StoredFile(path, rows, schema, _note(schema, path), read, read_ids)


def _npy(path: Path) -> StoredFile:
    note_file = npy.note_path(path)
    if not note_file.exists() or not ids_path(path).exists():
        raise OutputError(
            f"{path}: has no ids and {note_file.name} beside it, which `smec compress --feedback` writes; "
            "compress it again with that"
        )
    codes = mapped(path)
    text = note_file.read_bytes().strip()
    note = _read_note(text, note_file)
    kind = pa.list_(pa.from_numpy_dtype(codes.dtype), codes.shape[1])
    schema = SCHEMA.set(1, pa.field("vector" if note["codec"] in FREE else CODE, kind))

    def read() -> Iterator[Batch]:
        return ((block.columns, np.array(block.vectors)) for block in npy_source(path).blocks)

    def read_ids() -> Iterator[pa.Array]:
        return (block.columns[0] for block in npy_source(path).blocks)

    return StoredFile(path, len(codes), schema.with_metadata({METADATA_KEY: text}), note, read, read_ids)


def _note(schema: pa.Schema, path: Path) -> dict[str, Any]:
    text = (schema.metadata or {}).get(METADATA_KEY)
    if text is None:
        raise OutputError(f"{path}: was not written by `smec compress`, so its vectors may be any model's")
    return _read_note(text, path)


def _read_note(text: bytes, path: Path) -> dict[str, Any]:
    with reading(path, "a note of smec"):
        note: dict[str, Any] = json.loads(text)
        if not (isinstance(note, dict) and {"model", "dim", "codec"} <= note.keys()):
            raise ValueError("it does not name compressor, size and codec")
        if "feedback" in note:
            note["feedback"] = FeedbackStamp.model_validate(note["feedback"])
    return note


def _codes(batch: pa.RecordBatch, path: Path) -> Codes:
    column = batch.column(stored_field(batch.schema).name)
    if column.null_count:
        raise DataError(f"{path}: has rows without a vector; compress it again")
    codes: Codes = np.array(column.flatten()).reshape(len(column), -1)
    return codes
