"""Models of the sentence-transformers library, on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from smec.embedding import Role
from smec.errors import EncoderError
from smec.vectors import Float32Array

BATCHES_PER_CALL = 16
"""The library puts the texts of a call in order by length, which saves padding."""


class SentenceTransformerEncoder:
    """A sentence-transformers model; queries and documents go through its prompts for them.

    Parameters
    ----------
    model : str
        Name or folder.
    prompts : mapping, optional
        "query" and "document" -> what is put before every such text, in place of the model's own.
    dimensions : int, optional
        Vectors are cut to so many, for models that are trained for it.
    batch_size : int

    Raises
    ------
    EncoderError
        The model cannot be loaded.
    """

    concurrency = 1

    def __init__(
        self,
        model: str,
        *,
        prompts: Mapping[Role, str] | None = None,
        dimensions: int | None = None,
        batch_size: int = 32,
    ) -> None:
        self.texts_per_call = batch_size * BATCHES_PER_CALL
        self._model = _loaded(model)
        self._source = _content(Path(model)) if Path(model).is_dir() else model
        self._prompts = dict(prompts or {})
        self.dimensions = dimensions
        self._batch_size = batch_size

    def identity(self, role: Role) -> str:
        """Model, dimensions, prompts (the model's own ones are part of the model) and longest input.

        A model in a folder is known by the bytes of its files, as another one may come in its place.
        """
        longest = self._model.max_seq_length
        prompt = self._prompts.get(role)
        return repr(("sentence-transformers", self._source, longest, self.dimensions, role, prompt))

    def embed(self, texts: Sequence[str], role: Role) -> Float32Array:
        """Vectors of shape (texts, D)."""
        encode = self._model.encode_query if role == "query" else self._model.encode_document
        vectors = encode(
            list(texts),
            prompt=self._prompts.get(role),
            batch_size=self._batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            truncate_dim=self.dimensions,
        )
        return np.asarray(vectors, dtype=np.float32)

    def close(self) -> None:
        """Nothing is held."""


def _loaded(name: str) -> SentenceTransformer:
    try:
        return SentenceTransformer(name)
    except Exception as error:  # of the library and of all that reads files for it: they share no other base
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise EncoderError(
            f"{name}: not a sentence-transformers model that can be loaded: {reason}"
        ) from error


def _content(folder: Path) -> str:
    """sha256 of the files of a folder, with their names."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as opened:
            while part := opened.read(1 << 20):
                total.update(part)
    return total.hexdigest()
