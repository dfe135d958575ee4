"""Cuts inputs into pieces of about as many rows, where their formats can be read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smec.bulk.manifest import InputFile, Piece, input_file
from smec.data.blocks import Rows
from smec.data.columns import columns_beside
from smec.data.places import Location, Place, at_once, matching, reason
from smec.data.readers import STREAMED, streamed
from smec.errors import DataError


def find_inputs(source: Location) -> list[Location]:
    """The files of an input, in the order of their names: a file, all that a folder or a glob holds.

    Raises
    ------
    DataError
        There is none, or files of different kinds, or the store does not answer.
    """
    try:
        found = _found(source)
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {reason(error)}") from error
    if not found:
        kinds = ", ".join(STREAMED)
        raise DataError(f"{source}: no such file, and no files of {kinds} by this name or in this folder")
    suffixes = sorted({file.suffix for file in found})
    if len(suffixes) > 1:
        raise DataError(f"{source}: files of different kinds, {', '.join(suffixes)}; name those of one kind")
    if suffixes[0] not in STREAMED:
        raise DataError(
            f"{source}: unknown kind of file {suffixes[0]!r}; supported are {', '.join(STREAMED)}"
        )
    return found


def _found(source: Location) -> list[Location]:
    if source.is_dir():
        inside = (
            child
            for child in source.iterdir()
            if child.suffix in STREAMED and not child.name.startswith(".") and not child.is_dir()
        )
        return sorted(inside, key=lambda child: child.parts)
    if source.exists():
        return [source] if isinstance(source, Place) or source.is_file() else []
    return matching(source)


def cut(files: Sequence[Location], rows_per_shard: int) -> tuple[tuple[InputFile, ...], tuple[Piece, ...]]:
    """Inputs, and pieces of at most ``rows_per_shard`` rows unless the format has them in one lump.

    Raises
    ------
    DataError
        A file is damaged, has other columns than the first one, or none holds vectors.
    """
    inputs: list[InputFile] = []
    pieces: list[Piece] = []
    looked = list(at_once(lambda file: _looked_at(file, rows_per_shard), files))
    for place, (found, lumps, columns) in enumerate(looked):
        if columns != looked[0][2]:
            raise DataError(
                f"{found.path}: has the columns {', '.join(columns)}, but {inputs[0].path} "
                f"{', '.join(looked[0][2])}; compress them apart"
            )
        inputs.append(found)
        for first_row, rows in _joined(lumps, rows_per_shard):
            pieces.append(Piece(number=len(pieces), input=place, first_row=first_row, rows=rows))
    if not pieces:
        raise DataError(f"{files[0]}: holds no vectors (0 rows)")
    return tuple(inputs), tuple(pieces)


def _looked_at(file: Location, most: int) -> tuple[InputFile, list[int], list[str]]:
    lumps = streamed(file.suffix).lumps(file, most)
    rows = Rows(0, sum(lumps))  # known, so that no file without an index is read once more for it
    columns = columns_beside(streamed(file.suffix).source(file, rows=rows).schema)
    return input_file(file, rows.count), lumps, columns


def _joined(lumps: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """(first row, rows) of neighbouring lumps together, a larger lump alone."""
    first = rows = 0
    for lump in lumps:
        if rows and rows + lump > most:
            yield first, rows
            first, rows = first + rows, 0
        rows += lump
    if rows:
        yield first, rows
