"""Training straight from a collection: read once in pages, of which a sample is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from smec.data import Dataset
from smec.data.blocks import Block, Source
from smec.data.folder import check_folder, find_qrels, find_queries
from smec.data.qrels import read_qrels
from smec.data.readers import read_vectors
from smec.data.sample import OnRows, sampled
from smec.databases import open_collection
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
    asked, qrels, files = None, {}, {}
    if queries is not None:
        folder = Path(queries)
        check_folder(folder)
        file = find_queries(folder)
        files = {split: found for split, found in find_qrels(folder).items() if split == "train"}
        if file is None or not files:
            raise DataError(f"{folder}: must hold queries.* and qrels/train.tsv")
        asked, qrels = read_vectors(file), {split: read_qrels(found) for split, found in files.items()}
    judged = {document for of in qrels.values() for documents in of.values() for document in documents}
    with open_source(url) as source:
        corpus, whole = sampled(
            source, url.partition("#")[2], rows, always=judged, seed=seed, progress=progress
        )
        if (came := whole.moments.rows) != source.rows:
            raise DataError(
                f"{corpus.name}: {came:,} rows came, but there were {source.rows:,}; did it change meanwhile?"
            )
    name = url.partition("#")[2].partition("?")[0]
    return Dataset(corpus, asked, qrels, name, qrels_files=files, whole=whole)
