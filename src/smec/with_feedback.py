"""An encoder whose documents are moved by feedback before it encodes them: for evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smec.data.embeddings import Embeddings
from smec.encoder import Encoder
from smec.feedback import Feedback
from smec.vectors import Float32Array, FloatArray, IntArray, row_blocks, vector_blocks


class WithFeedback:
    """Answers as the encoder it wraps; `documents` gives the vectors that it shall be given of a corpus.

    Vectors alone do not tell which documents they are, so ``encode`` moves nothing: those who encode a
    corpus take it from `documents`.

    Parameters
    ----------
    encoder : Encoder
    feedback : Feedback
    name : str, optional
        Name in tables; by default the encoder's name and "+feedback".
    """

    def __init__(self, encoder: Encoder, feedback: Feedback, name: str | None = None) -> None:
        self.encoder = encoder
        self.feedback = feedback
        self.name = name or f"{encoder.name}+feedback"
        self.input_dim = encoder.input_dim
        self.dims = encoder.dims

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Sizes that the gate gave to a baseline, with its name."""
        given: Mapping[int, str] = getattr(self.encoder, "fallbacks", {})
        return given

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode documents that are already moved, as the encoder does."""
        return self.encoder.encode(vectors, dim)

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode queries, as the encoder does."""
        return self.encoder.encode_queries(vectors, dim)


class MovedVectors:
    """Vectors of a corpus as feedback moves them; rows are moved when they are read.

    Parameters
    ----------
    corpus : Embeddings
    feedback : Feedback
    """

    def __init__(self, corpus: Embeddings, feedback: Feedback) -> None:
        self._corpus = corpus
        self._feedback = feedback

    def __len__(self) -> int:
        return len(self._corpus)

    def blocks(self) -> Iterator[FloatArray]:
        """Blocks of all rows, in order; memory is that of a block."""
        rows = row_blocks(len(self))
        for block, vectors in zip(rows, vector_blocks(self._corpus.vectors), strict=True):
            yield self._feedback.move(vectors, self._corpus.ids[block])

    def __getitem__(self, rows: slice | IntArray) -> FloatArray:
        ids = self._corpus.ids
        chosen = ids[rows] if isinstance(rows, slice) else [ids[row] for row in rows]
        return self._feedback.move(self._corpus.vectors[rows], chosen)


def documents(corpus: Embeddings, encoder: Encoder) -> FloatArray | MovedVectors:
    """The vectors of a corpus that the encoder shall be given: moved, where it has feedback."""
    feedback: Feedback | None = getattr(encoder, "feedback", None)
    return corpus.vectors if feedback is None else MovedVectors(corpus, feedback)
