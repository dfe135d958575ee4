"""Compress a file of embeddings into another file, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from smec.atomic import check_free
from smec.bulk import arrow, npy, parquet
from smec.bulk.formats import Format
from smec.bulk.pipeline import overlapped
from smec.bulk.tables import METADATA_KEY, compressed_schema
from smec.bulk.uploads import here
from smec.codecs import code_bytes
from smec.compressor import Compressor
from smec.data.blocks import Block, Source
from smec.data.npy import ids_path
from smec.data.places import Location, Place, holds, located, reason
from smec.data.readers import streamed
from smec.encoder import served
from smec.errors import ConfigError, DataError, OutputError
from smec.vectors import Float32Array, check_table, check_vectors

FORMATS: dict[str, Format] = {
    ".parquet": parquet,
    ".arrow": arrow,
    ".feather": arrow,
    ".ipc": arrow,
    ".npy": npy,
}
"""Suffix -> module that writes it."""


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
    output : Path or Place
    """

    rows: int
    input_dim: int
    dim: int
    codec: str
    input_bytes_per_vector: int
    bytes_per_vector: int
    output: Location


def compress(
    compressor: Compressor,
    source: str | Path | Place,
    output: str | Path | Place,
    *,
    dim: int | None = None,
    from_dim: int | None = None,
    codec: str | None = None,
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
        codec that cannot pack the size or is not calibrated for it, or the output is the input or
        lies in its folder.
    DataError
        The input is missing, damaged or of another width, with ``from_dim`` of another compressor, or a row
        cannot be used; names the row.
    OutputError
        ``output`` exists, or the disk refuses. Whatever is raised, no output appears.
    """
    source, output = located(source), located(output)
    width, dim = sizes(compressor, from_dim, dim)
    codec = codec or chosen_codec(compressor, dim)
    bytes_per_vector = code_bytes(codec, dim)
    stored = compressor.codec(codec, dim)
    output_format = _format(output, output.suffix)
    _check_output(source, output, force=force)
    opened = _open(source, width)
    if from_dim is not None:
        check_origin(opened.schema, compressor, from_dim, str(source))
    if output.suffix == ".npy" and not opened.has_ids:
        _check_no_ids(output, force=force)
    schema = compressed_schema(opened.schema, codec=stored, model=compressor.fingerprint)

    def compressed(block: Block) -> Float32Array:
        return compressed_block(compressor, block, from_dim, dim)

    done = input_bytes = 0
    with (
        here(output, force=force) as file,
        output_format.writing(file, opened, schema, force=force) as write,
    ):
        for block in overlapped(opened.blocks, compressed, stored, write):
            done += len(block.vectors)
            input_bytes = block.vectors.itemsize * width
            if progress is not None:
                progress(done, opened.rows)
    return Compressed(done, width, dim, codec, input_bytes, bytes_per_vector, output)


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


def _format(name: Location, suffix: str) -> Format:
    if suffix not in FORMATS:
        raise ConfigError(
            f"{name}: unknown kind of file {suffix!r}; supported are {', '.join(FORMATS)} "
            "and, as an input, a folder of Parquet shards"
        )
    return FORMATS[suffix]


def _open(path: Location, width: int) -> Source:
    try:
        suffix = ".parquet" if path.is_dir() else path.suffix
        _format(path, suffix)
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


def _check_no_ids(output: Location, *, force: bool) -> None:
    """A file of ids that lies there already would be taken for those of an output without any."""
    names = ids_path(output)
    if not names.exists():
        return
    if not force:
        raise OutputError(
            f"{names}: exists already and would be taken for the ids of {output.name}; name another output, "
            "or replace both with --force"
        )
    for place in (output, names):
        if isinstance(place, Place) and place.exists():  # of local files the writer takes care
            place.delete()


def check_origin(schema: pa.Schema, compressor: Compressor, from_dim: int, name: str) -> None:
    """Raise DataError where the input says that another compressor has made it, or another size."""
    note = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if note and (note.get("model"), note.get("dim")) != (compressor.fingerprint, from_dim):
        raise DataError(
            f"{name}: was made by another compressor, or to another size than {from_dim} "
            f"({note.get('dim')}); compress the original embeddings"
        )


def check_apart(source: Location, output: Location) -> None:
    """Raise ConfigError when the output is the input or lies in its folder."""
    if holds(source, output):
        raise ConfigError(f"{output}: is the input or lies in it; name another output")


def compressed_block(compressor: Compressor, block: Block, from_dim: int | None, dim: int) -> Float32Array:
    """Small vectors of a block.

    Raises
    ------
    DataError
        Another width, or a row that cannot be used; names the file and the row.
    """
    width = compressor.input_dim if from_dim is None else from_dim
    check_table(block.vectors, block.name, dim=width)
    try:
        if from_dim is None:
            return compressor.encode(block.vectors, dim)
        return compressor.shrink(block.vectors, dim)
    except DataError as error:
        check_vectors(block.vectors, block.name, first_row=block.first_row)
        # Numbers near the end of float32's range overflow in the product.
        raise DataError(f"{block.name}, in the rows from {block.first_row} on: {error}") from error
