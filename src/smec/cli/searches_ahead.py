"""What the searches of ``smec evaluate`` and ``smec report`` take, measured on a part of the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smec.cli.dry_run import Ahead, bytes_of, peak_memory, since_start

if TYPE_CHECKING:
    from smec.data import Dataset
    from smec.encoder import Encoder
    from smec.evaluation.rehearsal import Pace

MANY = 50_000_000
"""Pairs of a query and a document from which a run begins with a measurement."""


def ahead_of(
    dataset: Dataset,
    encoders: Sequence[Encoder],
    split: str,
    *,
    searches: int | None = None,
    always: bool,
) -> Pace | None:
    """Measure a search, if there is much to search or ``always``; None where it is over in seconds anyway.

    ``searches`` is their number, where the encoders do not tell it.
    """
    from smec.evaluation.rehearsal import rehearse

    queries = len(dataset.qrels.get(split, {})) or 1000
    if not always and queries * len(dataset.corpus) < MANY:
        return None
    return rehearse(dataset, encoders, split=split, searches=searches)


def searches_ahead(dataset: Dataset, folder: Path, pace: Pace, *, written: int) -> Ahead:
    """Say what a run takes; its process has read the dataset, and fitted what it compares with."""
    return Ahead(
        rows=len(dataset.corpus),
        width=dataset.dim,
        queries=pace.queries,
        bytes_in=bytes_of([folder]),
        bytes_out=written,
        memory=peak_memory(),
        seconds=since_start() + pace.total,
        measured=f"searches of a part; {pace.searches:,} in all",
    )
