"""Other feedback for a compressed file or folder of shards: only the codes of judged documents change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from smec.bulk.formats import FORMATS, format_of
from smec.bulk.locks import locked
from smec.bulk.manifest import MANIFEST_FILE, Manifest, Shard, read_manifest, write_record
from smec.bulk.stored import StoredFile, open_stored
from smec.bulk.tables import METADATA_KEY
from smec.bulk.uploads import file_sha256
from smec.codecs import Codec
from smec.compressor import Compressor
from smec.errors import DataError, OutputError
from smec.feedback import Feedback
from smec.rewriting import Rewrite, Rewritten, prepare_rewrite, stored_codec


def update_output(compressor: Compressor, feedback: Feedback, dataset: Path, output: Path) -> Rewritten:
    """Move the judged documents of an output, and bring back those that only earlier feedback had moved.

    Everything else stays bit for bit, and the output tells of the new feedback. A file is replaced whole. Of
    a folder those shards are replaced that hold such documents; a run that is killed is finished by the same
    call again.

    Parameters
    ----------
    compressor : Compressor
        The one that made the output.
    feedback : Feedback
    dataset : Path
        Dataset folder whose corpus has the full vectors of the documents.
    output : Path
        A ``.parquet``, Arrow IPC or ``.npy`` file, or a folder of shards.

    Raises
    ------
    DataError
        The corpus or the output cannot be used.
    OutputError
        There is no such output, another compressor or none of smec's made it, it is not complete, or the
        disk refuses.
    """
    if output.is_dir():
        return _update_shards(compressor, feedback, dataset, output)
    if output.suffix not in FORMATS or not output.is_file():
        raise OutputError(
            f"{output}: no such output; name a file of {', '.join(FORMATS)}, a folder of shards, or "
            "the URL of a collection"
        )
    if (output.parent / MANIFEST_FILE).exists():
        raise OutputError(f"{output}: is a shard of {output.parent}; name that folder")
    return _update_file(compressor, feedback, dataset, output)


def _update_file(compressor: Compressor, feedback: Feedback, dataset: Path, output: Path) -> Rewritten:
    stored = open_stored(output)
    codec = _codec(compressor, stored.note, output)
    rewrite = prepare_rewrite(
        compressor, codec, feedback, dataset, stored.note.get("feedback"), stored.present
    )
    note = json.dumps({**stored.note, "feedback": rewrite.stamp.model_dump()}).encode()
    _write(stored, stored.schema.with_metadata({**stored.schema.metadata, METADATA_KEY: note}), rewrite)
    return rewrite.done(str(output))


def _update_shards(compressor: Compressor, feedback: Feedback, dataset: Path, folder: Path) -> Rewritten:
    if not (folder / MANIFEST_FILE).exists():
        raise OutputError(
            f"{folder}: holds no {MANIFEST_FILE}; name a folder that `smec compress` has written"
        )
    with locked(folder):
        before = read_manifest(folder)
        if before.state != "complete":
            raise OutputError(f"{folder}: shards are missing; finish it with `smec compress --resume` first")
        files = [open_stored(folder / before.pieces[shard.number].file) for shard in before.shards]

        def present(among: frozenset[str]) -> list[str]:
            return [id_ for file in files for id_ in file.present(among)]

        codec = _codec(compressor, before.model_dump(), folder)
        rewrite = prepare_rewrite(compressor, codec, feedback, dataset, before.feedback, present)
        held = [file.present(rewrite.rows) for file in files]
        _check_whole(folder, before, [shard for shard, ids in zip(before.shards, held, strict=True) if ids])
        # First, so that a run after one that was killed knows all that may be moved.
        write_record(folder / MANIFEST_FILE, before.model_copy(update={"feedback": rewrite.pending}))
        each = zip(before.shards, files, held, strict=True)
        shards = tuple(_update_shard(shard, file, ids, rewrite) for shard, file, ids in each)
        complete = before.model_copy(update={"feedback": rewrite.stamp, "shards": shards})
        write_record(folder / MANIFEST_FILE, complete)
    return rewrite.done(str(folder))


def _check_whole(folder: Path, manifest: Manifest, shards: Sequence[Shard]) -> None:
    """Raise DataError where a shard is not as the manifest says, unless a run was killed that wrote some."""
    if manifest.feedback is not None and manifest.feedback.fingerprint is None:
        return
    for shard in shards:
        file = folder / manifest.pieces[shard.number].file
        if file_sha256(file) != shard.sha256:
            raise DataError(f"{file}: is damaged; make it again with `smec compress --resume`")


def _update_shard(shard: Shard, file: StoredFile, held: Sequence[str], rewrite: Rewrite) -> Shard:
    """Write a shard again if it holds documents to rewrite, and return its new record."""
    if not held:
        return shard.model_copy(update={"moved": 0})
    _write(file, file.schema, rewrite)
    moved = sum(rewrite.rows[id_] < rewrite.moved for id_ in held)
    size, digest = file.path.stat().st_size, file_sha256(file.path)
    return shard.model_copy(update={"bytes": size, "sha256": digest, "moved": moved})


def _write(stored: StoredFile, schema: pa.Schema, rewrite: Rewrite) -> None:
    """Replace a file by itself with other codes in the rows to rewrite."""
    writing = format_of(stored.path.suffix).writing
    with writing(stored.path, stored.source(), schema, force=True) as write:
        for columns, codes in stored.read():
            ids = stored.ids(columns)
            rows = [row for row, id_ in enumerate(ids) if id_ in rewrite.rows]
            if rows:
                codes[rows] = rewrite.codes[[rewrite.rows[ids[row]] for row in rows]]
            write(columns, codes)


def _codec(compressor: Compressor, note: Mapping[str, Any], output: Path) -> Codec:
    return stored_codec(
        compressor,
        str(output),
        model=note["model"],
        dim=note["dim"],
        codec=note["codec"],
        calibration=note.get("calibration"),
    )
