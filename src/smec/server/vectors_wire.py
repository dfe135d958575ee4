"""The forms of ``POST /v1/compress``: numbers in JSON, base64 in JSON, and Arrow IPC for many."""

from __future__ import annotations

import binascii
import struct
from typing import Literal

import numpy as np
import pyarrow as pa
import pybase64
from pydantic import BaseModel
from pydantic_core import to_json

from smec.compressor import Compressor
from smec.data.columns import array_of, check_schema, vector_matrix
from smec.server.batching import encoded
from smec.server.refusals import Refusal
from smec.server.wire import Encoding, Request, little_endian
from smec.vectors import Float32Array

ARROW = "application/vnd.apache.arrow.stream"
"""Media type of Arrow's streaming format."""

HEADER, LENGTH, COMPRESSION = 2, 0, 3
"""Places of fields in Arrow's metadata: a message's header, a record batch's length and compression."""


UNREADABLE = (pa.ArrowException, OSError, ValueError, struct.error)
"""What a damaged stream raises."""


class CompressRequest(Request):
    """JSON body of ``POST /v1/compress``."""

    vectors: list[list[float]] | str
    """Rows of D numbers, or base64 of all rows as little-endian float32."""

    def matrix(self, width: int) -> Float32Array:
        """The rows, shape (n, width); Refusal where they are none."""
        try:
            if isinstance(self.vectors, str):
                flat = np.frombuffer(pybase64.b64decode(self.vectors, validate=True), dtype="<f4")
                rows = flat.reshape(-1, width)
            else:
                with np.errstate(over="ignore"):  # becomes Inf, which is refused with its row
                    rows = np.array(self.vectors, dtype=np.float32)
        except (ValueError, binascii.Error):
            raise _unusable(f"must be rows of {width} numbers, or base64 of such rows as float32") from None
        if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
            raise _unusable(f"must be at least one row of {width} numbers, as the model takes")
        return rows.astype(np.float32, copy=False)


class CompressResponse(BaseModel):
    """Answer of ``POST /v1/compress`` to JSON."""

    object: Literal["vectors"]
    model: str
    dimensions: int
    count: int
    vectors: list[list[float]] | str
    """Unit-length rows, or base64 of all of them as little-endian float32."""


def _no_stream() -> Refusal:
    return Refusal(400, "the body is no whole Arrow IPC stream", code="invalid_arrow")


def _unusable(what: str) -> Refusal:
    return Refusal(400, f"vectors: {what}", code="invalid_value", param="vectors")


def compress_response(vectors: Float32Array, model: str, encoding: Encoding | None) -> bytes:
    """The JSON of a `CompressResponse` for rows of shape (n, dim)."""
    coded = encoding == "base64"
    document = {"object": "vectors", "model": model, "dimensions": vectors.shape[1]}
    document |= {"count": len(vectors), "vectors": little_endian(vectors) if coded else vectors.tolist()}
    return to_json(document)


def compress_arrow(body: bytes | memoryview, compressor: Compressor, dim: int, queries: bool) -> pa.Buffer:
    """An Arrow stream with small vectors in place of those in its column ``vector``; the rest stays.

    `arrow_rows` must have accepted it.

    Raises
    ------
    Refusal
        No whole Arrow stream.
    DataError
        No column of float lists ``vector``, rows of another width, null or unusable ones.
    """
    try:
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            check_schema(reader.schema, "body", required=("vector",))
            place = reader.schema.get_field_index("vector")
            small = pa.field("vector", pa.list_(pa.float32(), dim))
            schema = reader.schema.set(place, small)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, schema) as writer:
                row = 0
                for batch in reader:
                    batch.validate(full=True)
                    writer.write_batch(_smaller(batch, place, schema, compressor, row, queries))
                    row += len(batch)
    except UNREADABLE:
        raise _no_stream() from None
    return sink.getvalue()


def _smaller(
    batch: pa.RecordBatch, place: int, schema: pa.Schema, compressor: Compressor, row: int, queries: bool
) -> pa.RecordBatch:
    dim = schema.field(place).type.list_size
    matrix = vector_matrix(batch.column(place), "body", row, compressor.input_dim)
    rows = encoded(compressor, matrix, dim, queries) if len(batch) else np.empty((0, dim), dtype=np.float32)
    columns = batch.columns
    columns[place] = pa.FixedSizeListArray.from_arrays(array_of(rows.ravel()), dim)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def arrow_rows(body: bytes | memoryview) -> int:
    """How many rows an Arrow stream says it has; none of its buffers is read.

    Raises
    ------
    Refusal
        No Arrow stream, or a compressed one: its size in memory would not be known beforehand.
    """
    count = 0
    try:
        for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
            if message.type != "schema":
                count += _batch_rows(message)
    except UNREADABLE:
        raise _no_stream() from None
    return count


def _batch_rows(message: pa.ipc.Message) -> int:
    rows = None if message.type != "record batch" else _plain_rows(message.metadata.to_pybytes())
    if rows is None:
        raise Refusal(400, "send the Arrow stream without compression and dictionaries", code="invalid_arrow")
    return rows


def _plain_rows(metadata: bytes) -> int | None:
    """The rows of a record batch, None if its buffers are compressed: pyarrow unpacks them without a word."""
    (message,) = struct.unpack_from("<I", metadata)
    header = _field(metadata, message, HEADER)
    if not header:
        raise ValueError("a message without a header")
    (offset,) = struct.unpack_from("<I", metadata, header)
    if _field(metadata, header + offset, COMPRESSION):
        return None
    place = _field(metadata, header + offset, LENGTH)
    return max(0, struct.unpack_from("<q", metadata, place)[0]) if place else 0


def _field(metadata: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table is, 0 if it is not there."""
    (back,) = struct.unpack_from("<i", metadata, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", metadata, vtable)
    place = 4 + 2 * number
    if place + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, vtable + place)
    return table + offset if offset else 0
