"""Groups of queries that the page shows apart: for new documents, for seen ones, and all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smec.evaluation import Evaluation, GroupScore, Result, ratio_interval

NEW, SEEN, ALL = "new", "seen", "all"
DOCUMENTS = {NEW: "new documents", SEEN: "documents that were judged in training"}
"""Group -> the documents that its queries ask for."""

MIXED = "documents of both kinds"


@dataclass(frozen=True, eq=False)
class Group:
    """A group of the queries and the score of the full vectors on it.

    Parameters
    ----------
    name : str
        "new", "seen" or "all".
    members : ndarray of shape (q,), bool
    full : GroupScore
    """

    name: str
    members: NDArray[np.bool_]
    full: GroupScore

    @property
    def words(self) -> str:
        """Documents and number of queries: "new documents (104 queries)"."""
        count = "1 query" if self.full.queries == 1 else f"{self.full.queries:,} queries"
        return f"{DOCUMENTS[self.name]} ({count})" if self.name in DOCUMENTS else f"all {count}"

    def score(self, result: Result) -> GroupScore:
        """Score of a result on these queries."""
        score = {NEW: result.new, SEEN: result.seen}.get(self.name)
        if score is not None:
            return score
        return GroupScore(self.full.queries, next(iter(result.metrics.values())), result.ci)


def groups_to_show(evaluation: Evaluation) -> tuple[Group, ...]:
    """New, seen and all queries, in this order; only those that differ, so the last one has all queries."""
    everyone = np.ones(evaluation.queries, dtype=np.bool_)
    shown = []
    if evaluation.groups is not None:
        for name, members, full in (
            (NEW, evaluation.groups.new, evaluation.full_new),
            (SEEN, evaluation.groups.seen, evaluation.full_seen),
        ):
            if full is not None:
                shown.append(Group(name, members, full))
    if any(group.members.all() for group in shown):
        return tuple(shown)
    headline = next(iter(evaluation.full.values()))
    return (*shown, Group(ALL, everyone, GroupScore(evaluation.queries, headline, evaluation.full_ci)))


def documents_asked_for(evaluation: Evaluation, row: int) -> str:
    """Say whether a query asks for new or seen documents; empty where these cannot be told apart."""
    if evaluation.groups is None:
        return ""
    if evaluation.groups.new[row]:
        return DOCUMENTS[NEW]
    return DOCUMENTS[SEEN] if evaluation.groups.seen[row] else MIXED


@dataclass(frozen=True)
class Kept:
    """Quality of one result beside the full vectors and the rivals, on a group of queries.

    Parameters
    ----------
    group : Group
    score : GroupScore
    share : float or None
        Of the full vectors' score that is kept; None where that score is 0.
    share_ci : tuple of two float or None
        Its 95 % interval, the queries drawn in pairs.
    rivals : tuple of (str, float)
        Names and scores of the rivals.
    """

    group: Group
    score: GroupScore
    share: float | None
    share_ci: tuple[float, float] | None
    rivals: tuple[tuple[str, float], ...]

    @property
    def points(self) -> float:
        """Difference from the full vectors, times 100."""
        return 100 * (self.score.mean - self.group.full.mean)


def kept(
    result: Result, rivals: Iterable[tuple[str, Result]], evaluation: Evaluation, seed: int = 0
) -> tuple[Kept, ...]:
    """Quality of a result on every group of queries.

    Parameters
    ----------
    result : Result
        Of the evaluation.
    rivals : iterable of (str, Result)
        Results to compare with, by name.
    evaluation : Evaluation
    seed : int
        Of the intervals.
    """
    rivals = tuple(rivals)
    shown = []
    for group in groups_to_show(evaluation):
        full = evaluation.full_per_query[group.members]
        has_share = group.full.mean > 0
        score = group.score(result)
        shown.append(
            Kept(
                group=group,
                score=score,
                share=score.mean / group.full.mean if has_share else None,
                share_ci=ratio_interval(result.per_query[group.members], full, seed=seed)
                if has_share
                else None,
                rivals=tuple((name, group.score(rival).mean) for name, rival in rivals),
            )
        )
    return tuple(shown)
