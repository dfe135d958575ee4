"""Tables with the columns ``id`` and ``vector``: what Parquet and Arrow IPC share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from smec.bulk.blocks import Block, Write
from smec.data.columns import vector_matrix
from smec.errors import DataError, OutputError
from smec.vectors import FloatArray

METADATA_KEY = b"smec"
"""Key of the schema's metadata that tells which compressor made the vectors."""


def compressed_schema(schema: pa.Schema, *, dim: int, codec: str, model: str) -> pa.Schema:
    """Return ``schema`` with ``vector`` as a fixed-size list of ``dim`` numbers, and a note of their origin.

    Parameters
    ----------
    schema : pyarrow.Schema
        With a field ``vector``; its other fields and its metadata stay as they are.
    dim : int
    codec : str
        Name of a numpy dtype.
    model : str
        Fingerprint of the compressor.
    """
    place = schema.get_field_index("vector")
    kind = pa.list_(pa.from_numpy_dtype(np.dtype(codec)), dim)
    note = json.dumps({"model": model, "dim": dim, "codec": codec}).encode()
    metadata = {**(schema.metadata or {}), METADATA_KEY: note}
    return schema.set(place, schema.field(place).with_type(kind)).with_metadata(metadata)


def table_blocks(batches: Iterable[pa.RecordBatch], name: str, dim: int) -> Iterator[Block]:
    """Blocks of the record batches of one file.

    Raises
    ------
    DataError
        A row has no id, or no vector of ``dim`` numbers.
    """
    row = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        _check_ids(batch.column("id"), name, row)
        vectors = vector_matrix(batch.column("vector"), name, row, dim)
        yield Block(name, row, vectors, batch.columns)
        row += batch.num_rows


def _check_ids(ids: pa.Array, name: str, first_row: int) -> None:
    if ids.null_count:
        row = first_row + int(np.argmax(ids.is_null().to_numpy(zero_copy_only=False)))
        raise DataError(f"{name}: row {row} has no id (null); every row needs one")


def appending(write_batch: Callable[[pa.RecordBatch], None], schema: pa.Schema) -> Write:
    """Give ``write_batch`` the rows as record batches of ``schema``."""
    place = schema.get_field_index("vector")
    dim = schema.field(place).type.list_size

    def write(columns: Sequence[pa.Array], vectors: FloatArray) -> None:
        arrays = list(columns)
        arrays[place] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim)
        write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

    return write


@contextmanager
def expressible(output: Path, kind: str) -> Iterator[None]:
    """Turn a format's refusal to hold a column of some type into an OutputError."""
    try:
        yield
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"{output}: {kind} cannot hold these columns: {reason}") from error
