"""A corpus that does not fit into memory: read once, of which a sample and statistics are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smec.data.blocks import Source, alike
from smec.data.columns import string_column
from smec.data.dataset import Dataset, Whole
from smec.data.embeddings import Embeddings
from smec.data.fingerprint import EmbeddingsHash
from smec.data.folder import SENTENCES, check_folder, find_corpus, find_qrels, find_queries
from smec.data.moments import Moments
from smec.data.qrels import read_qrels
from smec.data.query_log import read_log
from smec.data.readers import STREAMED, read_vectors, streamed
from smec.data.sample_file import SampleFile, drawn_as
from smec.errors import DataError
from smec.vectors import FloatArray, IntArray, check_vectors

OnRows = Callable[[int, int], None]

_ALWAYS = -1.0
"""A key below all random ones."""


def open_sample(
    path: str | os.PathLike[str],
    rows: int,
    *,
    seed: int = 0,
    split: str | None = "train",
    progress: OnRows | None = None,
    log: str | os.PathLike[str] | None = None,
    keep: Path | None = None,
) -> Dataset:
    """Open a dataset folder for a training that holds at most ``rows`` rows of the corpus.

    A corpus of more is read once, block by block: its moments and its hash are of all rows, and
    `Dataset.corpus` is a sample. So memory is that of the sample, twice ``rows`` x D numbers at most,
    however many rows there are. ``.jsonl`` and ``.npz`` are opened whole, their vectors as memory maps.

    Parameters
    ----------
    path : path of a dataset folder
    rows : int
        Documents that ``split`` judges, or that have a sentence, are kept beyond them if they are more.
    seed : int
        Of the sample; the same rows as `drawn_rows` takes.
    split : str, optional
        The only split of a sampled dataset besides its sentences, as other judgements may name documents that
        are not in the sample; None: no judgements matter.
    progress : callable, optional
        Called with (rows read, rows in all) after each block.
    log : path, optional
        File, or folder of shards, of queries that nobody judged, beside those of the folder.
    keep : Path, optional
        File that keeps what was read of a corpus of more rows. Where it is there, and the corpus' files are as
        they were, the corpus is not read again.

    Raises
    ------
    DataError
        As for `Dataset.open`. Of ids that occur twice, only those in the sample are noticed.
    """
    folder = Path(path)
    check_folder(folder)
    corpus = find_corpus(folder)
    source = _stream(corpus)
    if source is None or source.rows <= rows:
        return Dataset.open(folder, log=log)
    name = folder.resolve().name
    return sampled_dataset(
        source,
        str(corpus),
        name,
        rows,
        folder,
        seed=seed,
        split=split,
        progress=progress,
        log=log,
        kept=None if keep is None else SampleFile(keep, corpus),
    )


def open_judged_sample(
    path: str | os.PathLike[str], rows: int, *, seed: int = 0, progress: OnRows | None = None
) -> Dataset:
    """Open a dataset folder for an evaluation on at most ``rows`` documents, those that any split judges among them.

    A corpus of more is read once, as by `open_sample`: its moments and its hash are of all rows. Texts of documents
    are left out, and so are sentences. ``.jsonl`` and ``.npz`` are opened whole.

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
    source = _stream(corpus)
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
        sample, known = _read_once(source, str(corpus), rows, judged, seed, progress, None)
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


def _stream(corpus: Path) -> Source | None:
    """A corpus with ids as a stream, None where its format has none."""
    suffix = ".parquet" if corpus.is_dir() else corpus.suffix
    source = streamed(suffix).source(corpus) if suffix in STREAMED else None
    return source if source is not None and source.has_ids else None


def sampled_dataset(
    source: Source,
    place: str,
    name: str,
    rows: int,
    folder: Path | None,
    *,
    seed: int = 0,
    split: str | None = "train",
    progress: OnRows | None = None,
    log: str | os.PathLike[str] | None = None,
    kept: SampleFile | None = None,
) -> Dataset:
    """A sample of an opened corpus, with the queries and the judgements of ``split`` in ``folder``.

    Parameters
    ----------
    source : Source
    place, name : str
        What messages call the corpus, and the dataset.
    rows, seed, split, progress, log
        As for `open_sample`.
    folder : Path, optional
        Of ``queries.*`` and ``qrels/``; None: there are none.
    kept : SampleFile, optional
        What an earlier reading left; ``source`` is read, and kept there, where that is no longer of use.

    Raises
    ------
    DataError
        As for `sampled`, or the corpus changed while it was read.
    """
    every = {} if folder is None else find_qrels(folder)
    files = {n: file for n, file in every.items() if n in (split, SENTENCES)}
    reserved = {query for n, file in every.items() if n not in (split, "train") for query in read_qrels(file)}
    qrels = {n: read_qrels(file) for n, file in files.items()}
    judged = {document for of in qrels.values() for documents in of.values() for document in documents}
    logged = None if log is None else read_log(Path(log))
    queries = None if folder is None else find_queries(folder)
    asked = None if queries is None else read_vectors(queries)
    sample, whole = _read_once(source, place, rows, judged, seed, progress, kept)
    return Dataset(
        sample,
        asked,
        qrels,
        name,
        qrels_files=files,
        whole=whole,
        log=logged,
        reserved=reserved,
    )


