"""Arrow IPC (``.arrow``, ``.feather``, ``.ipc``), file and stream format, memory-mapped."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from smec.data.columns import check_schema, table_embeddings
from smec.data.embeddings import Embeddings
from smec.data.readers import reading

FILE_MAGIC = b"ARROW1"


def read(path: Path) -> Embeddings:
    """Read the columns ``id``, ``vector`` and, where they are, ``text`` and ``title``.

    Uncompressed vectors in one record batch stay on disk, as a memory map.

    Raises
    ------
    DataError
        No Arrow IPC or not all of it, a column is missing, or a row cannot be used.
    """
    with reading(path, "Arrow IPC", pa.ArrowException):
        source = pa.memory_map(str(path))
        is_file = source.read(len(FILE_MAGIC)) == FILE_MAGIC
        source.seek(0)
        batches = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        columns = check_schema(batches.schema, str(path))
        table = batches.read_all().select(columns)
        table.validate(full=True)  # mapped bytes are used as they are: a damaged offset would crash
    return table_embeddings(table, str(path))
