"""Record of an adaptation: what a matrix of their own for queries was learned from, and what it scored."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class AdaptedScores(_Record):
    """Scores of one size on a group of held-out queries; documents are the same in both."""

    queries: int
    full: float
    """Score of the full-size vectors."""
    before: float
    """Score of the compressor that was adapted."""
    own: float
    """Score with the learned matrix for queries."""
    ci: tuple[float, float]
    """95 % interval of ``own - before``, paired."""


class AdaptedSize(AdaptedScores):
    """Scores of one size on all held-out queries, and the gate's decision."""

    dim: int
    ships: Literal["own", "before"]
    """The learned matrix, or what the compressor had before."""
    step: int | None
    """Steps after which the matrix scored best."""
    mixture: float
    """Share of the learned change that scored best."""
    new: AdaptedScores | None = None
    """Queries that ask for documents that are relevant to no fitted query; None: there were none."""
    seen: AdaptedScores | None = None
    """The other held-out queries: they ask for documents that were judged in the adaptation."""


class Adaptation(_Record):
    """Where queries got a matrix of their own: what from, and what it scored on held-out queries."""

    fingerprint: str
    """Fingerprint of the compressor that was adapted; documents keep it."""
    query_fingerprint: str
    """Fingerprint of its queries before."""
    metric: Literal["ndcg@10", "overlap@10"]
    """Overlap with the full vectors' ten nearest documents where no label was read."""
    corpus: Literal["growing", "fixed"] | None
    """Growing: queries with new documents decided; fixed: all. None without labels."""
    queries: int
    """Queries that were learned from or held out."""
    judged: int
    """How many of them are judged, and were learned from with their judgements."""
    data: dict[str, str]
    """Name and sha256 fingerprints of corpus, queries, log and qrels."""
    training: dict[str, Any]
    """The configuration that was used, seed included."""
    sizes: tuple[AdaptedSize, ...]
    """Scores and decisions, the largest size first."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Sizes that stay as they were."""
        return tuple(size.dim for size in self.sizes if size.ships == "before")

    @property
    def learned_from(self) -> str:
        """Queries in words: "809 queries, 30 of them judged"."""
        return f"{self.queries:,} queries, {self.judged:,} of them judged"

    def groups(self) -> list[tuple[str, list[tuple[AdaptedSize, AdaptedScores]]]]:
        """Tables: a title, and for each size the scores of a group of queries; new documents first."""
        if self.metric == "overlap@10":
            title = f"overlap@10 on {self.sizes[0].queries} held-out queries, no label read"
            return [(title, [(size, size) for size in self.sizes])]
        tables: list[tuple[str, list[tuple[AdaptedSize, AdaptedScores]]]] = []
        new = [(size, size.new) for size in self.sizes if size.new is not None]
        seen = [(size, size.seen) for size in self.sizes if size.seen is not None]
        for which, of in (("new documents", new), ("documents judged in adapting", seen)):
            if of:
                title = f"{self.metric} on {which} ({of[0][1].queries} held-out train queries)"
                tables.append((title, list(of)))
        return tables