def _read_once(
    source: Source,
    place: str,
    rows: int,
    judged: Collection[str],
    seed: int,
    progress: OnRows | None,
    kept: SampleFile | None,
) -> tuple[Embeddings, Whole]:
    """The sample and what is known of all rows: from an earlier reading, or by reading them now."""
    drawn = drawn_as(rows, seed, judged)
    before = None if kept is None else kept.load(place, drawn)
    if before is not None:
        return before
    sample, whole = sampled(source, place, rows, always=judged, seed=seed, progress=progress)
    if (came := whole.moments.rows) != source.rows:
        raise DataError(
            f"{place}: {came:,} rows came, but there were {source.rows:,}; did it change meanwhile?"
        )
    if kept is not None:
        kept.save(sample, whole, drawn)
    return sample, whole


def drawn_rows(total: int, always: IntArray, limit: int, seed: int) -> IntArray:
    """``limit`` of ``total`` rows, ascending: those of ``always``, and others drawn with the seed.

    More than ``limit`` where ``always``, which names no row twice, has more.
    """
    size = max(limit, len(always))
    if total <= size:
        return np.arange(total)
    keys = _keys(seed, 0, total)
    keys[always] = _ALWAYS
    return np.sort(np.argpartition(keys, size - 1)[:size])


def _keys(seed: int, first_row: int, count: int) -> NDArray[np.float64]:
    """A random number from 0 to 1 for each row, whatever the blocks that the rows come in.

    The rows of the smallest numbers are a sample without replacement, and samples of two parts of a
    corpus give one of both.
    """
    generator = np.random.PCG64([seed, 0, 1])
    generator.advance(first_row)
    return np.random.Generator(generator).random(count)


def sampled(
    source: Source,
    name: str,
    rows: int,
    *,
    always: Collection[str] = (),
    seed: int = 0,
    progress: OnRows | None = None,
) -> tuple[Embeddings, Whole]:
    """Read an opened input once: ``rows`` of its rows, in their order, and what is known of all.

    Parameters
    ----------
    source : Source
    name : str
        What messages call the sample.
    rows : int
        More where ``always`` has more.
    always : collection of str
        Ids whose rows are in the sample whatever the seed.
    seed, progress
        As for `open_sample`.

    Raises
    ------
    DataError
        A row cannot be used, the dtype changes midway, or an id is twice in the sample.
    """
    sample = _Reservoir(min(max(rows, len(always)), source.rows))
    moments: Moments | None = None
    digest: EmbeddingsHash | None = None
    place, row = source.schema.get_field_index("id"), 0
    with ThreadPoolExecutor(2) as pool:  # the products take most of the time, the hash much of the rest
        for block in alike(source.blocks):
            ids = string_column(block.columns[place], block.name, "id")
            vectors = check_vectors(block.vectors, block.name, ids=ids, first_row=block.first_row)
            moments = moments or Moments(vectors.shape[1], source.rows)
            digest = digest or EmbeddingsHash(vectors.dtype, (source.rows, vectors.shape[1]))
            counted = pool.submit(moments.add, vectors), pool.submit(digest.add, ids, vectors)
            keys = _keys(seed, row, len(ids))
            keys[[id_ in always for id_ in ids]] = _ALWAYS
            sample.offer(keys, row, ids, vectors)
            row += len(ids)
            for one in counted:
                one.result()
            if progress is not None:
                progress(row, source.rows)
    if moments is None or digest is None:
        raise DataError(f"{name}: holds no vectors (0 rows)")
    return sample.embeddings(name), Whole(moments, digest.hexdigest())


class _Reservoir:
    """The rows of the ``size`` smallest keys that were offered."""

    def __init__(self, size: int) -> None:
        self._keys = np.full(size, np.inf)
        self._rows = np.empty(size, dtype=np.int64)
        self._ids = np.empty(size, dtype=object)
        self._vectors: FloatArray = np.empty((0, 0), dtype=np.float32)

    def offer(
        self, keys: NDArray[np.float64], first_row: int, ids: Sequence[str], vectors: FloatArray
    ) -> None:
        """Take those rows whose keys are smaller than kept ones, in the place of these."""
        size = len(self._keys)
        if not len(self._vectors):
            self._vectors = np.empty((size, vectors.shape[1]), dtype=vectors.dtype)
        able = np.flatnonzero(keys < self._keys.max())
        together = np.concatenate([self._keys, keys[able]])
        stays = np.zeros(len(together), dtype=bool)
        stays[np.argpartition(together, size - 1)[:size]] = True
        free, taken = np.flatnonzero(~stays[:size]), able[stays[size:]]
        self._keys[free], self._rows[free], self._vectors[free] = (
            keys[taken],
            first_row + taken,
            vectors[taken],
        )
        self._ids[free] = [ids[place] for place in taken]

    def embeddings(self, name: str) -> Embeddings:
        """The kept rows, in the order of the corpus."""
        order = np.argsort(self._rows)
        ids, rows = self._ids[order].tolist(), self._rows[order].tolist()
        seen: dict[str, int] = {}
        for id_, row in zip(ids, rows, strict=True):
            if seen.setdefault(id_, row) != row:
                raise DataError(
                    f"{name}: id {id_!r} occurs at row {seen[id_]} and again at row {row}; ids must be unique"
                )
        return Embeddings(ids, self._vectors[order], name=name)
