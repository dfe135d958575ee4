"""LanceDB: tables in a folder or a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfFlat, IvfHnswFlat

from smec.codecs import Codes, code_bytes
from smec.data.columns import vector_matrix
from smec.databases.address import Address
from smec.databases.collection import (
    Id,
    Page,
    Shape,
    Size,
    Stamp,
    asking,
    chosen,
    folder_bytes,
    plain,
    read_stamp,
)
from smec.errors import DataError
from smec.vectors import FloatArray

KEY = b"smec"
"""Of the stamp in the metadata of the schema."""
PAYLOAD = "payload"
"""Column of JSON for what has no columns of its own."""
ELEMENTS = {"float32": pa.float32(), "float16": pa.float16(), "binary": pa.uint8()}
FEW = 256
"""Rows below which an index is not worth making, nor can LanceDB make one of every kind."""
REFUSALS = (ValueError, RuntimeError, OverflowError, pa.ArrowException)


@contextmanager
def opened(address: Address) -> Iterator[Table]:
    """Open the database, which need not exist."""
    with asking(str(address), *REFUSALS):
        database = lancedb.connect(address.location, read_consistency_interval=timedelta(0))
    yield Table(database, address)


class Table:
    """A table with a column of vectors, its rows in the order of writing.

    Parameters
    ----------
    database : lancedb.DBConnection
    address : Address
    """

    codecs = tuple(ELEMENTS)

    def __init__(self, database: Any, address: Address) -> None:
        self.name = str(address)
        self._database = database
        self._address = address
        self._opened: Any = None

    def shape(self) -> Shape | None:
        """From the schema."""
        if self._opened is None:
            with asking(self.name, *REFUSALS):
                if self._address.collection not in self._names():
                    return None
                self._opened = self._database.open_table(self._address.collection)
        return self._shape

    def count(self) -> int:
        """By the database."""
        with asking(self.name, *REFUSALS):
            return int(self._table.count_rows())

    def stamp(self) -> Stamp | None:
        """From the metadata of the vectors' field, where `restamp` keeps it, else from the schema's."""
        schema = self._opened.schema
        kept = [(field.metadata or {}).get(KEY) for field in schema]
        text = next((one for one in kept if one is not None), (schema.metadata or {}).get(KEY))
        return None if text is None else read_stamp(text.decode(), self.name)

    def pages(self, rows: int) -> Iterator[Page]:
        """By the order of writing, of the version that is the newest at the start."""
        with asking(self.name, *REFUSALS):
            batches = iter(self._table.search().to_batches(batch_size=rows))
        row = 0
        while True:
            with asking(self.name, *REFUSALS):
                batch = next(batches, None)
            if batch is None:
                return
            for start in range(0, len(batch), rows):
                yield self._page(batch.slice(start, rows), row + start)
            row += len(batch)

    def fetch(self, ids: Sequence[Id]) -> FloatArray | Codes:
        """By the ids."""
        shape = self._shape
        found = self._of(ids, [shape.id.name, shape.vector])
        places = {id_: place for place, id_ in enumerate(found[shape.id.name].to_pylist())}
        missing = [id_ for id_ in ids if id_ not in places]
        if missing:
            raise DataError(f"{self.name}: has no row of id {missing[0]!r}")
        rows = found[shape.vector].combine_chunks()
        return vector_matrix(rows, self.name)[[places[id_] for id_ in ids]]

    def existing(self, ids: Sequence[Id]) -> list[bool]:
        """By the ids."""
        name = self._shape.id.name
        found = set(self._of(ids, [name])[name].to_pylist())
        return [id_ in found for id_ in ids]

    def create(self, like: Shape, stamp: Stamp) -> None:
        """The same columns under the same names; without columns one of JSON."""
        width = code_bytes("binary", stamp.dim) if stamp.codec == "binary" else stamp.dim
        vector = pa.field(like.vector, pa.list_(ELEMENTS[stamp.codec], width))
        columns = like.columns if like.columns is not None else [pa.field(PAYLOAD, pa.string())]
        schema = pa.schema([like.id, vector, *columns], metadata={KEY: stamp.model_dump_json().encode()})
        with asking(self.name, *REFUSALS):
            self._opened = self._database.create_table(self._address.collection, schema=schema)

    def write(self, page: Page) -> None:
        """One version of the table: all of its rows or none."""
        schema, shape, made = self._table.schema, self._shape, self.stamp()
        width = schema.field(shape.vector).type.list_size
        with asking(self.name, *REFUSALS):
            arrays = {
                shape.id.name: pa.array(page.ids, shape.id.type),
                shape.vector: pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(page.vectors)), width),
            }
            if made is not None and made.free:
                arrays[PAYLOAD] = pa.array([json.dumps(plain(one)) for one in page.payload])
            for field in schema:
                if field.name not in arrays:
                    values = [_fitting(one.get(field.name), field.type) for one in page.payload]
                    arrays[field.name] = pa.array(values, field.type)
            self._table.add(pa.table([arrays[name] for name in schema.names], schema=schema))

    def replace(self, ids: Sequence[Id], vectors: FloatArray | Codes) -> None:
        """One version of the table; the rows come last in the order of writing."""
        shape = self._shape
        rows = self._of(ids, self._table.schema.names)
        places = {id_: place for place, id_ in enumerate(ids)}
        ordered = vectors[[places[id_] for id_ in rows[shape.id.name].to_pylist()]]
        field = rows.schema.field(shape.vector)
        column = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(ordered)), field.type.list_size)
        with asking(self.name, *REFUSALS):
            rows = rows.set_column(rows.schema.get_field_index(shape.vector), field, column)
            self._table.merge_insert(shape.id.name).when_matched_update_all().execute(rows)

    def restamp(self, stamp: Stamp) -> None:
        """In the metadata of the vectors' field: LanceDB does not change those of a schema."""
        with asking(self.name, *REFUSALS):
            kept = {KEY.decode(): stamp.model_dump_json()}
            self._table.update_field_metadata({"path": stamp.vector, "metadata": kept})

    def build_index(self) -> None:
        """HNSW of the numbers as they are, by cosine; for bits lists of them, by Hamming distance."""
        bits = pa.types.is_uint8(self._table.schema.field(self._shape.vector).type.value_type)
        config = IvfFlat(distance_type="hamming") if bits else IvfHnswFlat(distance_type="cosine")
        with asking(self.name, *REFUSALS):
            self._table.optimize()  # many small files into few, and new rows into an index that is there
            if self._index() is None and self.count() >= FEW:
                self._table.create_index(self._shape.vector, config=config)

    def search(self, query: FloatArray | Codes, k: int) -> list[str]:
        """By the distance of the index; without one by cosine, or Hamming distance for bits."""
        shape, index = self._shape, self._index()
        with asking(self.name, *REFUSALS):
            if index is not None:
                distance = self._table.index_stats(index.name).distance_type
            else:
                distance = "hamming" if query.dtype == np.uint8 else "cosine"
            asked = self._table.search(query, vector_column_name=shape.vector).distance_type(distance)
            found = asked.select([shape.id.name, "_distance"]).limit(k).to_arrow()
        return [str(id_) for id_ in found[shape.id.name].to_pylist()]

    def size(self) -> Size:
        """Of the table's folder, old versions in it, and of the index."""
        folder = Path(self._address.location, f"{self._address.collection}.lance")
        index = self._index()
        return Size(folder_bytes(folder) if folder.is_dir() else None, index.size_bytes if index else None)

    @property
    def _table(self) -> Any:
        self.shape()
        return self._opened

    @property
    def _shape(self) -> Shape:
        schema = self._opened.schema
        vectors = {f.name: f.type.list_size for f in schema if _holds_vectors(f.type)}
        made = self.stamp()
        vector = chosen(
            self._address.vector or (made.vector if made else None), list(vectors), "vectors", self.name
        )
        ids = [f.name for f in schema if pa.types.is_integer(f.type) or _is_text(f.type)]
        likely = made.id if made else "id" if "id" in ids else None
        id_ = chosen(self._address.id or likely, ids, "ids", self.name)
        kind = pa.int64() if pa.types.is_integer(schema.field(id_).type) else pa.string()
        columns = [field for field in schema if field.name not in (vector, id_)]
        bits = pa.types.is_uint8(schema.field(vector).type.value_type)
        return Shape(vectors[vector] * (8 if bits else 1), vector, pa.field(id_, kind), pa.schema(columns))

    def _names(self) -> list[str]:
        found: list[str] = []
        while True:
            answer = self._database.list_tables(page_token=found[-1] if found else None)
            if not answer.tables:
                return found
            found += answer.tables
            if not answer.page_token:
                return found

    def _page(self, batch: pa.RecordBatch, row: int) -> Page:
        shape = self._shape
        ids = batch.column(shape.id.name)
        if ids.null_count:
            raise DataError(f"{self.name}: a row from {row} on has no id (null); every row needs one")
        vectors = vector_matrix(batch.column(shape.vector), self.name, row)
        others = batch.select(
            [name for name in batch.schema.names if name not in (shape.id.name, shape.vector)]
        )
        payload = others.to_pylist() if others.num_columns else [{}] * len(batch)
        return Page(ids.to_pylist(), vectors, payload)

    def _of(self, ids: Sequence[Id], names: list[str]) -> pa.Table:
        values = ", ".join(
            str(id_) if isinstance(id_, int) else "'" + id_.replace("'", "''") + "'" for id_ in ids
        )
        condition = f"`{self._shape.id.name}` IN ({values})"
        with asking(self.name, *REFUSALS):
            return self._table.search().where(condition).select(names).to_arrow()

    def _index(self) -> Any:
        with asking(self.name, *REFUSALS):
            found = [index for index in self._table.list_indices() if index.columns == [self._shape.vector]]
        return found[0] if found else None


def _holds_vectors(kind: pa.DataType) -> bool:
    if not pa.types.is_fixed_size_list(kind):
        return False
    return bool(pa.types.is_floating(kind.value_type) or pa.types.is_uint8(kind.value_type))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _fitting(value: Any, kind: pa.DataType) -> Any:
    """What another database calls JSON or decimal, as text where the column is one of text."""
    if value is None or isinstance(value, str) or not _is_text(kind):
        return value
    return json.dumps(plain(value))
