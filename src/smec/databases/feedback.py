"""Other feedback for a collection that a migration made: only the vectors of judged documents change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from smec.compressor import Compressor
from smec.databases import open_collection
from smec.databases.address import parse_target
from smec.databases.collection import PAGE_ROWS, Collection, Id, Shape
from smec.errors import DataError, OutputError
from smec.feedback import Feedback
from smec.rewriting import Rewritten, prepare_rewrite, stored_codec
from smec.vectors import row_blocks


def update_collection(compressor: Compressor, feedback: Feedback, dataset: Path, target: str) -> Rewritten:
    """Move the judged documents of a collection, and bring back those that only earlier feedback had moved.

    All other rows stay as they are, and so do payloads; the database updates its index by itself. The stamp
    names all that may be moved before the first row is written, so that a run that was killed is finished by
    the same call again.

    Parameters
    ----------
    compressor : Compressor
        The one that made the collection.
    feedback : Feedback
    dataset : Path
        Dataset folder whose corpus has the full vectors of the documents.
    target : str
        URL, see `smec.databases`.

    Raises
    ------
    ConfigError
        The URL is none, or has options.
    DataError
        There is no such collection, or the corpus cannot be used.
    OutputError
        The collection has no stamp of smec, or that of another compressor.
    DatabaseError
        The database cannot be reached or refuses.
    """
    parse_target(target)
    with open_collection(target) as collection:
        shape = collection.shape()
        if shape is None:
            raise DataError(f"{collection.name}: there is no such collection")
        stamp = collection.stamp()
        if stamp is None:
            raise OutputError(f"{collection.name}: bears no stamp of smec; name one that `smec migrate` made")
        codec = stored_codec(
            compressor,
            collection.name,
            model=stamp.model,
            dim=stamp.dim,
            codec=stamp.codec,
            calibration=stamp.calibration,
        )

        def present(among: frozenset[str]) -> list[str]:
            return _present(collection, shape, sorted(among))

        rewrite = prepare_rewrite(compressor, codec, feedback, dataset, stamp.feedback, present)
        collection.restamp(stamp.model_copy(update={"feedback": rewrite.pending}))
        for block in row_blocks(len(rewrite.ids), PAGE_ROWS):
            collection.replace(_native(rewrite.ids[block], shape), rewrite.codes[block])
        collection.build_index()
        collection.restamp(stamp.model_copy(update={"feedback": rewrite.stamp}))
        return rewrite.done(collection.name)


def _present(collection: Collection, shape: Shape, among: Sequence[str]) -> list[str]:
    """Those of the ids that the collection holds."""
    found: list[str] = []
    for block in row_blocks(len(among), PAGE_ROWS):
        if ids := _native(among[block], shape):
            found += [str(id_) for id_, there in zip(ids, collection.existing(ids), strict=True) if there]
    return found


def _native(ids: Sequence[str], shape: Shape) -> list[Id]:
    """Ids as the collection has them; where they are whole numbers, others cannot be in it."""
    if not pa.types.is_integer(shape.id.type):
        return list(ids)
    return [int(id_) for id_ in ids if re.fullmatch(r"0|-?[1-9]\d{0,17}", id_, re.ASCII)]
