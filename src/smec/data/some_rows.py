"""Some rows of embeddings of any size: those of given ids, and blocks drawn at random; or all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smec.data.blocks import Block, Rows, Source, Streamed
from smec.data.readers import STREAMED, streamed
from smec.errors import DataError
from smec.vectors import BLOCK_ROWS, FloatArray, check_vectors, normalise

DRAWN_BLOCKS = 8
"""Blocks of rows that are drawn: of a large corpus, 65,536 rows."""

OnRows = Callable[[int, int], None]


@dataclass
class SomeRows:
    """What was read of a file of embeddings, or of a folder of Parquet shards.

    Parameters
    ----------
    name : str
        For messages.
    named : dict of str to ndarray of shape (D,)
        The vectors of those ids that were asked for and found.
    total : ndarray of shape (D,), float64
        Sum of the unit-length rows that were read.
    rows, all_rows : int
        Rows read, and rows that there are.
    files, all_files : int
        Files that rows were read of, and files that there are.
    """

    name: str
    named: dict[str, FloatArray] = field(default_factory=dict)
    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    rows: int = 0
    all_rows: int = 0
    files: int = 0
    all_files: int = 0

    @property
    def dim(self) -> int:
        """D."""
        return len(self.total)


def can_be_sampled(path: Path) -> bool:
    """Whether some rows of ``path`` can be read without the others."""
    return path.is_dir() or path.suffix in STREAMED


def some_rows(
    path: Path,
    ids: Collection[str],
    *,
    everything: bool = False,
    seed: int = 0,
    progress: OnRows | None = None,
) -> SomeRows:
    """Read the rows with some ids and a few blocks drawn at random, and check all that is read.

    The ids of all rows are looked at, but only the vectors of those blocks: of `DRAWN_BLOCKS`, and of each that
    stands between the start of a part of a file and a row with one of the ids. Memory is that of a block.

    Parameters
    ----------
    path : Path
        Of a kind that `can_be_sampled`: Parquet, Arrow IPC, ``.npy``, or a folder of Parquet shards.
    ids : collection of str
        Not looked for where the file has none of its own.
    everything : bool
        Read all rows.
    seed : int
        Of the blocks.
    progress : callable, optional
        Called with (rows read, rows that are to be read) after each block.

    Raises
    ------
    DataError
        The file cannot be used, or a row that was read cannot.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    reader = streamed(".parquet" if path.is_dir() else path.suffix)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: holds no *.parquet shards")
    parts = [part for file in files for part in _parts(reader, file)]
    if not parts:
        raise DataError(f"{path}: holds no vectors (0 rows)")
    has_ids = reader.source(files[0]).has_ids
    wanted = _places(reader, files, ids) if has_ids else {}
    chosen = parts if everything else _chosen(parts, wanted, seed)
    found = SomeRows(str(path), all_rows=sum(part.rows.count for part in parts), all_files=len(files))
    due = sum(part.due for part in chosen)
    for part in chosen:
        for block in _blocks(reader.source(part.file, found.dim or None, part.rows, ids=has_ids), part.due):
            _count(found, block, wanted.get(part.file, {}))
            if progress is not None:
                progress(found.rows, due)
    found.files = len({part.file for part in chosen})
    return found


@dataclass(frozen=True)
class _Part:
    """Rows of a file that can be read without those before them, and how many of them are to be read."""

    file: Path
    rows: Rows
    due: int


def _parts(reader: Streamed, file: Path) -> Iterator[_Part]:
    first = 0
    for count in reader.lumps(file, BLOCK_ROWS):
        if count:
            yield _Part(file, Rows(first, count), count)
        first += count


def _chosen(parts: Sequence[_Part], wanted: dict[Path, dict[int, str]], seed: int) -> list[_Part]:
    """The parts of wanted rows as far as the last of these, and the first block of some others."""
    drawn = np.random.default_rng(seed).choice(len(parts), min(DRAWN_BLOCKS, len(parts)), replace=False)
    due = {int(place): BLOCK_ROWS for place in drawn}
    for place, part in enumerate(parts):
        behind = [row + 1 - part.rows.first for row in wanted.get(part.file, {})]
        within = [row for row in behind if 0 < row <= part.rows.count]
        if within:
            blocks = -(-max(within) // BLOCK_ROWS)
            due[place] = max(due.get(place, 0), blocks * BLOCK_ROWS)
    return [
        _Part(parts[place].file, parts[place].rows, min(parts[place].rows.count, due[place]))
        for place in sorted(due)
    ]


def _places(reader: Streamed, files: Sequence[Path], ids: Collection[str]) -> dict[Path, dict[int, str]]:
    """Rows of the ids in each file."""
    wanted = pa.array(sorted(ids), pa.large_string())
    found: dict[Path, dict[int, str]] = {}
    for file in files if len(wanted) else ():
        first = 0
        for column in reader.ids(file):
            strings = column.cast(pa.large_string())
            rows = np.flatnonzero(pc.is_in(strings, value_set=wanted).to_numpy(zero_copy_only=False))
            for row in rows.tolist():
                found.setdefault(file, {})[first + row] = strings[row].as_py()
            first += len(column)
    return found


def _blocks(source: Source, due: int) -> Iterator[Block]:
    """The first blocks of a source, until ``due`` rows have come."""
    came = 0
    for block in source.blocks:
        yield block
        came += len(block.vectors)
        if came >= due:
            return


def _count(found: SomeRows, block: Block, wanted: dict[int, str]) -> None:
    vectors = check_vectors(block.vectors, block.name, first_row=block.first_row, dim=found.dim or None)
    if not found.dim:
        found.total = np.zeros(vectors.shape[1])
    found.total += normalise(vectors).sum(axis=0, dtype=np.float64)
    found.rows += len(vectors)
    for row, id_ in wanted.items():
        if 0 <= row - block.first_row < len(vectors):
            found.named[id_] = np.array(vectors[row - block.first_row])
