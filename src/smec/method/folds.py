"""Cross-validation: one training, or several that each hold out a different part of the train queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smec.config import TrainConfig, candidate_config
from smec.data import Dataset
from smec.data.query_log import MOST_LOGGED
from smec.errors import DataError
from smec.method.axes import teacher_axes, tempering_scale
from smec.method.baselines import Baseline
from smec.method.gate import Candidates, Linear, Scores
from smec.method.plans import StagePlan, plan_stages
from smec.method.schedule import OnProgress, Schedule
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
    if config.candidates:
        return any(teaches_unjudged(candidate_config(config, name)) for name in config.candidates)
    return config.distillation.weight > 0 and (config.schedule == "joint" or not config.supervised)


def draw_folds(
    dataset: Dataset, config: TrainConfig, execution: Execution = ON_CPU, *, unjudged: bool | None = None
) -> list[Fold]:
    """Part the train queries, or without labels the documents.

    ``unjudged`` says whether queries without judgements are learned from; by default the configuration does.

    Raises
    ------
    DataError
        Fewer than four judged train queries, or without labels fewer documents.
    """
    processes = execution.processes
    unjudged = teaches_unjudged(config) if unjudged is None else unjudged
    sentences = dataset.sentences() if config.rank.sentences != 0 else None
    if not config.supervised:
        pool = document_pool(
            dataset,
            seed=config.seed,
            limit=config.pool,
            validation=config.validation,
            queries=unjudged,
            sentences=sentences if unjudged else None,
        )
        return [Fold(0, 1, pool, HeldOut(dataset, pool, processes))]
    check_judgements(dataset)
    validation = config.validation
    if config.layers == "fresh":  # layers of their own cannot be averaged
        validation = validation.model_copy(update={"folds": 1})
    parts = training_folds(judged_train_queries(dataset), validation, seed=config.seed, corpus=config.corpus)
    logged = None
    if unjudged:
        logged = logged_queries(dataset, seed=config.seed, validation=config.validation, judged=True)
    pools = fold_pools(
        dataset, parts, seed=config.seed, limit=config.pool, logged=logged, sentences=sentences
    )
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
    baselines : dict of str to Baseline
        By name, what the gate compares with.
    """

    sizes: tuple[int, ...]
    axes: NDArray[np.float64]
    moment: NDArray[np.float64]
    baselines: dict[str, Baseline]
    coordinates: int
    """Leading axes in which a map is changed; it has as many columns at least."""
    execution: Execution = ON_CPU

    def candidates(self, maps: Mapping[int, Linear]) -> dict[int, Candidates]:
        """For each size the learned map, and the baselines beside it."""
        found = {}
        for dim in self.sizes:
            rivals = {name: baseline.linear(dim) for name, baseline in self.baselines.items()}
            found[dim] = Candidates(maps[dim], rivals, rivals)
        return found

    def plans(self, config: TrainConfig, fold: Fold) -> list[StagePlan]:
        """Return the stages of a training on a fold."""
        pool = fold.pool
        learned = len(pool.queries)
        if not config.supervised or not config.rank.weight:  # a step takes as many of either kind
            learned = max(learned, len(pool.log)) or min(len(pool.rows), MOST_LOGGED)
        return plan_stages(config, len(self.axes), self.sizes, learned)

    def schedule(
        self, config: TrainConfig, fold: Fold, place: tuple[int, int], begun: Float32Array | None = None
    ) -> Schedule:
        """The stages, from the tempered principal axes, from the identity, or from a map that has begun."""
        plans = self.plans(config, fold)
        basis, start = self._beginning(config, plans[0].columns, begun)
        teacher = teacher_axes(self.axes, self.moment, config.distillation.tempering)
        return Schedule(
            plans,
            config,
            fold.pool,
            fold.held_out,
            _tensor(basis),
            _tensor(start[:, : plans[0].columns]),
            None if teacher is None else torch.from_numpy(teacher),
            fold=place,
            execution=self.execution,
        )

    def _beginning(
        self, config: TrainConfig, columns: int, begun: Float32Array | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates of the first stage, and the layer that it starts from in these."""
        if config.start == "identity":
            return np.eye(len(self.axes)), np.eye(len(self.axes))
        rank = min(len(self.axes), max(columns, self.coordinates))
        scale = tempering_scale(self.axes, self.moment, config.tempering)
        rotation = _rotation(rank, config.seed) if config.coordinates == "rotated" else np.eye(rank)
        basis, start = self.axes[:, :rank] @ rotation, rotation.T @ np.diag(scale[:rank])
        return basis, start if begun is None else basis.T @ begun


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
    maps : dict of int to Linear
        Size -> matrix from the originals, of shape (D, dim).
    scores : ndarray of shape (sizes, held-out queries)
    """

    maps: dict[int, Linear]
    scores: Scores

    @property
    def widest(self) -> Float32Array:
        """The matrix of the largest size, shape (D, d_1)."""
        return self.maps[max(self.maps)].matrix


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
    begun: Float32Array | None = None,
) -> FoldResult:
    """Train on one fold, from ``state`` on if it is to be resumed; ``place`` is for the progress.

    ``begun`` of shape (D, d_1) is what start "unlabelled" begins with.
    """
    schedule = start.schedule(config, fold, place, begun)
    learned = schedule.run(state, resume=resume, progress=progress)
    if learned.checks:
        folded, asking = schedule.folded_checks(learned), schedule.folded_queries(learned)
        checks: dict[int | None, Check] = {
            step: Check(_nested(start.sizes, matrix, asking.get(step)), learned.checks[step][1])
            for step, matrix in folded.items()
        }
        return FoldResult(checks, [], learned.stages)
    matrices = _prefixes(start.sizes, [matrix.numpy() for matrix in schedule.folded(learned)])
    scores = np.stack([fold.held_out.scores(matrices[dim], config.codec) for dim in start.sizes])
    heads = [] if config.layers == "nested" else [layer.numpy() for layer in learned.layers]
    maps = {dim: Linear(matrix) for dim, matrix in matrices.items()}
    return FoldResult({None: Check(maps, scores)}, heads, learned.stages)


def _nested(sizes: tuple[int, ...], matrix: torch.Tensor, query: torch.Tensor | None) -> dict[int, Linear]:
    """Map of each size: leading columns of one matrix, and of one for queries if they have their own."""
    matrices = _prefixes(sizes, [matrix.numpy()])
    if query is None:
        return {dim: Linear(of) for dim, of in matrices.items()}
    queries = _prefixes(sizes, [query.numpy()])
    return {dim: Linear(of, query=queries[dim]) for dim, of in matrices.items()}


def _prefixes(sizes: tuple[int, ...], matrices: list[Float32Array]) -> dict[int, Float32Array]:
    """Matrix of each size: leading columns of the one that all share, or of one for each."""
    folded = [np.ascontiguousarray(matrix) for matrix in matrices]
    return {dim: folded[n if len(folded) > 1 else 0][:, :dim] for n, dim in enumerate(sizes)}


def average(checks: Sequence[Check]) -> dict[int, Linear]:
    """Mean map per size: the trainings began alike, so their columns mean the same."""
    if len(checks) == 1:
        return checks[0].maps
    return {dim: _mean([one.maps[dim] for one in checks]) for dim in checks[0].maps}


def _mean(maps: Sequence[Linear]) -> Linear:
    queries = [one.query for one in maps if one.query is not None]
    return Linear(
        np.mean([one.matrix for one in maps], axis=0),
        maps[0].bias,
        np.mean(queries, axis=0) if queries else None,
    )
