"""Tables with the columns ``id`` and ``vector``: what Parquet and Arrow IPC share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from smec.artefact_files import tensors_hash
from smec.bulk.formats import Write
from smec.codecs import FREE, Codec, Codes
from smec.data.columns import array_of
from smec.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from smec.feedback import FeedbackStamp

METADATA_KEY = b"smec"
"""Key of the schema's metadata that tells which compressor made the vectors."""


CODE = "code"
"""Name of the column that replaces ``vector`` where a codec is not one of floats."""


def compressed_schema(
    schema: pa.Schema, *, codec: Codec, model: str, feedback: FeedbackStamp | None = None
) -> pa.Schema:
    """Return ``schema`` with small vectors in place of the large ones, and a note of their origin.

    Floats stay in ``vector``, a fixed-size list of the codec's type; codes become ``code``, a fixed-size
    list of bytes.

    Parameters
    ----------
    schema : pyarrow.Schema
        With a field ``vector``; its other fields and its metadata stay as they are.
    codec : Codec
    model : str
        Fingerprint of the compressor.
    feedback : FeedbackStamp, optional
        The feedback that has moved documents.

    Raises
    ------
    ConfigError
        There is a column ``code`` already.
    """
    note: dict[str, Any] = {"model": model, "dim": codec.dim, "codec": codec.name}
    if feedback is not None:
        note["feedback"] = feedback.model_dump()
    field = pa.field("vector", pa.list_(pa.float32(), codec.dim))
    if codec.name in FREE:
        field = field.with_type(pa.list_(pa.from_numpy_dtype(np.dtype(codec.name)), codec.dim))
    else:
        if CODE in schema.names:
            raise ConfigError(f"the input has a column {CODE!r}, where codec {codec.name} writes; rename it")
        field = pa.field(CODE, pa.list_(pa.uint8(), codec.code_bytes))
        note["calibration"] = tensors_hash(codec.tensors())
    place = schema.get_field_index("vector")
    field = field.with_nullable(schema.field(place).nullable).with_metadata(schema.field(place).metadata)
    metadata = {**(schema.metadata or {}), METADATA_KEY: json.dumps(note).encode()}
    return schema.set(place, field).with_metadata(metadata)


def stored_field(schema: pa.Schema) -> pa.Field:
    """The field of the small vectors in a `compressed_schema`."""
    note = json.loads(schema.metadata[METADATA_KEY])
    return schema.field("vector" if note["codec"] in FREE else CODE)


def appending(write_batch: Callable[[pa.RecordBatch], None], schema: pa.Schema) -> Write:
    """Give ``write_batch`` the rows as record batches of ``schema``."""
    field = stored_field(schema)
    place = schema.get_field_index(field.name)

    def write(columns: Sequence[pa.Array], codes: Codes) -> None:
        arrays = list(columns)
        arrays[place] = pa.FixedSizeListArray.from_arrays(array_of(codes.ravel()), field.type.list_size)
        write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

    return write


@contextmanager
def expressible(output: Path, kind: str) -> Iterator[None]:
    """Turn a format's refusal to hold a column of some type into an OutputError."""
    try:
        yield
    except MemoryError:  # Arrow's is one of its refusals too
        raise
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"{output}: {kind} cannot hold these columns: {reason}") from error
