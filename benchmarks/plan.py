"""What a run of the benchmark covers: the whole of it, or the quick form."""

from __future__ import annotations

from dataclasses import dataclass

SPLIT_BY = {
    "scifact-mpnet": "document",
    "cranfield-mpnet": "document",
    "grocery-effnet": "product kind",
}
"""Reference datasets that are split again for reporting -> what a split keeps together."""


@dataclass(frozen=True)
class Plan:
    """Datasets and seeds of a run.

    Attributes
    ----------
    datasets : tuple of str
        Reference datasets with their official test splits, by folder name.
    resplit : tuple of str
        Those that are split again by document, into folds.
    new : tuple of str
        Datasets, or first folds, for experiments that score new documents alone.
    seeds : tuple of int
        Of whatever is learned.
    left_out : tuple of str
        Methods of the main table that are not run.
    quick : bool
        The main table alone, on the sample that smec carries.
    """

    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    resplit: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    quick: bool = False


WHOLE = Plan(
    datasets=(
        "medquad-minilm",
        "xquad-e5",
        "manuals-ada002",
        "scifact-mpnet",
        "cranfield-mpnet",
        "grocery-effnet",
    ),
    seeds=(0, 1, 2, 3, 4),
    resplit=tuple(SPLIT_BY),
    new=("medquad-minilm", "xquad-e5", "manuals-ada002", *(f"{name}@0" for name in SPLIT_BY)),
)
SLOW = (
    "matryoshka-adaptor",
    "matryoshka-adaptor-unsupervised",
    "search-adaptor",
    "dive",
    "dive-unsupervised",
    "adawidth",
)
"""Rivals that take minutes each, even on the sample."""
QUICK = Plan(("medquad",), (0,), left_out=SLOW, quick=True)
MULTIMODAL = "grocery-multimodal"
"""Made by ``multimodal_data.py``."""
