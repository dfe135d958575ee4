"""One cell of a table: a method fitted to a dataset with a seed, and what it scores on the test split.

A cell is computed once and kept in a folder that is not committed, so that a benchmark of hours can
be interrupted. Its name is a hash of all that decides it except smec's own code: use ``--fresh``
after a change of that.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import Method
from smec import Dataset
from smec.atomic import replacing
from smec.encoder import Encoder
from smec.evaluation import Scorer, exact_search, trec_tie_order
from smec.vectors import FloatArray, normalise

DEPTH = 10
"""nDCG@10 needs no more."""


@dataclass(frozen=True)
class Cell:
    """What to run.

    Attributes
    ----------
    method : Method
    dataset : str
        Folder that it is fitted to.
    seed : int
        0 for what is not learned.
    labels : int or None
        Train queries that it may see, drawn with the seed; None: all.
    target : str or None
        Folder whose test split is scored, where it is another one.
    """

    method: Method
    dataset: str
    seed: int = 0
    labels: int | None = None
    target: str | None = None

    def key(self) -> str:
        """Name of its file."""
        parts = {
            "method": self.method.specification(),
            "dataset": self.dataset,
            "seed": self.seed,
            "labels": self.labels,
            "target": self.target,
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
    """

    dims: tuple[int, ...]
    ndcg: NDArray[np.float64]
    fit_seconds: float
    encode_seconds: float
    fallbacks: dict[str, str]


class Laboratory:
    """Runs cells, or finds them where they were run before.

    Parameters
    ----------
    data : Path
        Folder of dataset folders.
    kept : Path
        Folder of finished cells.
    fresh : bool
        Run them again.
    """

    def __init__(self, data: Path, kept: Path, *, fresh: bool = False) -> None:
        self._data = data
        self._kept = kept
        self._fresh = fresh
        self._open: dict[str, Dataset] = {}

    def dataset(self, name: str) -> Dataset:
        """The dataset of this name, opened once."""
        if name not in self._open:
            self._open[name] = Dataset.open(self._data / name)
        return self._open[name]

    def run(self, cell: Cell) -> Figures:
        """Figures of a cell."""
        file = self._kept / f"{cell.key()}.npz"
        if not self._fresh and file.is_file():
            return _load(file)
        figures = self._measure(cell)
        self._kept.mkdir(parents=True, exist_ok=True)
        with replacing(file, force=True) as part, part.open("wb") as stream:
            np.savez(stream, ndcg=figures.ndcg, about=json.dumps(_about(figures)))
        return figures

    def _measure(self, cell: Cell) -> Figures:
        dataset = limited(self.dataset(cell.dataset), cell.labels, cell.seed)
        start = time.perf_counter()
        encoder = cell.method.fit(dataset, cell.seed)
        fitted = time.perf_counter()
        scored = self.dataset(cell.target or cell.dataset)
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


def limited(dataset: Dataset, labels: int | None, seed: int) -> Dataset:
    """The dataset with ``labels`` of its train queries, drawn with the seed."""
    if labels is None:
        return dataset
    judged = dataset.judged("train").ids
    kept = np.random.default_rng([seed, labels]).choice(len(judged), min(labels, len(judged)), replace=False)
    train = {judged[row]: dataset.qrels["train"][judged[row]] for row in np.sort(kept)}
    return Dataset(dataset.corpus, dataset.queries, {"train": train}, dataset.name)


def per_query(dataset: Dataset, encoder: Encoder) -> NDArray[np.float64]:
    """nDCG@10 of every test query at every size, shape (sizes, queries)."""
    return np.array(
        [
            ndcg(
                dataset,
                encoder.encode(dataset.corpus.vectors, dim),
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
    }


def _load(file: Path) -> Figures:
    with np.load(file) as stored:
        about = json.loads(str(stored["about"]))
        return Figures(ndcg=stored["ndcg"], **{**about, "dims": tuple(about["dims"])})
