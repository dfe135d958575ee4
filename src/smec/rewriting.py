"""New codes of the documents of a compressed output that other feedback moves, or that go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from smec.artefact import tensors_hash
from smec.codecs import Codec, Codes
from smec.compressor import Compressor
from smec.data.chosen_rows import read_rows
from smec.data.folder import check_folder, find_corpus
from smec.errors import OutputError
from smec.feedback import Feedback, FeedbackStamp


@dataclass(frozen=True)
class Rewrite:
    """Codes to write, and what the output's stamp says meanwhile and afterwards.

    Parameters
    ----------
    ids : sequence of n str
        Documents to rewrite, those that feedback moves first.
    codes : ndarray of shape (n, w)
        Their new codes.
    moved : int
        Documents that feedback moves; those after them go back to where they were without feedback.
    judged : int
        Documents that the feedback judges.
    pending, stamp : FeedbackStamp
        ``pending`` names all that may be moved by the old feedback or the new.
    """

    ids: Sequence[str]
    codes: Codes
    moved: int
    judged: int
    pending: FeedbackStamp
    stamp: FeedbackStamp

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of every document in ``codes``."""
        return {id_: row for row, id_ in enumerate(self.ids)}


@dataclass
class Rewritten:
    """What `smec feedback` has done to an output.

    Parameters
    ----------
    output : str
    judged : int
        Documents that the feedback judges.
    with_vectors : int
        Those of them whose full vectors the dataset has.
    moved : int
        Those of them that are in the output, and are moved now.
    restored : int
        Documents that earlier feedback had moved, and that are back where they were without it.
    """

    output: str
    judged: int
    with_vectors: int
    moved: int = 0
    restored: int = 0

    def count(self, rewrite: Rewrite, ids: Sequence[str]) -> None:
        """Count documents that were rewritten."""
        moved = sum(rewrite.rows[id_] < rewrite.moved for id_ in ids)
        self.moved += moved
        self.restored += len(ids) - moved


def prepare_rewrite(
    compressor: Compressor, codec: Codec, feedback: Feedback, dataset: Path, before: FeedbackStamp | None
) -> Rewrite:
    """Make the new codes from the full vectors in a dataset folder's corpus, of which no others are kept.

    Parameters
    ----------
    compressor : Compressor
    codec : Codec
        What stores the output's vectors.
    feedback : Feedback
    dataset : Path
    before : FeedbackStamp or None
        The feedback in the output so far.

    Raises
    ------
    DataError
        The folder has no corpus, or one without any of these documents, or one of their rows cannot be used.
    """
    check_folder(dataset)
    earlier = frozenset(before.judged if before else ()) - frozenset(feedback.ids)
    found = read_rows(find_corpus(dataset), earlier.union(feedback.ids))
    judged = feedback.judged(found.ids)
    others = np.setdiff1d(np.arange(len(found)), judged)
    ids = [found.ids[row] for row in (*judged, *others)]
    # Apart, so that a second run, which has none to restore, multiplies the same rows as the first.
    small = [
        compressor.encode(
            found.vectors[rows], codec.dim, ids=[found.ids[row] for row in rows], feedback=feedback
        )
        for rows in (judged, others)
        if len(rows)
    ]
    lost = earlier.difference(found.ids)
    return Rewrite(
        ids=ids,
        codes=codec.encode(np.concatenate(small)),
        moved=len(judged),
        judged=len(feedback),
        pending=_stamp(feedback, [*feedback.ids, *earlier], None),
        stamp=_stamp(feedback, [*feedback.ids, *lost], feedback.fingerprint),
    )


def _stamp(feedback: Feedback, judged: Sequence[str], fingerprint: str | None) -> FeedbackStamp:
    return FeedbackStamp(fingerprint=fingerprint, weight=feedback.weight, judged=tuple(sorted(judged)))


def stored_codec(
    compressor: Compressor, name: str, *, model: str, dim: int, codec: str, calibration: str | None
) -> Codec:
    """The codec of an output that this compressor has made, as the stamp of the output tells.

    Raises
    ------
    OutputError
        Another compressor has made it, or another calibration of the codec.
    ConfigError
        The compressor does not serve the size, or lost the calibration.
    """
    if model != compressor.fingerprint:
        raise OutputError(f"{name}: was made by another compressor; name that one")
    stored = compressor.codec(codec, dim)
    tensors = stored.tensors()
    if calibration != (tensors_hash(tensors) if tensors else None):
        raise OutputError(f"{name}: was made with another calibration of {codec}; name that compressor")
    return stored
