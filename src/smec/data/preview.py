"""A large corpus as a training would hold it, from its first rows alone: to measure, not to learn from."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from smec.data.blocks import Block, Source
from smec.data.dataset import Dataset
from smec.data.folder import SENTENCES, check_folder, find_corpus, find_qrels
from smec.data.qrels import read_qrels
from smec.data.readers import STREAMED, streamed
from smec.data.sample import open_sample, sampled_dataset


@dataclass(frozen=True)
class Preview:
    """A dataset of the size that a training holds.

    Parameters
    ----------
    dataset : Dataset
        The whole, or where the corpus has more rows than a training holds its first rows, under ids that make
        them the judged documents.
    rows : int
        Of the whole corpus.
    further : float
        Seconds that reading the other rows would take.
    """

    dataset: Dataset
    rows: int
    further: float


def open_preview(
    path: Path,
    rows: int,
    *,
    seed: int = 0,
    split: str | None = "train",
    log: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Preview:
    """Open a dataset folder as `smec.data.sample.open_sample` does, and read no more rows than it would hold.

    Raises
    ------
    DataError
        As for `open_sample`, as far as it shows in the rows that are read.
    """
    check_folder(path)
    corpus = find_corpus(path)
    suffix = ".parquet" if corpus.is_dir() else corpus.suffix
    source = streamed(suffix).source(corpus) if suffix in STREAMED else None
    if source is None or not source.has_ids or source.rows <= rows:
        dataset = open_sample(path, rows, seed=seed, split=split, log=log)
        return Preview(dataset, len(dataset.corpus), 0.0)
    files = {name: file for name, file in find_qrels(path).items() if name in (split, SENTENCES)}
    judged = {d for file in files.values() for of in read_qrels(file).values() for d in of}
    count = min(source.rows, max(rows, len(judged)))
    first = replace(source, rows=count, blocks=_under_ids(source, count, sorted(judged)))
    began = clock()
    dataset = sampled_dataset(
        first, str(corpus), path.resolve().name, rows, path, seed=seed, split=split, log=log
    )
    seconds = clock() - began
    return Preview(dataset, source.rows, seconds * (source.rows - count) / count)


def other_ids(count: int, taken: Collection[str]) -> list[str]:
    """Return so many ids that are none of those that are taken."""
    mark = "-"
    while any(id_.startswith(mark) for id_ in taken):
        mark += "-"
    return [f"{mark}{number}" for number in range(count)]


def _under_ids(source: Source, count: int, ids: Sequence[str]) -> Iterator[Block]:
    """The first rows of a source: first those ids, then ones that no judgement names."""
    place, done = source.schema.get_field_index("id"), 0
    every = [*ids, *other_ids(count - len(ids), ids)]
    for block in source.blocks:
        taken = min(len(block.vectors), count - done)
        columns = list(block.columns)
        columns[place] = pa.array(every[done : done + taken])
        yield replace(block, vectors=block.vectors[:taken], columns=columns)
        done += taken
        if done == count:
            return
