"""The no-harm gate: what every size ships, by what it scored on held-out queries (design section 4).

With labels a size ships the trained map only if that is, on new documents, not below PCA, nor significantly
below another baseline, and over all held-out queries significantly better than PCA. Otherwise it ships PCA,
or the baseline that is better than PCA. Without labels it ships the map where PCA loses many neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smec.artefact import SizeMetrics, Validation
from smec.card import FEWEST_TOLD, KEPT
from smec.config import CorpusKind
from smec.evaluation.intervals import bootstrap_interval
from smec.training.validation import HeldOut
from smec.vectors import Float32Array

Scores = NDArray[np.float64]

LEVEL = 0.05
"""Significance level of the paired t-tests."""

LEVEL_SHARED = 0.25
"""Level for a single size where the mean over all sizes is better at `LEVEL`: the sizes are prefixes of one
matrix, so that what is sure of their mean makes a gain of each more likely."""

LEVEL_BEST = 0.01
"""Level for the best of many checks on the same held-out queries or documents."""

LOST = 0.1
"""Share of neighbours that a map whose teacher has weakened axes may keep fewer than PCA: such a teacher
changes neighbours on purpose. A map that loses more went wrong."""


@dataclass(frozen=True)
class Linear:
    """A matrix of shape (D, d), and a bias of shape (d,) that is added to the product of a unit vector.

    ``query`` is the matrix of queries, of the same shape, where they have their own.
    """

    matrix: Float32Array
    bias: Float32Array | None = None
    query: Float32Array | None = None

    @property
    def asking(self) -> Float32Array:
        """The matrix of queries."""
        return self.matrix if self.query is None else self.query

    def leading(self, dim: int) -> Linear:
        """The map to the leading ``dim`` columns."""
        return Linear(
            self.matrix[:, :dim],
            None if self.bias is None else self.bias[:dim],
            None if self.query is None else self.query[:, :dim],
        )


@dataclass(frozen=True)
class Candidates:
    """Ways to make one size from the originals."""

    smec: Linear
    fallbacks: Mapping[str, Linear]
    """Baselines as they can be shipped for this size, "pca" among them."""
    rivals: Mapping[str, Linear]
    """Baselines that the size has to beat, by the same names."""

    def shipped(self, method: str) -> Linear:
        """Return what a size ships by this method: "smec", or the name of a fallback."""
        return self.smec if method == "smec" else self.fallbacks[method]


@dataclass(frozen=True)
class Measured:
    """Scores of one size's `Candidates`, an array with an entry per held-out query each."""

    full: Scores
    """Scores of the full vectors."""
    smec: Scores
    fallbacks: Mapping[str, Scores]
    rivals: Mapping[str, Scores]
    new: NDArray[np.bool_]
    """Queries that ask for documents that are relevant to no fitted query."""

    def of(self, queries: NDArray[np.bool_]) -> Measured:
        """Return the scores of some of the queries."""
        return Measured(
            self.full[queries],
            self.smec[queries],
            {name: scores[queries] for name, scores in self.fallbacks.items()},
            {name: scores[queries] for name, scores in self.rivals.items()},
            self.new[queries],
        )

    def joined(self, other: Measured) -> Measured:
        """Return the scores of these queries, then those of the others."""
        return Measured(
            np.concatenate([self.full, other.full]),
            np.concatenate([self.smec, other.smec]),
            {name: np.concatenate([of, other.fallbacks[name]]) for name, of in self.fallbacks.items()},
            {name: np.concatenate([of, other.rivals[name]]) for name, of in self.rivals.items()},
            np.concatenate([self.new, other.new]),
        )


def measure(
    candidates: Mapping[int, Candidates], held_out: HeldOut, codec: str | None = None
) -> dict[int, Measured]:
    """Score every size, dim -> its `Candidates`, on the held-out data, all stored by the same codec."""
    full, new = held_out.full(), np.arange(held_out.count) < held_out.new
    found = {}
    for dim, of_size in candidates.items():
        trained = _scores(of_size.smec, held_out, codec)
        rivals = {name: _scores(linear, held_out, codec) for name, linear in of_size.rivals.items()}
        fallbacks = rivals
        if of_size.fallbacks is not of_size.rivals:
            fallbacks = {name: _scores(linear, held_out, codec) for name, linear in of_size.fallbacks.items()}
        found[dim] = Measured(full, trained, fallbacks, rivals, new)
    return found


def _scores(linear: Linear, held_out: HeldOut, codec: str | None) -> Scores:
    return held_out.scores(linear.matrix, codec, linear.bias, linear.query)


