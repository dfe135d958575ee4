"""One cell of a table: a method fitted to a dataset with a seed, and what it scores on the test split.

A cell is computed once and kept in ``benchmarks/results/cells``, so that a benchmark of hours can be
interrupted, and continued elsewhere. Its name is a hash of all that decides it except smec's own
code: use ``--fresh`` after a change of that.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coded_methods import CodedRival, CodedSmec
from benchmarks.methods import Method
from smec import Dataset
from smec.atomic import replacing
from smec.encoder import Encoder
from smec.evaluation import Scorer, exact_search, trec_tie_order
from smec.vectors import FloatArray, normalise
from smec.with_feedback import documents

DEPTH = 10
"""nDCG@10 needs no more."""

_UNITS = 10_000
"""Of the stored nDCG: four decimals."""


@dataclass(frozen=True)
class Cell:
    """What to run.

    Attributes
    ----------
    method : Method, CodedSmec or CodedRival
    dataset : str
        Folder that it is fitted to.
    seed : int
        0 for what is not learned.
    labels : int or None
        Train queries that it may see, drawn with the seed; None: all.
    tuning : bool
        The test split is not touched: three in ten train queries, the same for every seed, stand for it.
    target : str or None
        Folder whose test split is scored, where it is another one.
    """

    method: Method | CodedSmec | CodedRival
    dataset: str
    seed: int = 0
    labels: int | None = None
    target: str | None = None
    tuning: bool = False

    def key(self) -> str:
        """Name of its file."""
        parts = {
            "method": self.method.specification(),
            "dataset": self.dataset,
            "seed": self.seed,
            "labels": self.labels,
            "target": self.target,
            **({"tuning": True} if self.tuning else {}),
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return f"{self.dataset}-{self.method.name.replace(' ', '-')}-{self.seed}-{digest[:12]}"


@dataclass(frozen=True)
class Figures:
    """What a cell gave.

    Attributes
    ----------
    dims : tuple of int
    ndcg : ndarray of shape (sizes, queries)
        nDCG@10 per size and test query.
    fit_seconds, encode_seconds : float
        Of this machine at that hour; encode is the whole corpus at the largest size.
    fallbacks : dict
        Size -> what the gate shipped instead.
    codecs : tuple of str
        What stores the size in the same place, which may then occur more than once; empty: floats.
    held_out : tuple of float
        Score of each on held-out train queries, where there was one.
    """

    dims: tuple[int, ...]
    ndcg: NDArray[np.float64]
    fit_seconds: float
    encode_seconds: float
    fallbacks: dict[str, str]
    codecs: tuple[str, ...] = ()
    held_out: tuple[float, ...] = ()


class Laboratory:
    """Runs cells, or finds them where they were run before.

    Parameters
    ----------
    data : Path
        Folder of dataset folders.
    made : Path
        Folder of the dataset folders that the benchmark makes itself.
    kept : Path
        Folder of finished cells.
    fresh : bool
        Run them again.
    """

    def __init__(self, data: Path, made: Path, kept: Path, *, fresh: bool = False) -> None:
        self._data = data
        self._made = made
        self._kept = kept
        self._fresh = fresh
        self._open: dict[str, Dataset] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Sent to a worker without the data, which it opens itself."""
        return {**self.__dict__, "_open": {}}

    def dataset(self, name: str) -> Dataset:
        """The dataset of this name, opened once."""
        if name not in self._open:
            given = self._data / name
            self._open[name] = Dataset.open(given if given.is_dir() else self._made / name)
        return self._open[name]

    def finished(
        self, method: Method | CodedSmec | CodedRival, dataset: str, seeds: Sequence[int], **rest: Any
    ) -> list[Figures]:
        """Figures of the seeds that were run, all of them after `run_all`; ``rest`` as in `Cell`.

        What is not learned has one seed, 0.
        """
        of_seed = (Cell(method, dataset, seed, **rest) for seed in (seeds if method.learned else [0]))
        return [self.run(cell) for cell in of_seed if (self._kept / f"{cell.key()}.npz").is_file()]

    def run(self, cell: Cell) -> Figures:
        """Figures of a cell."""
        file = self._kept / f"{cell.key()}.npz"
        if not self._fresh and file.is_file():
            return _load(file)
        figures = self._measure(cell)
        self._kept.mkdir(parents=True, exist_ok=True)
        with replacing(file, force=True) as part, part.open("wb") as stream:
            ndcg = np.round(figures.ndcg * _UNITS).astype(np.uint16)
            np.savez_compressed(stream, ndcg=ndcg, about=json.dumps(_about(figures)))
        return _load(file)

    def run_all(self, cells: Sequence[Cell], workers: int) -> Iterator[Cell]:
        """Run the cells that are missing, ``workers`` at a time with a thread each; yield what is done."""
        missing = [cell for cell in cells if self._fresh or not (self._kept / f"{cell.key()}.npz").is_file()]
        yield from (cell for cell in cells if cell not in missing)
        # Not forked: torch's threads do not survive that.
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread) as pool:
            waiting = {pool.submit(self.run, cell): cell for cell in missing}
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        self._fresh = False

    def _measure(self, cell: Cell) -> Figures:
        if not isinstance(cell.method, Method):
            return _coded_figures(cell.method, self.dataset(cell.dataset), cell.seed)
        whole = self.dataset(cell.dataset)
        dataset = parted(whole) if cell.tuning else limited(whole, cell.labels, cell.seed)
        start = time.perf_counter()
        encoder = cell.method.fit(dataset, cell.seed)
        fitted = time.perf_counter()
        scored = dataset if cell.tuning else self.dataset(cell.target or cell.dataset)
        encoder.encode(scored.corpus.vectors)
        encoded = time.perf_counter()
        fallbacks: dict[int, str] = getattr(encoder, "fallbacks", {})
        return Figures(
            dims=encoder.dims,
            ndcg=per_query(scored, encoder),
            fit_seconds=fitted - start,
            encode_seconds=encoded - fitted,
            fallbacks={str(dim): name for dim, name in fallbacks.items()},
        )


