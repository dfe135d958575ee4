"""New codes of the documents of a compressed output that other feedback moves, or that go back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from smec.artefact_files import tensors_hash
from smec.codecs import Codec, Codes
from smec.compressor import Compressor
from smec.data.chosen_rows import read_rows
from smec.data.embeddings import Embeddings
from smec.data.folder import check_folder, find_corpus
from smec.errors import OutputError
from smec.feedback import Feedback, FeedbackStamp

Present = Callable[[frozenset[str]], Iterable[str]]
"""Tells which of these ids an output holds."""


@dataclass(frozen=True)
class Rewrite:
    """Codes to write into an output, and what its stamp says meanwhile and afterwards.

    Parameters
    ----------
    ids : sequence of n str
        Documents of the output, those that feedback moves first.
    codes : ndarray of shape (n, w)
        Their new codes.
    moved : int
        Documents that feedback moves; those after them go back to where they were without feedback.
    judged : int
        Documents that the feedback judges.
    lacking : int
        Judged documents of the output whose full vectors are not at hand, so that they stay as they are.
    pending, stamp : FeedbackStamp
        ``pending`` names all that may be moved by the old feedback or the new.
    """

    ids: Sequence[str]
    codes: Codes
    moved: int
    judged: int
    lacking: int
    pending: FeedbackStamp
    stamp: FeedbackStamp

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of every document in ``codes``."""
        return {id_: row for row, id_ in enumerate(self.ids)}

    def done(self, output: str) -> Rewritten:
        """Report for the user, once all is written."""
        return Rewritten(output, self.judged, self.moved, self.lacking, len(self.ids) - self.moved)


@dataclass(frozen=True)
class Rewritten:
    """Report of `smec feedback` on one output.

    Parameters
    ----------
    output : str
    judged : int
        Documents that the feedback judges.
    moved : int
        Judged documents that are in the output, and are moved now.
    lacking : int
        Judged documents of the output that stay as they are: their full vectors are not at hand.
    restored : int
        Documents that earlier feedback had moved, and that are back where they were without it.
    """

    output: str
    judged: int
    moved: int
    lacking: int
    restored: int


def prepare_rewrite(
    compressor: Compressor,
    codec: Codec,
    feedback: Feedback,
    dataset: Path,
    before: FeedbackStamp | None,
    present: Present,
) -> Rewrite:
    """Make the new codes from the full vectors in a dataset folder's corpus, of which no others are kept.

    Parameters
    ----------
    compressor : Compressor
    codec : Codec
        Codec of the output's vectors.
    feedback : Feedback
    dataset : Path
    before : FeedbackStamp or None
        The feedback in the output so far.
    present : callable
        Tells which documents the output holds.

    Raises
    ------
    DataError
        The folder has no corpus, or one of the rows cannot be used.
    """
    check_folder(dataset)
    earlier = frozenset(before.judged if before else ()).difference(feedback.ids)
    wanted = frozenset(present(earlier.union(feedback.ids)))
    found = read_rows(find_corpus(dataset), wanted)
    ids = [] if found is None else found.ids
    moved = [row for row, id_ in enumerate(ids) if id_ in feedback.rows]
    others = [row for row, id_ in enumerate(ids) if id_ not in feedback.rows]
    small = (
        [] if found is None else [_encoded(compressor, codec, feedback, found, r) for r in (moved, others)]
    )
    lost = wanted.difference(ids)
    return Rewrite(
        ids=[ids[row] for row in (*moved, *others)],
        codes=np.concatenate([part for part in small if len(part)]) if ids else _no_codes(codec),
        moved=len(moved),
        judged=len(feedback),
        lacking=len(lost - earlier),
        pending=_stamp(feedback, earlier, None),
        stamp=_stamp(feedback, lost & earlier, feedback.fingerprint),
    )


def _encoded(
    compressor: Compressor, codec: Codec, feedback: Feedback, found: Embeddings, rows: Sequence[int]
) -> Codes:
    """Codes of some rows. Moved rows come apart, so that every run multiplies the same rows together."""
    if not rows:
        return _no_codes(codec)
    ids = [found.ids[row] for row in rows]
    return codec.encode(compressor.encode(found.vectors[rows], codec.dim, ids=ids, feedback=feedback))


def _no_codes(codec: Codec) -> Codes:
    return np.empty((0, codec.code_bytes), dtype=np.uint8)


def _stamp(feedback: Feedback, others: Collection[str], fingerprint: str | None) -> FeedbackStamp:
    judged = tuple(sorted({*feedback.ids, *others}))
    return FeedbackStamp(fingerprint=fingerprint, weight=feedback.weight, judged=judged)


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
