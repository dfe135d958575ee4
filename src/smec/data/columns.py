"""Arrow columns as numpy arrays and strings: what Parquet and Arrow IPC share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smec.data.embeddings import Embeddings
from smec.errors import DataError
from smec.vectors import FloatArray

COLUMNS = ("id", "vector", "text", "title")
"""The columns that are read."""
REQUIRED = COLUMNS[:2]
VECTOR = COLUMNS[1:2]
"""Columns that are required where ids do not matter."""


def array_of(numbers: NDArray[Any]) -> pa.Array:
    """An Arrow array of the numbers, shape (n,); it shares their memory."""
    # Not `pa.array`, which imports pandas wherever that is installed: a quarter of a second.
    values = np.ascontiguousarray(numbers)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def columns_beside(schema: pa.Schema) -> list[str]:
    """Names and types of the columns, to compare those of two files."""
    # The vectors' own type may differ: it is replaced, and their width is checked row by row.
    return ["vector" if field.name == "vector" else f"{field.name} ({field.type})" for field in schema]


def check_schema(schema: pa.Schema, name: str, required: Sequence[str] = REQUIRED) -> list[str]:
    """Return those of `COLUMNS` that the schema has.

    Raises
    ------
    DataError
        A required one is missing, one of `COLUMNS` is there twice, or ``vector`` holds
        no lists of floats.
    """
    for column in COLUMNS:
        count = schema.names.count(column)
        if count > 1 or (count == 0 and column in required):
            columns = ", ".join(schema.names) or "none"
            raise DataError(f"{name}: needs one column {column!r}, has {count}; its columns are {columns}")
    kind = schema.field("vector").type
    if not (_is_list(kind) and pa.types.is_floating(kind.value_type)):
        raise DataError(
            f"{name}: column 'vector' must hold lists of float16, float32 or float64, but holds {kind}"
        )
    return [column for column in COLUMNS if column in schema.names]


def vector_matrix(column: pa.Array, name: str, first_row: int = 0, dim: int | None = None) -> FloatArray:
    """View a column of equally long lists of floats as a matrix.

    Parameters
    ----------
    column : pyarrow.FixedSizeListArray, ListArray or LargeListArray of n lists
        Of float16, float32 or float64, as `check_schema` makes sure.
    name : str
        What messages call the file.
    first_row : int
        Number of the first row in the file, where ``column`` is only a batch of it.
    dim : int, optional
        The width every list must have; that of the first list by default.

    Returns
    -------
    ndarray of shape (n, D)
        Shares the column's memory, hence read-only.

    Raises
    ------
    DataError
        A null list, a null number, or lists of different lengths; names the row.
    """
    if column.null_count:
        raise DataError(f"{name}: row {first_row + _first_null(column)} has no vector (null); drop the row")
    import pyarrow.compute as pc

    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    width = dim if dim is not None else int(lengths[0]) if len(lengths) else 0
    ragged = np.flatnonzero(lengths != width)
    if len(ragged):
        row = int(ragged[0])
        raise DataError(f"{name}: row {first_row + row} has {lengths[row]} dims, but {width} are expected")
    values = column.flatten()
    if values.null_count:
        row, place = divmod(_first_null(values), width)
        raise DataError(f"{name}: row {first_row + row}, column {place} of its vector is null; drop the row")
    matrix: FloatArray = values.to_numpy(zero_copy_only=True).reshape(len(column), width)
    return matrix


def string_column(column: pa.ChunkedArray, name: str, what: str) -> list[str]:
    """Ids, texts or titles as a list; integers become strings.

    Raises
    ------
    DataError
        The column holds something else than strings or integers.
    """
    kind = column.type
    try:
        if pa.types.is_floating(kind):
            raise pa.ArrowTypeError("floating point")
        strings: list[str] = column.cast(pa.large_string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{name}: column {what!r} must hold strings, but holds {kind}") from error
    return strings


def table_embeddings(table: pa.Table, name: str) -> Embeddings:
    """Embeddings of a table that `check_schema` accepts; one chunk of vectors is not copied.

    Raises
    ------
    DataError
        A null, a ragged or unusable vector, or a repeated id; names the row.
    """
    if table["id"].null_count:
        raise DataError(f"{name}: row {_first_null(table['id'])} has no id (null); every row needs one")
    return Embeddings(
        ids=string_column(table["id"], name, "id"),
        vectors=_matrix(table["vector"], name),
        texts=_optional(table, "text", name),
        titles=_optional(table, "title", name),
        name=name,
    )


def _matrix(column: pa.ChunkedArray, name: str) -> FloatArray:
    chunks: list[FloatArray] = []
    row = 0
    for chunk in (c for c in column.chunks if len(c)):
        chunks.append(vector_matrix(chunk, name, row, chunks[0].shape[1] if chunks else None))
        row += len(chunk)
    if not chunks:
        raise DataError(f"{name}: holds no vectors (0 rows)")
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _optional(table: pa.Table, what: str, name: str) -> list[str] | None:
    if what not in table.column_names:
        return None
    return [text or "" for text in string_column(table[what], name, what)]


def _first_null(column: pa.Array | pa.ChunkedArray) -> int:
    import pyarrow.compute as pc

    return int(pc.index(column.is_null(), True).as_py())


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind))
