"""Models of the sentence-transformers library, on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        self._name = model
        self._model = _loaded(model)
        self._prompts = dict(prompts or {})
        self._dimensions = dimensions
        self._batch_size = batch_size

    def identity(self, role: Role) -> str:
        """Model, dimensions, prompts (the model's own ones are part of the model) and longest input."""
        longest = self._model.max_seq_length
        prompt = self._prompts.get(role)
        return repr(("sentence-transformers", self._name, longest, self._dimensions, role, prompt))

    def embed(self, texts: Sequence[str], role: Role) -> Float32Array:
        """Vectors of shape (texts, D)."""
        encode = self._model.encode_query if role == "query" else self._model.encode_document
        vectors = encode(
            list(texts),
            prompt=self._prompts.get(role),
            batch_size=self._batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            truncate_dim=self._dimensions,
        )
        return np.asarray(vectors, dtype=np.float32)

    def close(self) -> None:
        """Nothing is held."""


def _loaded(name: str) -> SentenceTransformer:
    try:
        return SentenceTransformer(name)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(
            f"{name}: not a sentence-transformers model that can be loaded: {reason}"
        ) from error
