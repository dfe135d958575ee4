"""Training straight from a collection: read once in pages, of which a sample is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from smec.data import Dataset
from smec.data.blocks import Block, Source
from smec.data.folder import check_folder, find_qrels, find_queries
from smec.data.sample import OnRows, sampled_dataset
from smec.databases import open_collection
from smec.databases.address import parse
from smec.databases.collection import PAGE_ROWS, Collection
from smec.databases.migration import checked_shape
from smec.errors import DataError


@contextmanager
def open_source(url: str) -> Iterator[Source]:
    """A collection as training and others read files: blocks of rows, ids as strings.

    Raises
    ------
    ConfigError, DataError, DatabaseError
        As for the source of `smec.databases.migration.migrate`.
    """
    with open_collection(url) as collection:
        shape = checked_shape(collection)
        kind = pa.list_(pa.float32(), shape.dim)
        schema = pa.schema([("id", pa.string()), ("vector", kind)])
        yield Source(collection.count(), schema, _blocks(collection))


def _blocks(collection: Collection) -> Iterator[Block]:
    row = 0
    for page in collection.pages(PAGE_ROWS):
        ids = pa.array([str(id_) for id_ in page.ids])
        yield Block(collection.name, row, page.vectors, [ids, pa.nulls(len(ids))])
        row += len(ids)


def open_corpus(
    url: str,
    rows: int,
    *,
    queries: str | Path | None = None,
    log: str | Path | None = None,
    seed: int = 0,
    progress: OnRows | None = None,
) -> Dataset:
    """A collection as the corpus of a dataset, of which at most ``rows`` rows are held.

    Parameters
    ----------
    url : str
    rows : int
        Documents that are judged are kept beyond them if they are more.
    queries : path, optional
        Folder of ``queries.*`` and ``qrels/train.*``, as in a dataset folder.
    log : path, optional
        File of queries that nobody judged.
    seed : int
        Of the sample.
    progress : callable, optional
        Called with (rows read, rows in all) after each page.

    Raises
    ------
    ConfigError, DataError, DatabaseError
        As for the source of `smec.databases.migration.migrate`; the folder has no queries or no train
        judgements; or the collection changed while it was read.
    """
    folder = None if queries is None else Path(queries)
    if folder is not None:
        check_folder(folder)
        if find_queries(folder) is None or "train" not in find_qrels(folder):
            raise DataError(f"{folder}: must hold queries.* and qrels/train.tsv")
    place = str(parse(url)).rpartition("#")[2]
    with open_source(url) as source:
        return sampled_dataset(
            source, place, place.partition("?")[0], rows, folder, seed=seed, progress=progress, log=log
        )
