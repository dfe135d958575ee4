"""What an evaluation found, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from smec.evaluation.novelty import NewAndSeen

RETRIEVAL = {"nDCG@10": "ndcg@10", "R@100": "recall@100", "RR@10": "mrr@10", "AP": "map"}
"""Measures of an evaluation with judgements -> their keys in JSON; the first one is the headline."""

AGREEMENT = {"overlap@10": "overlap@10"}
"""The same for an evaluation without judgements."""

_KEYS = RETRIEVAL | AGREEMENT


@dataclass(frozen=True)
class Rescoring:
    """The second stage of a search.

    Parameters
    ----------
    dim : int
    codec : str
    bytes : int
        Of one document's finer code, which is stored beside the first.
    oversample : int
        Candidates per result.
    """

    dim: int
    codec: str
    bytes: int
    oversample: int


@dataclass(frozen=True)
class GroupScore:
    """Headline metric of one method on a group of the queries.

    Parameters
    ----------
    queries : int
        Number of queries in the group, at least 1.
    mean : float
    ci : tuple of two float
        95 % bootstrap interval of the mean.
    """

    queries: int
    mean: float
    ci: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Result:
    """One method at one size.

    Parameters
    ----------
    method : str
        The encoder's name.
    dim : int
    metrics : dict of str to float
        Means over the queries.
    ci : tuple of two float
        95 % bootstrap interval of the headline metric, which is nDCG@10 with judgements and
        overlap@10 without.
    p_vs_full : float
        Paired permutation test of the headline metric against the full vectors.
    codec : str
        How documents were stored.
    bytes : int
        Of one document's code, the one that is searched.
    rescored : Rescoring or None
        What put the candidates in order.
    fallback : bool
        The compressor's gate gave this size to a baseline.
    per_query : ndarray of shape (q,), float64
        The headline metric of each query.
    new : GroupScore or None
        Score on queries for documents that are not relevant to any train query; None where there
        are no such queries or they cannot be told apart.
    seen : GroupScore or None
        Score on queries for documents that all are relevant to train queries; None likewise.
    """

    method: str
    dim: int
    metrics: Mapping[str, float]
    ci: tuple[float, float]
    p_vs_full: float
    codec: str
    bytes: int
    rescored: Rescoring | None
    fallback: bool
    per_query: NDArray[np.float64] = field(repr=False)
    new: GroupScore | None = None
    seen: GroupScore | None = None

    def to_json(self) -> dict[str, object]:
        """Return the entry of this result in `Evaluation.to_json`."""
        return {
            "method": self.method,
            "dim": self.dim,
            **_scores(self.metrics, self.ci),
            **_group("new", self.new),
            **_group("seen", self.seen),
            "p_vs_full": self.p_vs_full,
            "codec": self.codec,
            "bytes": self.bytes,
            "rescored": None if self.rescored is None else asdict(self.rescored),
            "fallback": self.fallback,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All methods and sizes on one dataset, beside its full vectors.

    Parameters
    ----------
    dataset : str
    split : str or None
        None where there were no judgements and agreement was measured.
    queries : int
        How many were scored.
    full : dict of str to float
        Metrics of the full vectors.
    full_ci : tuple of two float
        95 % bootstrap interval of their headline metric.
    full_per_query : ndarray of shape (q,), float64
        Their headline metric of each query.
    results : tuple of Result
        Encoder by encoder, in the order of the dims.
    documents, all_documents : int
        Documents that were searched, and those of the corpus: more, where a sample of it was searched.
    full_new, full_seen : GroupScore or None
        Scores of the full vectors on queries for new documents and on queries for seen ones, as in
        `Result`.
    groups : NewAndSeen or None
        Which queries these are; None where new and seen documents cannot be told apart.
    not_told_apart : str or None
        The reason for that, as a sentence without its full stop.
    """

    dataset: str
    split: str | None
    queries: int
    full: Mapping[str, float]
    full_ci: tuple[float, float]
    full_per_query: NDArray[np.float64] = field(repr=False)
    results: tuple[Result, ...]
    documents: int
    all_documents: int
    full_new: GroupScore | None = None
    full_seen: GroupScore | None = None
    groups: NewAndSeen | None = None
    not_told_apart: str | None = None

    @property
    def sample(self) -> str | None:
        """Sentence on the sample that was searched, as of `describe_sample`; None for a whole corpus."""
        return describe_sample(self.documents, self.all_documents, judged=self.split is not None)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Sentences, without full stops, on what could not be measured on new and on seen documents."""
        if self.not_told_apart is not None:
            return (self.not_told_apart,)
        return tuple(
            f"no query asks for {name} documents only: the score on them could not be measured"
            for name, score in (("new", self.full_new), ("seen", self.full_seen))
            if score is None
        )

    def to_json(self) -> dict[str, object]:
        """Return the evaluation as `json.dumps` takes it."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "queries": self.queries,
            "documents": self.documents,
            "all_documents": self.all_documents,
            "sample": self.sample,
            "full": {
                **_scores(self.full, self.full_ci),
                **_group("new", self.full_new),
                **_group("seen", self.full_seen),
            },
            "results": [result.to_json() for result in self.results],
        }


def describe_sample(documents: int, all_documents: int, *, judged: bool) -> str | None:
    """Sentence, without its full stop, on a sample of a corpus and its bias; None where it is the whole corpus.

    Parameters
    ----------
    documents, all_documents : int
        Documents that are searched, and those of the corpus.
    judged : bool
        Whether there are judgements, whose documents are all in the sample.
    """
    if documents == all_documents:
        return None
    kept = ", all judged ones among them" if judged else ""
    return (
        f"a sample: {documents:,} of {all_documents:,} documents were searched{kept}; all scores are too high, as "
        "fewer documents compete, and methods seem closer to each other than they are"
    )


def _scores(metrics: Mapping[str, float], ci: tuple[float, float]) -> dict[str, object]:
    return {**{_KEYS[name]: value for name, value in metrics.items()}, "ci": list(ci)}


def _group(name: str, group: GroupScore | None) -> dict[str, object]:
    return {
        f"ndcg@10_{name}": None if group is None else group.mean,
        f"ci_{name}": None if group is None else list(group.ci),
        f"queries_{name}": 0 if group is None else group.queries,
    }
