"""Vectors that were embedded already, on disk: what a killed run does not have to pay for again."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from smec.errors import OutputError
from smec.vectors import Float32Array

VECTORS = "vectors.sqlite"
LOCK = ".lock"


def text_key(identity: str, text: str) -> bytes:
    """The key of a text's vector: sha256 of the encoder's identity and the text."""
    return hashlib.sha256(f"{identity}\0{text}".encode()).digest()


class VectorCache:
    """Float32 vectors by the key of their text, in one SQLite file.

    Parameters
    ----------
    connection : sqlite3.Connection
    name : str
        What messages call it.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self.name = name

    def __contains__(self, key: object) -> bool:
        found = self._connection.execute("SELECT 1 FROM vectors WHERE key = ?", (key,)).fetchone()
        return found is not None

    def __getitem__(self, key: bytes) -> Float32Array:
        found = self._connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise KeyError(key)
        return np.frombuffer(found[0], dtype=np.float32)

    def add(self, keys: Sequence[bytes], vectors: Sequence[Float32Array]) -> None:
        """Keep vectors; once this returns, a killed process does not lose them."""
        rows = [(key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)


@contextmanager
def vector_cache(folder: Path) -> Iterator[VectorCache]:
    """Open the cache in ``folder``, made where there is none, for this process alone.

    Raises
    ------
    OutputError
        Another process has it open, it is damaged or a folder of something else, or the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / VECTORS).is_file():
            raise OutputError(f"{folder}: is no cache of vectors; name another with --cache")
        with FileLock(folder / LOCK, timeout=0):
            connection = sqlite3.connect(folder / VECTORS)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
                )
                yield VectorCache(connection, str(folder))
            finally:
                connection.close()
    except Timeout as error:
        raise OutputError(f"{folder}: another run is at work there; wait for it, or stop it") from error
    except sqlite3.Error as error:
        raise OutputError(
            f"{folder / VECTORS}: cannot be used ({error}); make room on the disk, or delete a damaged cache"
        ) from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def remove_cache(folder: Path) -> None:
    """Delete a cache, and its folder if nothing else is in it."""
    for name in (LOCK, VECTORS, f"{VECTORS}-wal", f"{VECTORS}-shm"):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