def judge(
    sizes: Mapping[int, Measured],
    metric: str,
    *,
    enabled: bool = True,
    corpus: CorpusKind = "growing",
    unjudged: Mapping[int, Measured] | None = None,
    asked: Literal["queries", "documents"] = "queries",
    weakened: bool = False,
    agreement: Mapping[int, Measured] | None = None,
) -> Validation:
    """Decide what every size ships.

    Parameters
    ----------
    sizes : mapping
        dim -> what was `measure`d.
    metric : str
        What it was measured with.
    enabled : bool
        Without the gate every size ships "smec"; the figures are the same.
    corpus : {"growing", "fixed"}
        Whether new documents decide, or all held-out queries.
    unjudged : mapping, optional
        With a fixed corpus: dim -> what was measured on new documents. It is told and decides nothing.
    asked : {"queries", "documents"}
        Without labels: whose neighbours were looked for.
    weakened : bool
        Without labels: whether the map learned from a teacher with weakened axes. Otherwise it ships only
        where it keeps significantly more neighbours than every baseline.
    agreement : mapping, optional
        For a map that read no label, beside judged queries: dim -> overlap@10 of held-out queries. A size
        then ships the map as without labels, if it is not significantly below PCA.
    """
    if metric == "overlap@10":
        methods = {dim: _without_labels(size, asked, weakened) for dim, size in sizes.items()}
    else:
        methods = _with_labels(sizes, corpus)
        for dim, logged in (agreement or {}).items():
            if _without_labels(logged, "queries", weakened) == "smec" and _not_worse(sizes[dim], corpus):
                methods[dim] = "smec"
    if not enabled:
        methods = dict.fromkeys(sizes, "smec")
    first = next(iter(sizes.values()))
    return Validation.model_validate(
        {
            "metric": metric,
            "queries": len(first.full),
            "corpus": corpus if metric == "ndcg@10" else None,
            "asked": asked,
            "sizes": tuple(
                _described(
                    dim,
                    methods[dim],
                    size,
                    metric,
                    None if unjudged is None else unjudged[dim],
                    None if agreement is None else agreement[dim],
                )
                for dim, size in sizes.items()
            ),
        }
    )


def _without_labels(size: Measured, asked: Literal["queries", "documents"], weakened: bool) -> str:
    # Overlap is not relevance: the map ships only where PCA loses much.
    pca = size.rivals["pca"].mean()
    if weakened:
        enough = size.smec.mean() >= pca - LOST
    else:
        enough = all(beats(size.smec, rival, LEVEL_BEST) for rival in size.rivals.values())
    if enough and pca < KEPT[asked]:
        return "smec"
    # PCA where truncation is not significantly better: it is the safer of the two.
    better = beats(size.fallbacks["truncate"], size.fallbacks["pca"], LEVEL_BEST)
    return "truncate" if better else "pca"


def _not_worse(size: Measured, corpus: CorpusKind) -> bool:
    """Whether judged queries, those for new documents in a growing corpus, do not put the map below PCA."""
    of = size.of(size.new) if corpus == "growing" else size
    return not significant(of.rivals["pca"] - of.smec, LEVEL)


def _with_labels(sizes: Mapping[int, Measured], corpus: CorpusKind) -> dict[int, str]:
    allowed = _better(sizes)
    if corpus == "growing":
        new = {dim: size.of(size.new) for dim, size in sizes.items()}
        enough = len(next(iter(new.values())).full) >= FEWEST_TOLD
        allowed &= {dim for dim, size in new.items() if enough and _harmless(size)}
    return {dim: "smec" if dim in allowed else _fallback(size) for dim, size in sizes.items()}


def _harmless(size: Measured) -> bool:
    """Whether the map's mean is not below PCA's, and not significantly below another baseline's."""
    if size.smec.mean() < size.rivals["pca"].mean():
        return False
    return not any(significant(rival - size.smec, LEVEL) for rival in size.rivals.values())


def _fallback(size: Measured) -> str:
    """PCA, or the baseline of the best mean among those that are significantly better."""
    pca = size.fallbacks["pca"]
    better = {name: scores.mean() for name, scores in size.fallbacks.items() if beats(scores, pca, LEVEL)}
    return max(better, key=lambda name: better[name], default="pca")


def _better(sizes: Mapping[int, Measured]) -> set[int]:
    """Sizes whose map is below no baseline in the mean and significantly better than PCA."""
    gains = {dim: size.smec - size.rivals["pca"] for dim, size in sizes.items()}
    shared = significant(np.mean(list(gains.values()), axis=0), LEVEL)
    return {
        dim
        for dim, gain in gains.items()
        if all(sizes[dim].smec.mean() >= rival.mean() for rival in sizes[dim].rivals.values())
        and significant(gain, LEVEL_SHARED if shared else LEVEL)
    }


def _described(
    dim: int,
    method: str,
    size: Measured,
    metric: str,
    unjudged: Measured | None,
    agreement: Measured | None,
) -> SizeMetrics:
    groups = {}
    if metric == "ndcg@10":
        for name, queries in (("new", size.new), ("seen", ~size.new)):
            if queries.any():
                groups[name] = _figures(size.of(queries), method)
    if unjudged is not None:
        groups["new"] = _figures(unjudged, method)
    if agreement is not None:
        groups["agreement"] = _figures(agreement, method)
    return SizeMetrics.model_validate({"dim": dim, "method": method, **_figures(size, method), **groups})


def _figures(size: Measured, method: str) -> dict[str, object]:
    shipped = size.smec if method == "smec" else size.fallbacks[method]
    return {
        "queries": len(size.full),
        "full": float(size.full.mean()),
        "smec": float(size.smec.mean()),
        "ci": bootstrap_interval(size.smec),
        "shipped": float(shipped.mean()),
        **{name.replace("-", "_"): float(scores.mean()) for name, scores in size.rivals.items()},
    }


def beats(scores: Scores, rival: Scores, level: float = LEVEL) -> bool:
    """Whether the mean paired gain is significantly above zero (see `significant`)."""
    return significant(scores - rival, level)


def significant(gain: Scores, level: float) -> bool:
    """Whether the mean of ``gain`` is above zero, by a one-sided t-test at this level."""
    if len(gain) < 2 or gain.mean() <= 0:
        return False
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return bool(gain.mean() > stats.t.isf(level, len(gain) - 1) * error)
