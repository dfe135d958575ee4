"""``.npz`` with the arrays ``ids`` and ``vectors``; memory-mapped unless it is compressed."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from smec.data.embeddings import Embeddings
from smec.data.readers import reading
from smec.errors import DataError
from smec.vectors import FloatArray

LOCAL_HEADER = 30
"""Bytes of a zip member's own header before its name; the last four hold the lengths that follow."""


def read(path: Path) -> Embeddings:
    """Read ``ids`` (strings or integers) and ``vectors``, as ``numpy.savez(path, ids=..., vectors=...)``.

    Raises
    ------
    DataError
        No ``.npz`` file or not all of it, an array is missing or pickled, or a row cannot be used.
    """
    with (
        reading(path, ".npz", zipfile.BadZipFile, zlib.error, RuntimeError),
        zipfile.ZipFile(path) as archive,
    ):
        for array in ("ids", "vectors"):
            if f"{array}.npy" not in archive.namelist():
                raise DataError(f"{path}: needs the arrays 'ids' and 'vectors'; {array!r} is not there")
        ids = _member(archive, "ids.npy")
        stored = archive.getinfo("vectors.npy").compress_type == zipfile.ZIP_STORED
        vectors = _mapped(path, archive) if stored else _member(archive, "vectors.npy")
    return Embeddings(_strings(ids, path), vectors, name=str(path))


def _member(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with archive.open(member) as handle:
        array: NDArray[Any] = npy_format.read_array(handle, allow_pickle=False)
    return array


def _mapped(path: Path, archive: zipfile.ZipFile) -> FloatArray:
    # numpy.load ignores mmap_mode for .npz, though a stored member is a plain .npy inside the file.
    with path.open("rb") as file:
        file.seek(archive.getinfo("vectors.npy").header_offset)
        header = file.read(LOCAL_HEADER)
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(lengths, 1)
        shape, fortran, dtype = _array_header(file)
        return np.memmap(
            path, dtype, mode="r", offset=file.tell(), shape=shape, order="F" if fortran else "C"
        )


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(file)
    read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    return read_header(file)


def _strings(ids: NDArray[Any], path: Path) -> list[str]:
    if ids.ndim != 1 or ids.dtype.kind not in "Uiu":
        raise DataError(
            f"{path}: 'ids' must be one row of strings or integers, got {ids.dtype} of shape {ids.shape}"
        )
    strings: list[str] = ids.astype(str).tolist()
    return strings
