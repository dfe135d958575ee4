"""First blocks of a compression, into a temporary file, to measure what it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from smec.bulk.compress import FileJob
from smec.bulk.pipeline import overlapped
from smec.data.blocks import Block

LONGEST = 3.0
"""Seconds after which no further block is begun."""
MOST = 16
"""Blocks at most."""


@dataclass(frozen=True)
class Pace:
    """Measured time of a compression.

    Parameters
    ----------
    rows : int
        Of all measured blocks but the first.
    seconds : float
        Time of these.
    first_rows : int
        Of the first block.
    first : float
        Seconds that it took, with what precedes it.
    """

    rows: int
    seconds: float
    first_rows: int
    first: float

    def seconds_of(self, rows: int) -> float:
        """Estimate the seconds of so many rows."""
        if rows <= self.first_rows or not self.rows:
            return self.first * rows / self.first_rows
        return self.first + (rows - self.first_rows) * self.seconds / self.rows


def rehearse(job: FileJob, clock: Callable[[], float] = time.monotonic) -> Pace:
    """Compress the first blocks of an input into a temporary file, which is removed.

    Parameters
    ----------
    job : FileJob
        Its blocks are used up.
    clock : callable

    Raises
    ------
    DataError
        One of the first rows cannot be used.
    """
    began = clock()
    times = [began]
    rows = [0]

    def limited() -> Iterator[Block]:
        for block in islice(job.blocks, MOST):
            yield block
            if clock() - began > LONGEST:
                return

    with TemporaryDirectory(prefix="smec-") as folder:
        file = Path(folder) / f"rehearsal{job.output.suffix}"
        with job.format.writing(file, job.opened, job.schema, force=True) as write:
            for block in overlapped(limited(), job.encoder(), job.stored, write):
                rows.append(len(block.vectors))
                times.append(clock())
        ended = clock()
    first = times[1] - began if len(times) > 2 else ended - began
    return Pace(sum(rows[2:]), ended - times[1] if len(times) > 2 else 0.0, rows[1], first)
