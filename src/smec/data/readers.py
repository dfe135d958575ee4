"""The formats that a table of vectors is read from: a suffix, and the module that reads it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from smec.data.embeddings import Embeddings
from smec.data.places import Location, reason
from smec.errors import DataError

if TYPE_CHECKING:
    from smec.data.blocks import Streamed

READERS = {
    ".parquet": "smec.data.parquet",
    ".arrow": "smec.data.arrow",
    ".feather": "smec.data.arrow",
    ".ipc": "smec.data.arrow",
    ".npy": "smec.data.npy",
    ".npz": "smec.data.npz",
    ".jsonl": "smec.data.beir",
}
"""Suffix -> module whose ``read`` is a `Reader`; imported when a file of the kind is opened."""

STREAMED = (".parquet", ".arrow", ".feather", ".ipc", ".npy")
"""Suffixes of what can be read in blocks too."""


class Reader(Protocol):
    """What the ``read`` of every format's module is."""

    def __call__(self, path: Path) -> Embeddings:
        """Read ``path``; DataError when it cannot be used."""


def read_vectors(path: Path) -> Embeddings:
    """Read a table of vectors of any format in `READERS`, or a folder of Parquet shards.

    Raises
    ------
    DataError
        There is no such file, it is of no known format, or it cannot be used as it is.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    suffix = ".parquet" if path.is_dir() else path.suffix
    if suffix not in READERS:
        raise DataError(f"{path}: vectors are read from {', '.join(READERS)} files, not from {suffix!r}")
    read: Reader = importlib.import_module(READERS[suffix]).read
    return read(path)


def streamed(suffix: str) -> Streamed:
    """The module that reads files of a kind in blocks, one of `STREAMED`."""
    module: Streamed = importlib.import_module(READERS[suffix])
    return module


@contextmanager
def reading(path: Location, kind: str, *refusals: type[Exception]) -> Iterator[None]:
    """Turn a library's refusal of a foreign, truncated or unreadable file into a DataError."""
    refused: tuple[type[Exception], ...] = (OSError, ValueError, EOFError, *refusals)
    try:
        yield
    except MemoryError:  # Arrow's is one of its refusals too
        raise
    except refused as error:
        said = reason(error)
        raise DataError(f"{path}: cannot be read as {kind}, damaged or of another kind: {said}") from error
