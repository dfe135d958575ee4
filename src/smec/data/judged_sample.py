"""Sample of a corpus for an evaluation, with all documents that any split judges."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from smec.data.dataset import Dataset, Whole
from smec.data.embeddings import Embeddings
from smec.data.folder import SENTENCES, check_folder, find_corpus, find_qrels, find_queries
from smec.data.qrels import read_qrels
from smec.data.readers import read_vectors
from smec.data.sample import OnRows, drawn_rows, read_once, stream_of


def open_judged_sample(
    path: str | os.PathLike[str], rows: int, *, seed: int = 0, progress: OnRows | None = None
) -> Dataset:
    """Open a dataset folder for an evaluation on at most ``rows`` documents, with all that any split judges.

    A corpus of more is read once, as by `open_sample`: its moments and its hash are of all rows. Texts of
    documents are left out, and so are sentences. ``.jsonl`` and ``.npz`` are opened whole.

    Parameters
    ----------
    path : path of a dataset folder
    rows : int
        All documents that are judged are kept if they are more.
    seed : int
        Of the sample.
    progress : callable, optional
        Called with (rows read, rows in all) after each block.

    Raises
    ------
    DataError
        As for `open_sample`.
    """
    folder = Path(path)
    check_folder(folder)
    corpus = find_corpus(folder)
    source = stream_of(corpus)
    if source is not None and source.rows <= rows:
        return Dataset.open(folder, reading=progress)
    files = {split: file for split, file in find_qrels(folder).items() if split != SENTENCES}
    qrels = {split: read_qrels(file) for split, file in files.items()}
    judged = {document for of in qrels.values() for documents in of.values() for document in documents}
    if source is None:
        whole = Dataset.open(folder, reading=progress)
        if len(whole.corpus) <= rows:
            return whole
        sample, known = _drawn(whole, judged, rows, seed)
    else:
        sample, known = read_once(source, str(corpus), rows, judged, seed, progress, None)
    queries = find_queries(folder)
    return Dataset(
        sample,
        None if queries is None else read_vectors(queries),
        qrels,
        folder.resolve().name,
        qrels_files=files,
        whole=known,
    )


def _drawn(dataset: Dataset, judged: Collection[str], rows: int, seed: int) -> tuple[Embeddings, Whole]:
    """A sample of a corpus that is open, as `sampled` draws it."""
    corpus = dataset.corpus
    always = np.array([row for row, id_ in enumerate(corpus.ids) if id_ in judged], dtype=np.int64)
    kept = drawn_rows(len(corpus), always, rows, seed)
    sample = Embeddings([corpus.ids[row] for row in kept], np.asarray(corpus.vectors[kept]), name=corpus.name)
    return sample, Whole(dataset.moments, dataset.fingerprint()["corpus"])
