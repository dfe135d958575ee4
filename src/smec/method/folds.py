"""One training, or several that hold out another part of the train queries each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smec.config import TrainConfig
from smec.data import Dataset
from smec.method.gate import Candidates, Measured, measure
from smec.method.plans import plan_stages
from smec.method.schedule import OnProgress, Schedule
from smec.training.checkpoint import Checkpoint
from smec.training.execution import ON_CPU, Execution
from smec.training.pool import FEWEST_QUERIES, Pool, build_pool
from smec.training.processes import ALONE, Processes
from smec.training.validation import HeldOut
from smec.vectors import Float32Array

FEW = 500
"""Judged train queries below which one held-out part of them cannot tell a gain from luck."""


def number_of_folds(dataset: Dataset, config: TrainConfig) -> int:
    """How many trainings to average: several where the labels are few, and layers can be averaged."""
    if not config.supervised or config.layers == "fresh":
        return 1
    judged = len(dataset.judged("train"))
    return min(config.validation.folds, judged // 2) if FEWEST_QUERIES <= judged < FEW else 1


@dataclass(frozen=True)
class Start:
    """What all folds begin with."""

    config: TrainConfig
    sizes: tuple[int, ...]
    axes: NDArray[np.float64]
    moment: NDArray[np.float64]
    execution: Execution = ON_CPU

    def candidates(self, matrices: Mapping[int, Float32Array]) -> dict[int, Candidates]:
        """For each size the learned matrix, and PCA and truncation beside it."""
        baselines = {
            "pca": self.axes.astype(np.float32),
            "truncate": np.eye(len(self.axes), dtype=np.float32),
        }
        return {dim: _candidates(dim, matrices[dim], baselines) for dim in self.sizes}

    def schedule(self, pool: Pool, held_out: HeldOut, fold: tuple[int, int]) -> Schedule:
        """The stages, from the principal axes, tempered, or from the given coordinates."""
        plans = plan_stages(self.config, len(self.axes), self.sizes, len(pool.queries))
        scale, basis = np.ones(len(self.axes)), np.eye(len(self.axes))
        if self.config.start == "pca":
            energy = np.einsum("ij,ij->j", self.axes, self.moment @ self.axes)
            scale = (np.maximum(energy, 1e-9) / energy[0]) ** (-self.config.tempering / 2)
            basis = self.axes
        start = np.diag(scale)[:, : plans[0].columns]
        return Schedule(
            plans,
            self.config,
            pool,
            held_out,
            torch.from_numpy(basis.astype(np.float32)),
            torch.from_numpy(start.astype(np.float32)),
            fold,
            self.execution,
        )


@dataclass(frozen=True)
class Part:
    """What one training made, and how it scored on what it did not see."""

    matrices: dict[int, Float32Array]
    heads: list[Float32Array]
    stages: list[dict[str, Any]]
    measured: dict[int, Measured]
    metric: str


def drawn(
    dataset: Dataset, config: TrainConfig, fold: tuple[int, int], processes: Processes = ALONE
) -> tuple[Pool, HeldOut]:
    """What a fold, the first of the pair from 0, trains on and what it holds out."""
    pool = build_pool(
        dataset,
        supervised=config.supervised,
        seed=config.seed,
        limit=config.pool,
        validation=config.validation,
        fold=fold if fold[1] > 1 else None,
    )
    return pool, HeldOut(dataset, pool, processes)


def train_part(
    dataset: Dataset,
    start: Start,
    state: Checkpoint,
    fold: tuple[int, int],
    resume: bool,
    progress: OnProgress | None,
) -> Part:
    """Train on one fold, from ``state`` on if it is to be resumed."""
    config = start.config
    pool, held_out = drawn(dataset, config, fold, start.execution.processes)
    schedule = start.schedule(pool, held_out, fold)
    learned = schedule.run(state, resume=resume, progress=progress)
    nested = config.layers == "nested"
    folded = [np.ascontiguousarray(matrix.numpy()) for matrix in schedule.folded(learned)]
    matrices = {dim: folded[0 if nested else n][:, :dim] for n, dim in enumerate(start.sizes)}
    return Part(
        matrices=matrices,
        heads=[] if nested else [layer.numpy() for layer in learned.layers],
        stages=learned.stages,
        measured=measure(start.candidates(matrices), held_out, config.codec),
        metric=held_out.metric,
    )


def average(parts: list[Part]) -> dict[int, Float32Array]:
    """Mean matrix per size: the trainings began alike, so their columns mean the same."""
    if len(parts) == 1:
        return parts[0].matrices
    return {dim: np.mean([part.matrices[dim] for part in parts], axis=0) for dim in parts[0].matrices}


def _candidates(dim: int, smec: Float32Array, baselines: Mapping[str, Float32Array]) -> Candidates:
    matrices = {name: matrix[:, :dim] for name, matrix in baselines.items()}
    return Candidates(smec=smec, fallbacks=matrices, rivals=matrices)
