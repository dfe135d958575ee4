"""Writes Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from smec.atomic import replacing
from smec.bulk.formats import Write
from smec.bulk.tables import appending, expressible, stored_field
from smec.data.blocks import Source


@contextmanager
def writing(output: Path, source: Source, schema: pa.Schema, *, force: bool) -> Iterator[Write]:
    """Write a Parquet file, a row group for every block.

    Raises
    ------
    OutputError
        ``output`` exists, the disk refuses, or Parquet has no such column type.
    """
    with (
        replacing(output, force=force) as part,
        expressible(output, "Parquet"),
        pq.ParquetWriter(part, schema, use_dictionary=_repeating(schema)) as writer,
    ):
        yield appending(writer.write_batch, schema)


def _repeating(schema: pa.Schema) -> list[str]:
    """Paths of the columns to write with a dictionary: all but the vectors.

    Numbers of a unit vector hardly repeat: with a dictionary 24 float32 dims take 1.6 times their size.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    leaves = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    paths = (leaves.column(leaf).path for leaf in range(len(leaves)))
    stored = f"{stored_field(schema).name}."
    return [path for path in paths if not path.startswith(stored)]
