"""Cross-validation: one training, or several that each hold out a different part of the train queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smec.config import TrainConfig
from smec.data import Dataset
from smec.data.query_log import MOST_LOGGED
from smec.errors import DataError
from smec.method.gate import Candidates, Linear, Scores
from smec.method.plans import plan_stages
from smec.method.schedule import OnProgress, Schedule
from smec.presets import UNLABELLED
from smec.training.checkpoint import Checkpoint
from smec.training.execution import ON_CPU, Execution
from smec.training.held_out import training_folds
from smec.training.pool import (
    Pool,
    document_pool,
    fold_pools,
    judged_train_queries,
    logged_queries,
)
from smec.training.validation import HeldOut
from smec.vectors import Float32Array

ROUNDING = 1e-9
"""Energy of unit-length documents on an axis below which it is rounding: some models leave such axes."""


@dataclass(frozen=True)
class Fold:
    """The queries that one training fits, and those that it holds out."""

    number: int
    count: int
    pool: Pool
    held_out: HeldOut
    unused: int = 0
    """Queries that are neither fitted nor held out."""
    removed: int = 0
    """Judgements that were taken from fitted queries."""


def check_judgements(dataset: Dataset) -> None:
    """Raise DataError where a dataset has no split to learn labels from; says how to do without."""
    if "train" not in dataset.splits:
        raise DataError(
            f"{dataset.name}: has no judgements of train queries (qrels/train.tsv): train without labels "
            "(--unsupervised), which learns from queries that nobody judged, and from documents"
        )


def teaches_unjudged(config: TrainConfig) -> bool:
    """Whether queries without judgements are learned from; the memory loss alone takes documents."""
    return UNLABELLED in config.candidates if config.supervised else config.distillation.weight > 0


def draw_folds(dataset: Dataset, config: TrainConfig, execution: Execution = ON_CPU) -> list[Fold]:
    """Part the train queries, or without labels the documents.

    Raises
    ------
    DataError
        Fewer than four judged train queries, or without labels fewer documents.
    """
    processes = execution.processes
    if not config.supervised:
        pool = document_pool(
            dataset,
            seed=config.seed,
            limit=config.pool,
            validation=config.validation,
            queries=teaches_unjudged(config),
        )
        return [Fold(0, 1, pool, HeldOut(dataset, pool, processes))]
    check_judgements(dataset)
    validation = config.validation
    if config.layers == "fresh":  # layers of their own cannot be averaged
        validation = validation.model_copy(update={"folds": 1})
    parts = training_folds(judged_train_queries(dataset), validation, seed=config.seed, corpus=config.corpus)
    logged = None
    if teaches_unjudged(config):
        logged = logged_queries(dataset, seed=config.seed, validation=config.validation, judged=True)
    pools = fold_pools(dataset, parts, seed=config.seed, limit=config.pool, logged=logged)
    return [
        Fold(
            number,
            len(parts),
            pool,
            HeldOut(dataset, pool, processes, config.corpus),
            part.unused,
            part.removed,
        )
        for number, (pool, part) in enumerate(zip(pools, parts, strict=True))
    ]


@dataclass(frozen=True)
class Start:
    """The common beginning of the trainings of all folds.

    Attributes
    ----------
    sizes : tuple of int
        Served sizes, descending.
    axes : ndarray of shape (D, D)
        Principal axes of the corpus.
    moment : ndarray of shape (D, D)
        Its second moment.
    baselines : dict of int to dict
        Size -> name -> what the gate compares with.
    """

    sizes: tuple[int, ...]
    axes: NDArray[np.float64]
    moment: NDArray[np.float64]
    baselines: dict[int, dict[str, Linear]]
    execution: Execution = ON_CPU

    def candidates(self, matrices: dict[int, Float32Array]) -> dict[int, Candidates]:
        """For each size the learned matrix, and the baselines beside it."""
        return {
            dim: Candidates(Linear(matrices[dim]), self.baselines[dim], self.baselines[dim])
            for dim in self.sizes
        }

    def schedule(self, config: TrainConfig, fold: Fold, place: tuple[int, int]) -> Schedule:
        """The stages, from the tempered principal axes, or from the identity."""
        pool = fold.pool
        learned = len(pool.queries) or len(pool.log) or min(len(pool.rows), MOST_LOGGED)
        plans = plan_stages(config, len(self.axes), self.sizes, learned)
        basis, start = np.eye(len(self.axes)), np.eye(len(self.axes))
        if config.start == "pca":
            basis, start = self.axes, np.diag(self._scale(config.tempering))
            if config.change == "rotation":
                # Axes that no document has are arbitrary among themselves, and tempering scales them most.
                basis = basis @ start * (self._energy() > ROUNDING)
                start = np.eye(len(self.axes))
            if config.coordinates == "rotated":
                rank = max(plans[0].columns, len(self.axes) // 2)
                rotation = _rotation(rank, config.seed)
                basis, start = basis[:, :rank] @ rotation, rotation.T @ start[:rank, :rank]
        tempering = config.distillation.tempering
        teacher = self.axes * self._scale(tempering) if tempering else None
        return Schedule(
            plans,
            config,
            fold.pool,
            fold.held_out,
            _tensor(basis),
            _tensor(start[:, : plans[0].columns]),
            None if teacher is None else _tensor(teacher),
            fold=place,
            execution=self.execution,
        )

    def _scale(self, tempering: float) -> NDArray[np.float64]:
        energy = self._energy()
        scale: NDArray[np.float64] = (np.maximum(energy, ROUNDING) / energy[0]) ** (-tempering / 2)
        return scale

    def _energy(self) -> NDArray[np.float64]:
        """Mean square of the documents' coordinate on each axis, shape (D,)."""
        energy: NDArray[np.float64] = np.einsum("ij,ij->j", self.axes, self.moment @ self.axes)
        return energy


