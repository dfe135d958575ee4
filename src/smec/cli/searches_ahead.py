"""Cost of the searches of ``smec evaluate`` and ``smec report``, measured on a part of the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from smec.cli.dry_run import Ahead, bytes_of, peak_memory, since_start
from smec.cli.guess import guess_searches
from smec.cli.progress import Counted, counted_progress

if TYPE_CHECKING:
    from smec.data import Dataset
    from smec.encoder import Encoder
    from smec.evaluation.rehearsal import Pace


@contextmanager
def searching(folder: Path, split: str, searches: int, *, what: str, silent: bool) -> Iterator[Counted]:
    """Yield the callback that shows searches; until one was measured, with a guess of their time."""
    guess = None
    if not silent and folder.is_dir():
        guess = guess_searches(folder, split, searches, bytes_=bytes_of([folder]))
    with counted_progress("documents", what=what, guess=guess, from_first=True, silent=silent) as progress:
        yield progress


def measured_searches(
    dataset: Dataset, encoders: Sequence[Encoder], split: str, searches: int | None = None
) -> Pace:
    """Measure a search of a part; ``searches`` is their number, where the encoders do not tell it."""
    from smec.evaluation.rehearsal import rehearse

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
