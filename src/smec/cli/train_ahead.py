"""``smec train --dry-run``: what a training would take, measured on its first steps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from smec.cli.dry_run import Ahead, bytes_of, peak_memory, since_start
from smec.cli.estimate import TimeLeft
from smec.data.preview import open_preview

if TYPE_CHECKING:
    from smec.config import TrainConfig
    from smec.training.execution import Execution
    from smec.training.work import Kind, Work


def train_ahead(folder: Path, log: Path | None, config: TrainConfig, execution: Execution) -> Ahead:
    """Measure a training on its first steps.

    Raises
    ------
    SmecError
        As the training itself would before its first step.
    """
    from smec.encoder import default_dims
    from smec.method.rehearsal import STEPS, rehearse
    from smec.method.trainer import learned_queries
    from smec.method.workload import PREPARED

    split = "train" if config.supervised else None
    preview = open_preview(folder, config.pool, seed=config.seed, split=split, log=log)
    left, last = TimeLeft(), time.monotonic()
    whole: dict[Kind, float] = {}

    def measure(work: Work) -> None:
        nonlocal last
        now = time.monotonic()
        left.took(work.done, work.units, now - last)
        whole.update(work.left)
        last = now

    before = since_start()
    rehearse(preview.dataset, config, execution, measure)
    ahead = left.seconds({PREPARED: 1.0, **whole})
    assert ahead is not None  # steps and checks were measured, and what follows is counted in these
    dataset = preview.dataset
    widest = max(config.dims or default_dims(dataset.dim))
    return Ahead(
        rows=preview.rows,
        width=dataset.dim,
        queries=learned_queries(dataset, config),
        bytes_in=bytes_of([folder, *([log] if log else [])]),
        bytes_out=4 * dataset.dim * widest,
        memory=peak_memory(),
        seconds=before + preview.further + ahead,
        measured=f"the first {STEPS} steps of each candidate",
    )
