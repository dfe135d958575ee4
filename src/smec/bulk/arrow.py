"""Writes Arrow IPC, the file format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from smec.atomic import replacing
from smec.bulk.formats import Write
from smec.bulk.tables import appending, expressible
from smec.data.blocks import Source


@contextmanager
def writing(output: Path, source: Source, schema: pa.Schema, *, force: bool) -> Iterator[Write]:
    """Write an Arrow IPC file, a record batch for every block, not compressed.

    Raises
    ------
    OutputError
        ``output`` exists, the disk refuses, or Arrow IPC has no such column type.
    """
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with (
        replacing(output, force=force) as part,
        expressible(output, "Arrow IPC"),
        pa.OSFile(str(part), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=options) as writer,
    ):
        yield appending(_OneDictionary(writer).write_batch, schema)


class _OneDictionary:
    """Writes batches whose dictionaries differ, where a file holds only one that may grow."""

    def __init__(self, writer: pa.ipc.RecordBatchFileWriter) -> None:
        self._writer = writer
        self._last: pa.RecordBatch | None = None

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write ``batch`` with a dictionary that begins with that of the batch before."""
        if self._last is not None:
            table = pa.Table.from_batches([self._last, batch]).unify_dictionaries()
            batch = table.to_batches()[-1]
        self._writer.write_batch(batch)
        self._last = batch.slice(0, 1)
