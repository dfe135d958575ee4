"""What a method scored: nDCG@10 per size and test query, and how it is measured and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smec import Dataset
from smec.atomic import replacing
from smec.encoder import Encoder
from smec.evaluation import Scorer, exact_search, trec_tie_order
from smec.vectors import FloatArray, normalise
from smec.with_feedback import documents

DEPTH = 10
"""nDCG@10 needs no more."""

SHIPPED = "shipped"
"""Variant of a training that a user gets: with the gate, where there is one."""

_UNITS = 10_000
"""Of the stored nDCG: four decimals."""


@dataclass(frozen=True)
class Figures:
    """What a cell gave; a size occurs once for each variant and codec.

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
        What stores the size in the same place; empty: floats.
    held_out : tuple of float
        Score of each on held-out train queries, where there was one.
    variants : tuple of str
        Encoder that the size in the same place belongs to, of several from one training; empty: there is one.
    new : tuple of bool
        Where held-out train queries stand for the test split: whether each asks for new documents.
    """

    dims: tuple[int, ...]
    ndcg: NDArray[np.float64]
    fit_seconds: float
    encode_seconds: float
    fallbacks: dict[str, str]
    codecs: tuple[str, ...] = ()
    held_out: tuple[float, ...] = ()
    variants: tuple[str, ...] = ()
    new: tuple[bool, ...] = ()

    def of_variant(self, variant: str) -> Figures | None:
        """The figures of one variant; None if the training has no such variant."""
        if not self.variants:
            return self if variant == SHIPPED else None
        places = [place for place, name in enumerate(self.variants) if name == variant]
        if not places:
            return None
        return replace(
            self,
            dims=tuple(self.dims[place] for place in places),
            ndcg=self.ndcg[places],
            fallbacks=self.fallbacks if variant == SHIPPED else {},
            variants=(),
        )

    def of_queries(self, members: NDArray[np.bool_]) -> Figures:
        """The figures of some of the test queries."""
        return replace(self, ndcg=self.ndcg[:, members])


class Scored(Protocol):
    """What has nDCG@10 per size and test query."""

    @property
    def ndcg(self) -> NDArray[np.float64]:
        """Of shape (sizes, queries)."""


def mean_over_seeds(runs: Sequence[Scored]) -> NDArray[np.float64]:
    """NDCG@10 per size and test query, shape (sizes, queries), mean over the runs."""
    mean: NDArray[np.float64] = np.mean([run.ndcg for run in runs], axis=0)
    return mean


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


def save(figures: Figures, file: Path) -> None:
    """Write figures to a file, whole or not at all."""
    about = {name: value for name, value in asdict(figures).items() if name != "ndcg"}
    with replacing(file, force=True) as part, part.open("wb") as stream:
        units = np.round(figures.ndcg * _UNITS).astype(np.uint16)
        np.savez_compressed(stream, ndcg=units, about=json.dumps(about))


def load(file: Path) -> Figures:
    """Read figures from a file."""
    with np.load(file) as stored:
        about = json.loads(str(stored["about"]))
        lists = {name: tuple(value) for name, value in about.items() if isinstance(value, list)}
        return Figures(ndcg=stored["ndcg"] / _UNITS, **{**about, **lists})
