"""PostgreSQL's types as Arrow's and back, and its texts of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from psycopg.types.json import Jsonb

from smec.codecs import Codes
from smec.databases.collection import SQL, Id, JsonText, plain
from smec.errors import DataError
from smec.vectors import FloatArray

FIELDS: dict[str, pa.DataType] = {
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "int2": pa.int64(),
    "int4": pa.int64(),
    "int8": pa.int64(),
}
"""Types that ids can have (beside uuid, read as text)."""
_MORE: dict[str, pa.DataType] = {
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "bytea": pa.binary(),
    "json": pa.string(),
    "jsonb": pa.string(),
    "_text": pa.list_(pa.string()),
    "_int4": pa.list_(pa.int64()),
    "_int8": pa.list_(pa.int64()),
    "_float8": pa.list_(pa.float64()),
}
NATIVE = {**FIELDS, **_MORE}
"""Type -> what Arrow calls it; all others are read as text."""
JSON = ("json", "jsonb")


def field_of(name: str, kind: str, declared: str) -> pa.Field:
    """The field of a column, which remembers the type that it was declared with."""
    return pa.field(name, NATIVE.get(kind, pa.string()), metadata={SQL: declared.encode()})


def sql_type(field: pa.Field) -> str:
    """The type of a column that can hold a field."""
    if field.metadata and SQL in field.metadata:
        return str(field.metadata[SQL].decode())
    kind = field.type
    for fits, name in (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "bigint"),
        (pa.types.is_floating, "double precision"),
        (pa.types.is_date, "date"),
        (pa.types.is_binary, "bytea"),
        (pa.types.is_large_binary, "bytea"),
        (pa.types.is_decimal, "numeric"),
        (pa.types.is_nested, "jsonb"),
    ):
        if fits(kind):
            return name
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    return "text"


def adapted(value: Any, kind: str) -> Any:
    """A value for COPY into a column of a type."""
    if isinstance(value, JsonText) or value is None or kind not in JSON:
        return value
    return Jsonb(plain(value))


def bit_string(code: Codes, dim: int) -> str:
    """The bits of a packed code, dimension 0 first."""
    return "".join(map(str, np.unpackbits(code, count=dim, bitorder="little").tolist()))


def matrix(values: Sequence[Any], ids: Sequence[Id], name: str) -> FloatArray | Codes:
    """Vectors as the client gives them, float32, or codes of bits.

    Raises
    ------
    DataError
        One is null or of another width than the first; names its id.
    """
    rows = [_row(value) for value in values]
    for id_, row in zip(ids, rows, strict=True):
        if row is None or len(row) != len(rows[0]):
            found = "no vector (null)" if row is None else f"{len(row)} dims, but {len(rows[0])} are expected"
            raise DataError(f"{name}: the row of id {id_!r} has {found}; drop it or embed it again")
    return np.stack(rows)


def _row(value: Any) -> Any:
    if value is None or isinstance(value, np.ndarray):
        return value
    if isinstance(value, str):
        return np.packbits(np.frombuffer(value.encode(), dtype=np.uint8) == ord("1"), bitorder="little")
    return value.to_numpy()