def _coded_figures(method: CodedSmec | CodedRival, dataset: Dataset, seed: int) -> Figures:
    start = time.perf_counter()
    stored = method.stored(dataset, seed)
    seconds = time.perf_counter() - start
    return Figures(
        dims=tuple(one.dim for one in stored),
        ndcg=np.array([per_query(dataset, one.encoder)[0] for one in stored]),
        fit_seconds=seconds,
        encode_seconds=0.0,
        fallbacks={},
        codecs=tuple(one.codec for one in stored),
        held_out=tuple(one.held_out for one in stored if one.held_out is not None),
    )


def mean_over_seeds(runs: Sequence[Figures]) -> NDArray[np.float64]:
    """NDCG@10 per size and test query, shape (sizes, queries), mean over the runs."""
    mean: NDArray[np.float64] = np.mean([run.ndcg for run in runs], axis=0)
    return mean


def limited(dataset: Dataset, labels: int | None, seed: int) -> Dataset:
    """The dataset with ``labels`` of its train queries, drawn with the seed."""
    if labels is None:
        return dataset
    judged = dataset.judged("train").ids
    kept = np.random.default_rng([seed, labels]).choice(len(judged), min(labels, len(judged)), replace=False)
    train = {judged[row]: dataset.qrels["train"][judged[row]] for row in np.sort(kept)}
    return Dataset(dataset.corpus, dataset.queries, {"train": train}, dataset.name)


def parted(dataset: Dataset) -> Dataset:
    """The dataset with three in ten of its train queries, at most 1,000, in place of the test split."""
    judged = dataset.judged("train").ids
    order = np.random.default_rng(777).permutation(len(judged))
    count = min(round(0.3 * len(judged)), 1000)
    train = dataset.qrels["train"]
    qrels = {
        split: {judged[row]: train[judged[row]] for row in np.sort(rows)}
        for split, rows in (("test", order[:count]), ("train", order[count:]))
    }
    return Dataset(dataset.corpus, dataset.queries, qrels, dataset.name)


def per_query(dataset: Dataset, encoder: Encoder) -> NDArray[np.float64]:
    """nDCG@10 of every test query at every size, shape (sizes, queries)."""
    corpus = documents(dataset.corpus, encoder)[:]
    return np.array(
        [
            ndcg(
                dataset,
                encoder.encode(corpus, dim),
                lambda rows, d=dim: encoder.encode_queries(rows, d),
            )
            for dim in encoder.dims
        ]
    )


def full_size(dataset: Dataset) -> NDArray[np.float64]:
    """nDCG@10 of every test query with the vectors as they are."""
    return ndcg(dataset, normalise(dataset.corpus.vectors), normalise)


def ndcg(dataset: Dataset, corpus: FloatArray, encode_queries: Any) -> NDArray[np.float64]:
    """nDCG@10 of every test query against an encoded corpus."""
    judged, ids = dataset.judged("test"), dataset.corpus.ids
    scores, rows = exact_search(corpus, encode_queries(judged.vectors), DEPTH, tie_order=trec_tie_order(ids))
    return Scorer(judged, ids)(rows, scores)["nDCG@10"]


def _about(figures: Figures) -> dict[str, Any]:
    return {
        "dims": figures.dims,
        "fit_seconds": figures.fit_seconds,
        "encode_seconds": figures.encode_seconds,
        "fallbacks": figures.fallbacks,
        "codecs": figures.codecs,
        "held_out": figures.held_out,
    }


def _load(file: Path) -> Figures:
    with np.load(file) as stored:
        about = json.loads(str(stored["about"]))
        lists = {name: tuple(value) for name, value in about.items() if isinstance(value, list)}
        return Figures(ndcg=stored["ndcg"] / _UNITS, **{**about, **lists})


def _one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
