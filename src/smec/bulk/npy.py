"""Writes ``.npy`` with the ids in ``<stem>.ids.txt`` beside it, one a line.

Where feedback has moved documents, ``<stem>.smec.json`` holds the note that a table has in its metadata.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, overload

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy_format

from smec.atomic import replacing
from smec.bulk.formats import Write
from smec.bulk.tables import METADATA_KEY, stored_field
from smec.codecs import Codes
from smec.data.blocks import Source
from smec.data.columns import string_column
from smec.data.npy import ids_path
from smec.data.places import Location
from smec.errors import DataError


@overload
def note_path(path: Path) -> Path: ...
@overload
def note_path(path: Location) -> Location: ...
def note_path(path: Location) -> Location:
    """The file with the note of a ``.npy`` file."""
    return path.with_name(f"{path.stem}.smec.json")


@contextmanager
def writing(output: Path, source: Source, schema: pa.Schema, *, force: bool) -> Iterator[Write]:
    """Write a ``.npy`` file, and its ids and note beside it where there are any; they appear first.

    Raises
    ------
    OutputError
        One of the files exists, or the disk refuses.
    DataError
        An id has a line break in it.
    """
    with ExitStack() as stack:
        part = stack.enter_context(replacing(output, force=force))
        ids_part = stack.enter_context(replacing(ids_path(output), force=force)) if source.has_ids else None
        note = schema.metadata[METADATA_KEY]
        if "feedback" in json.loads(note):
            stack.enter_context(replacing(note_path(output), force=force)).write_bytes(note + b"\n")
        stack.enter_context(_old_removed(output))
        # Not a memory map: on a full disk that ends the process, where a write raises OSError.
        vectors = stack.enter_context(_flushed(part.open("wb")))
        ids = ids_part and stack.enter_context(ids_part.open("w", encoding="utf-8", newline="\n"))
        _write_header(vectors, source.rows, stored_field(schema).type)
        place = schema.get_field_index("id")

        def write(columns: Sequence[pa.Array], codes: Codes) -> None:
            vectors.write(np.ascontiguousarray(codes).data)
            if ids:
                ids.writelines(_id_lines(columns[place], output))

        yield write


@contextmanager
def _old_removed(output: Path) -> Iterator[None]:
    # Before any of them takes its name: ids must never stand beside the vectors of another run.
    yield
    for file in (output, ids_path(output), note_path(output)):
        file.unlink(missing_ok=True)


@contextmanager
def _flushed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    # The disk has the last word on the vectors before the ids take their final name.
    with file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write_header(file: IO[bytes], rows: int, kind: pa.FixedSizeListType) -> None:
    dtype = np.dtype(kind.value_type.to_pandas_dtype())
    header = {
        "descr": npy_format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (rows, kind.list_size),
    }
    npy_format.write_array_header_1_0(file, header)


def _id_lines(ids: pa.Array, output: Path) -> list[str]:
    strings = string_column(ids, str(output), "id")
    for id_ in strings:
        if "\n" in id_ or "\r" in id_:
            raise DataError(
                f"{ids_path(output)}: id {id_!r} has a line break, so it needs a table; write .parquet"
            )
    return [f"{id_}\n" for id_ in strings]
