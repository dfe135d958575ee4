"""File beside an unfinished training with what one reading of its corpus left, for ``--resume``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from smec.atomic import replacing
from smec.data.dataset import Whole
from smec.data.embeddings import Embeddings
from smec.data.fingerprint import edges_sha256
from smec.data.moments import Moments
from smec.data.npy import ids_path
from smec.errors import DataError

FORMAT = 1
"""Number of the way that samples and moments are made; others are read again."""


class SampleFile:
    """A sample of a corpus, with the moments and the hash of all rows, in one file of safetensors.

    It counts only for the files that it was read from: as long as their names, sizes, times of change and first and
    last MiB are what they were before they were read.

    Parameters
    ----------
    file : Path
        Where it is kept.
    corpus : Path
        A file, or a folder of Parquet shards; looked at now, so before it is read.

    Raises
    ------
    DataError
        The corpus cannot be read.
    """

    def __init__(self, file: Path, corpus: Path) -> None:
        self._file = file
        self._corpus = [_state(path) for path in _files(corpus)]

    def load(self, name: str, drawn: str) -> tuple[Embeddings, Whole] | None:
        """What was kept; None where it is of other files or another sample, or damaged.

        Parameters
        ----------
        name : str
            What messages call the sample.
        drawn : str
            `drawn_as` of the sample.
        """
        if not self._file.is_file():
            return None
        try:
            with safe_open(self._file, framework="numpy") as stored:
                metadata = stored.metadata() or {}
                if metadata.get("identity") != self._identity(drawn):
                    return None
                tensors = {key: stored.get_tensor(key) for key in stored.keys()}
            ids = json.loads(tensors["ids"].tobytes())
            moments = Moments.of_sums(int(metadata["rows"]), tensors["sum"], tensors["products"])
            return Embeddings(ids, tensors["vectors"], name=name), Whole(moments, metadata["sha256"])
        except (SafetensorError, OSError, KeyError, ValueError, DataError):
            return None  # the corpus itself is still there

    def save(self, sample: Embeddings, whole: Whole, drawn: str) -> None:
        """Replace the file as a whole.

        Raises
        ------
        OutputError
            The disk refuses.
        """
        sums, products = whole.moments.sums
        tensors = {
            "ids": np.frombuffer(json.dumps(list(sample.ids)).encode(), dtype=np.uint8),
            "vectors": np.ascontiguousarray(sample.vectors),
            "sum": sums,
            "products": products,
        }
        metadata = {
            "identity": self._identity(drawn),
            "rows": str(whole.moments.rows),
            "sha256": whole.sha256,
        }
        with replacing(self._file, force=True) as part:
            try:
                save_file(tensors, part, metadata=metadata)
            except SafetensorError as error:
                raise OSError(str(error)) from error


    def _identity(self, drawn: str) -> str:
        return json.dumps({"format": FORMAT, "drawn": drawn, "files": self._corpus}, sort_keys=True)


def drawn_as(rows: int, seed: int, always: Collection[str]) -> str:
    """What decides which rows of a corpus are drawn, as one line; parameters as in `smec.data.sample.sampled`."""
    kept = hashlib.sha256(json.dumps(sorted(always)).encode()).hexdigest()
    return f"{rows} rows, seed {seed}, and those with sha256 {kept}"


def _files(corpus: Path) -> list[Path]:
    if corpus.is_dir():
        return sorted(corpus.glob("*.parquet"))
    ids = ids_path(corpus)
    return [corpus, ids] if corpus.suffix == ".npy" and ids.exists() else [corpus]


def _state(path: Path) -> dict[str, Any]:
    try:
        found = path.stat()
        return {
            "path": str(path.resolve()),
            "bytes": found.st_size,
            "mtime_ns": found.st_mtime_ns,
            "edges": edges_sha256(path),
        }
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
