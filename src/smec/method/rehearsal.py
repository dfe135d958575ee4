"""First steps of a training, to measure what they take: nothing of them is kept."""

from __future__ import annotations

from smec.config import TrainConfig
from smec.data import Dataset
from smec.method.candidates import candidate_configs
from smec.method.folds import train_fold
from smec.method.trainer import prepare
from smec.method.workload import PREPARED
from smec.training.checkpoint import Checkpoint
from smec.training.execution import Execution
from smec.training.loop import Progress, load_optimiser
from smec.training.work import Kind, OnWork, Work

STEPS = 6
"""Steps of each candidate."""


class _Enough(Exception):
    """Ends a training from its callback."""


def rehearse(dataset: Dataset, config: TrainConfig, execution: Execution, work: OnWork) -> None:
    """Prepare a training, and take the first steps of its candidates on the first fold.

    Parameters
    ----------
    dataset : Dataset
    config : TrainConfig
    execution : Execution
    work : callable
        Given a `Work` after every piece: what was done, and what the training as a whole has left.

    Raises
    ------
    SmecError
        As `smec.train` would before its first step.
    """
    run = prepare(dataset, config, execution, False)
    load_optimiser()
    whole = run.work().total()
    work(Work(PREPARED, 1, whole))
    start, within = run.within()
    fold = run.folds[0] if run.kept is None else run.kept.folds(run.folds[:1])[0]
    configs = candidate_configs(within, len(run.folds))
    for name, settings in configs.items():
        # Any map will do for what another candidate would have begun: its time is the same.
        begun = start.axes[:, : start.sizes[0]].astype("float32")

        def told(progress: Progress, name: str | None = name) -> None:
            # The first of several stages alone is met; the others are taken to cost as much.
            work(Work(Kind(progress.unit, f"{name or 'training'} {progress.stage}"), 1, whole))
            if progress.step == STEPS:
                raise _Enough

        try:
            state, place = Checkpoint(None, {}), (0, 1)
            train_fold(start, settings, fold, state, place, False, told, begun)
        except _Enough:
            continue
