"""Compress a file of embeddings into another file, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from smec.atomic import check_free
from smec.bulk import npy
from smec.bulk.encoding import BlockEncoder, check_feedback, check_ids, check_origin, numbered
from smec.bulk.formats import FORMATS, Format, format_of
from smec.bulk.pipeline import overlapped
from smec.bulk.tables import compressed_schema
from smec.bulk.uploads import here
from smec.codecs import Codec, code_bytes
from smec.compressor import Compressor
from smec.data.blocks import Block, Source
from smec.data.npy import ids_path
from smec.data.places import Location, Place, holds, located, reason
from smec.data.readers import streamed
from smec.encoder import served
from smec.errors import ConfigError, DataError, OutputError

if TYPE_CHECKING:
    from smec.feedback import Feedback


@dataclass(frozen=True)
class Compressed:
    """What `compress` has written.

    Parameters
    ----------
    rows : int
    input_dim, dim : int
        Width of the vectors that were read, and of those that were written.
    codec : str
    input_bytes_per_vector, bytes_per_vector : int
        Of the vectors themselves, before and after.
    moved, judged : int or None
        Documents that feedback has moved, and those that it judges, in the input or not; None without it.
    output : Path or Place
    """

    rows: int
    input_dim: int
    dim: int
    codec: str
    input_bytes_per_vector: int
    bytes_per_vector: int
    moved: int | None
    judged: int | None
    output: Location


def compress(
    compressor: Compressor,
    source: str | Path | Place,
    output: str | Path | Place,
    *,
    dim: int | None = None,
    from_dim: int | None = None,
    codec: str | None = None,
    feedback: Feedback | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Compressed:
    """Write the embeddings of ``source`` to ``output``, smaller; memory does not grow with the rows.

    Parameters
    ----------
    compressor : Compressor
    source : str, Path or Place
        ``.parquet``, a folder of Parquet shards, ``.arrow``, ``.feather``, ``.ipc`` (Arrow IPC,
        file or stream), or ``.npy``, with or without ``<stem>.ids.txt`` beside it. A string may be the URI of
        a store that pyarrow or fsspec can reach, such as ``s3://bucket/corpus.parquet``.
    output : str, Path or Place
        Of any of these kinds but a folder. Tables keep all their columns and metadata, with the
        compressed vectors in the place of ``vector``, as ``code`` if they are no floats; ``.npy``
        keeps vectors and ids. A table from ``.npy`` without ids has the row numbers as ids.
    dim : int, optional
        Size to write; by default that of the compressor's `Choice`, else the largest served, with
        ``from_dim`` the smallest.
    from_dim : int, optional
        The input holds vectors that this compressor has already compressed to this size.
    codec : str, optional
        How a vector is stored, one of ``compressor.codecs``; by default that of the compressor's
        `Choice` if the size is its own, else "float32".
    feedback : Feedback, optional
        Moves judged documents, known by their ids; the others are written bit for bit as without it. The
        metadata of a table tells of it, ``<stem>.smec.json`` beside a ``.npy`` file.
    force : bool
        Replace ``output`` if it exists.
    progress : callable, optional
        Called with (rows done, rows in all) after each block of rows.

    Returns
    -------
    Compressed

    Raises
    ------
    ConfigError
        A size that is not served or cannot be made from ``from_dim``, an unknown codec or suffix, a
        codec that cannot pack the size or is not calibrated for it, feedback with ``from_dim``, or the
        output is the input or lies in its folder.
    DataError
        The input is missing, damaged or of another width, with ``from_dim`` of another compressor, with
        feedback without ids, or a row cannot be used; names the row.
    OutputError
        ``output`` exists, or the disk refuses. Whatever is raised, no output appears.
    """
    job = prepare(
        compressor, source, output, dim=dim, from_dim=from_dim, codec=codec, feedback=feedback, force=force
    )
    if job.output.suffix == ".npy":
        _clear_beside(job.output, ids=job.opened.has_ids, note=feedback is not None)
    done = input_bytes = 0
    encoder = job.encoder()
    with (
        here(job.output, force=force) as file,
        job.format.writing(file, job.opened, job.schema, force=force) as write,
    ):
        for block in overlapped(job.blocks, encoder, job.stored, write):
            done += len(block.vectors)
            input_bytes = block.vectors.itemsize * job.width
            if progress is not None:
                progress(done, job.opened.rows)
    return Compressed(
        rows=done,
        input_dim=job.width,
        dim=job.stored.dim,
        codec=job.stored.name,
        input_bytes_per_vector=input_bytes,
        bytes_per_vector=job.stored.code_bytes,
        moved=None if feedback is None else encoder.moved,
        judged=None if feedback is None else len(feedback),
        output=job.output,
    )


@dataclass(frozen=True)
class FileJob:
    """A compression of one file that has been checked, and has not begun.

    Parameters
    ----------
    compressor : Compressor
    opened : Source
    output : Path or Place
    width : int
        Of the vectors that are read.
    from_dim : int or None
    stored : Codec
        What stores the vectors that are written.
    feedback : Feedback or None
    schema : pyarrow.Schema
        Of the output.
    """

    compressor: Compressor
    opened: Source
    output: Location
    width: int
    from_dim: int | None
    stored: Codec
    feedback: Feedback | None
    schema: pa.Schema

    @property
    def format(self) -> Format:
        """Format that writes the output."""
        return format_of(self.output.suffix)

    @property
    def blocks(self) -> Iterator[Block]:
        """Rows of the input; a `.npy` output has no place for numbers that nobody gave."""
        with_ids = self.opened.has_ids or self.output.suffix == ".npy"
        return self.opened.blocks if with_ids else numbered(self.opened)

    def encoder(self) -> BlockEncoder:
        """Return what compresses the blocks."""
        column = self.opened.schema.get_field_index("id")
        return BlockEncoder(self.compressor, self.stored.dim, self.from_dim, self.feedback, column)


def prepare(
    compressor: Compressor,
    source: str | Path | Place,
    output: str | Path | Place,
    *,
    dim: int | None = None,
    from_dim: int | None = None,
    codec: str | None = None,
    feedback: Feedback | None = None,
    force: bool = False,
) -> FileJob:
    """Check all that `compress` checks before it writes; arguments and errors are its own."""
    source, output = located(source), located(output)
    width, dim = sizes(compressor, from_dim, dim)
    codec = codec or chosen_codec(compressor, dim)
    check_feedback(feedback, compressor, from_dim)
    code_bytes(codec, dim)  # says why it cannot pack the size
    stored = compressor.codec(codec, dim)
    _check_kind(output, output.suffix)
    _check_output(source, output, force=force)
    opened = _open(source, width)
    if from_dim is not None:
        check_origin(opened.schema, compressor, from_dim, str(source))
    check_ids(opened, feedback, str(source))
    if output.suffix == ".npy":
        _check_beside(output, ids=opened.has_ids, note=feedback is not None, force=force)
    schema = compressed_schema(
        opened.schema,
        codec=stored,
        model=compressor.fingerprint,
        feedback=feedback.stamp if feedback else None,
    )
    return FileJob(compressor, opened, output, width, from_dim, stored, feedback, schema)


def chosen_codec(compressor: Compressor, dim: int) -> str:
    """What stores a size where nothing else is asked for."""
    choice = compressor.manifest.choice
    return choice.chosen.codec if choice is not None and choice.chosen.dim == dim else "float32"


def sizes(compressor: Compressor, from_dim: int | None, dim: int | None) -> tuple[int, int]:
    """Width of the vectors to read, and of those to write."""
    dims, name, choice = compressor.dims, compressor.name, compressor.manifest.choice
    if from_dim is None:
        if dim is None and choice is not None:
            dim = choice.chosen.dim
        return compressor.input_dim, served(dim, dims, name)
    smaller = dims[-1] if dim is None else dim
    return served(from_dim, dims, name), served(smaller, dims, name)


def _check_kind(name: Location, suffix: str) -> None:
    if suffix not in FORMATS:
        raise ConfigError(
            f"{name}: unknown kind of file {suffix!r}; supported are {', '.join(FORMATS)} "
            "and, as an input, a folder of Parquet shards"
        )


def _open(path: Location, width: int) -> Source:
    try:
        suffix = ".parquet" if path.is_dir() else path.suffix
        _check_kind(path, suffix)
        if not path.exists():
            raise DataError(f"{path}: no such file")
        source = streamed(suffix).source(path, width)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from error
    if not source.rows:
        raise DataError(f"{path}: holds no vectors (0 rows)")
    return source


def _check_output(source: Location, output: Location, *, force: bool) -> None:
    check_apart(source, output)
    try:
        if output.is_dir():
            raise OutputError(f"{output}: is a folder; name a file")
        if isinstance(output, Path):
            check_free(output, force=force)
        elif not force and output.exists():
            raise OutputError(f"{output}: exists already; name another output, or replace it with --force")
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {reason(error)}") from error


def _check_beside(output: Location, *, ids: bool, note: bool, force: bool) -> None:
    """A file beside the output that lies there already would be taken for that of an output without one."""
    for written, beside, what in ((ids, ids_path(output), "ids"), (note, npy.note_path(output), "note")):
        if written or not beside.exists():
            continue
        if not force:
            raise OutputError(
                f"{beside}: exists already and would be taken for the {what} of {output.name}; name another "
                "output, or replace both with --force"
            )


def _clear_beside(output: Location, *, ids: bool, note: bool) -> None:
    """Remove such a file in a store, with its output; of local files the writer takes care."""
    for written, beside in ((ids, ids_path(output)), (note, npy.note_path(output))):
        if not written and isinstance(beside, Place) and beside.exists():
            for place in (output, beside):
                if isinstance(place, Place) and place.exists():
                    place.delete()


def check_apart(source: Location, output: Location) -> None:
    """Raise ConfigError when the output is the input or lies in its folder."""
    if holds(source, output):
        raise ConfigError(f"{output}: is the input or lies in it; name another output")