def _rotation(dim: int, seed: int) -> NDArray[np.float64]:
    """Random orthogonal matrix of shape (dim, dim)."""
    rotation: NDArray[np.float64] = np.linalg.qr(
        np.random.default_rng([seed, 8]).standard_normal((dim, dim))
    )[0]
    return rotation


def _tensor(matrix: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32))


@dataclass(frozen=True)
class Check:
    """The map of a training at one of its checks, and its scores.

    Attributes
    ----------
    matrices : dict of int to ndarray of shape (D, dim)
        Size -> matrix from the originals.
    scores : ndarray of shape (sizes, held-out queries)
    """

    matrices: dict[int, Float32Array]
    scores: Scores


@dataclass(frozen=True)
class FoldResult:
    """The outcome of one training.

    Attributes
    ----------
    checks : dict of int to Check
        By step, those of the last stage; where that does not train all sizes the best one alone, at None.
    heads : list of ndarray
        Fresh layers: the layer of each stage.
    stages : list of dict
        What the artefact tells of each stage.
    """

    checks: dict[int | None, Check]
    heads: list[Float32Array]
    stages: list[dict[str, Any]]


def train_fold(
    start: Start,
    config: TrainConfig,
    fold: Fold,
    state: Checkpoint,
    place: tuple[int, int],
    resume: bool,
    progress: OnProgress | None,
) -> FoldResult:
    """Train on one fold, from ``state`` on if it is to be resumed; ``place`` is for the progress."""
    schedule = start.schedule(config, fold, place)
    learned = schedule.run(state, resume=resume, progress=progress)
    if learned.checks:
        folded = schedule.folded_checks(learned)
        checks: dict[int | None, Check] = {
            step: Check(_prefixes(start.sizes, [matrix.numpy()]), learned.checks[step][1])
            for step, matrix in folded.items()
        }
        return FoldResult(checks, [], learned.stages)
    matrices = _prefixes(start.sizes, [matrix.numpy() for matrix in schedule.folded(learned)])
    scores = np.stack([fold.held_out.scores(matrices[dim], config.codec) for dim in start.sizes])
    heads = [] if config.layers == "nested" else [layer.numpy() for layer in learned.layers]
    return FoldResult({None: Check(matrices, scores)}, heads, learned.stages)


def _prefixes(sizes: tuple[int, ...], matrices: list[Float32Array]) -> dict[int, Float32Array]:
    """Matrix of each size: leading columns of the one that all share, or of one for each."""
    folded = [np.ascontiguousarray(matrix) for matrix in matrices]
    return {dim: folded[n if len(folded) > 1 else 0][:, :dim] for n, dim in enumerate(sizes)}


def average(checks: Sequence[Check]) -> dict[int, Float32Array]:
    """Mean matrix per size: the trainings began alike, so their columns mean the same."""
    if len(checks) == 1:
        return checks[0].matrices
    return {dim: np.mean([one.matrices[dim] for one in checks], axis=0) for dim in checks[0].matrices}
