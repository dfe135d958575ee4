"""``train``: from a dataset to a compressor."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smec import __version__
from smec.artefact import Validation
from smec.baselines.pca import mean_direction, principal_axes, second_moment
from smec.calibration import calibrate
from smec.codecs import EVERY_TIME
from smec.compressor import Block, Compressor
from smec.config import Preset, TrainConfig, build_config
from smec.data import Dataset
from smec.encoder import check_dims, default_dims
from smec.method.gate import DOUBT, DOUBT_OF_FOLDS, Candidates, Measured, joined, judge, measure
from smec.method.schedule import OnProgress, Schedule
from smec.method.stages import plan_stages
from smec.training.checkpoint import Checkpoint
from smec.training.pool import FEWEST_QUERIES, Pool, build_pool
from smec.training.validation import HeldOut
from smec.vectors import Float32Array

CANARIES = 16

FEW = 500
"""Judged train queries below which one held-out part of them cannot tell a gain from luck."""


def train(
    dataset: Dataset | str | Path,
    *,
    dims: Sequence[int] | None = None,
    preset: Preset = "default",
    supervised: bool = True,
    seed: int | None = None,
    config: TrainConfig | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: OnProgress | None = None,
) -> Compressor:
    """Train a compressor on embeddings that exist already.

    Parameters
    ----------
    dataset : Dataset or path of a dataset folder
        Its train split is used, never another one; without labels only its corpus.
    dims : sequence of int, optional
        Sizes to serve, descending; D/2 to D/32 by default.
    preset : {"default", "paper"}
    supervised : bool
        Learn from the train qrels; otherwise from the corpus alone.
    seed : int, optional
        Same seed, data and machine: the same bytes.
    config : TrainConfig, optional
        In place of ``dims``, ``preset``, ``supervised`` and ``seed``.
    checkpoint : path, optional
        File for the state of an unfinished training; removed at the end.
    resume : bool
        Go on from ``checkpoint`` if it exists.
    progress : callable, optional
        Given a `Progress` after every step.

    Raises
    ------
    DataError
        The dataset cannot be used: see `Dataset`; fewer than four judged train queries.
    ConfigError
        Sizes above D or not descending, or a checkpoint of another training.
    MissingExtraError
        torch or ir-measures is not installed: ``pip install 'smec[train]'``.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)
    config = config or build_config(
        preset, supervised=supervised, dims=tuple(dims) if dims is not None else None, seed=seed
    )
    sizes = check_dims(default_dims(dataset.dim) if config.dims is None else config.dims, dataset.dim)
    config = config.model_copy(update={"dims": sizes})
    data = fingerprints(dataset, config)
    moment = second_moment(dataset.corpus.vectors)
    folds = _folds(dataset, config)
    # Each training would turn its columns otherwise, and their mean would mean nothing.
    alike = config if folds == 1 else config.model_copy(update={"turned": False})
    start = _Start(alike, sizes, principal_axes(moment), moment)
    states = [_checkpoint(checkpoint, fold, config, data) for fold in range(folds)]
    parts = [
        _train_part(dataset, start, state, (fold, folds), resume, progress)
        for fold, state in enumerate(states)
    ]
    validation = judge(
        joined([part.measured for part in parts]),
        parts[0].metric,
        enabled=config.validation.gate,
        doubt=DOUBT if folds == 1 else DOUBT_OF_FOLDS,
    )
    candidates = start.candidates(_average(parts))
    blocks = _blocks(candidates, validation, parts[0].heads)
    stages = [stage for part in parts for stage in part.stages]
    compressor = _assemble(dataset, config, blocks, validation, stages, data)
    for state in states:
        state.discard()
    return compressor


def _folds(dataset: Dataset, config: TrainConfig) -> int:
    """How many trainings to average: several where the labels are few, and layers can be averaged."""
    if not config.supervised or config.layers == "fresh":
        return 1
    judged = len(dataset.judged("train"))
    return min(config.validation.folds, judged // 2) if FEWEST_QUERIES <= judged < FEW else 1


def _checkpoint(path: str | Path | None, fold: int, config: TrainConfig, data: dict[str, str]) -> Checkpoint:
    identity = {"config": config.model_dump(mode="json"), "data": data, "fold": fold}
    if path is None:
        return Checkpoint(None, identity)
    file = Path(path)
    return Checkpoint(file.with_name(f"{file.name}-{fold}") if fold else file, identity)


@dataclass(frozen=True)
class _Start:
    """What all folds begin with."""

    config: TrainConfig
    sizes: tuple[int, ...]
    axes: NDArray[np.float64]
    moment: NDArray[np.float64]

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
        )


@dataclass(frozen=True)
class _Part:
    """What one training made, and how it scored on what it did not see."""

    matrices: dict[int, Float32Array]
    heads: list[Float32Array]
    stages: list[dict[str, Any]]
    measured: dict[int, Measured]
    metric: str


def _train_part(
    dataset: Dataset,
    start: _Start,
    state: Checkpoint,
    fold: tuple[int, int],
    resume: bool,
    progress: OnProgress | None,
) -> _Part:
    config = start.config
    pool = build_pool(
        dataset,
        supervised=config.supervised,
        seed=config.seed,
        limit=config.pool,
        validation=config.validation,
        fold=fold if fold[1] > 1 else None,
    )
    held_out = HeldOut(dataset, pool)
    schedule = start.schedule(pool, held_out, fold)
    learned = schedule.run(state, resume=resume, progress=progress)
    nested = config.layers == "nested"
    folded = [np.ascontiguousarray(matrix.numpy()) for matrix in schedule.folded(learned)]
    matrices = {dim: folded[0 if nested else n][:, :dim] for n, dim in enumerate(start.sizes)}
    return _Part(
        matrices=matrices,
        heads=[] if nested else [layer.numpy() for layer in learned.layers],
        stages=learned.stages,
        measured=measure(start.candidates(matrices), held_out),
        metric=held_out.metric,
    )


def _average(parts: list[_Part]) -> dict[int, Float32Array]:
    """Mean matrix per size: the trainings began alike, so their columns mean the same."""
    if len(parts) == 1:
        return parts[0].matrices
    return {dim: np.mean([part.matrices[dim] for part in parts], axis=0) for dim in parts[0].matrices}


def _candidates(dim: int, smec: Float32Array, baselines: Mapping[str, Float32Array]) -> Candidates:
    matrices = {name: matrix[:, :dim] for name, matrix in baselines.items()}
    return Candidates(smec=smec, fallbacks=matrices, rivals=matrices)


def _blocks(
    candidates: Mapping[int, Candidates], validation: Validation, heads: Sequence[Float32Array]
) -> list[Block]:
    """One block per nested family of sizes: the learned matrix, each fallback, each fresh layer."""
    methods = {size.dim: size.method for size in validation.sizes}
    dims = list(methods)
    families: dict[object, list[int]] = {}
    for dim, method in methods.items():
        family = dim if heads and method == "smec" else method
        families.setdefault(family, []).append(dim)
    blocks = []
    for members in families.values():
        dim, method = members[0], methods[members[0]]
        chosen = candidates[dim]
        matrix = chosen.smec if method == "smec" else chosen.fallbacks[method]
        place = dims.index(dim)
        # A head takes the stored vectors of the stage before: of no use where those fell back.
        follows = bool(heads) and method == "smec" and place > 0 and methods[dims[place - 1]] == "smec"
        blocks.append(
            Block(
                matrix=np.ascontiguousarray(matrix),
                dims=tuple(members),
                method=method,
                head=np.ascontiguousarray(heads[place]) if follows else None,
                head_dim=dims[place - 1] if follows else None,
            )
        )
    return blocks


def _assemble(
    dataset: Dataset,
    config: TrainConfig,
    blocks: list[Block],
    validation: Validation,
    stages: list[dict[str, Any]],
    data: dict[str, str],
) -> Compressor:
    rows = np.random.default_rng([config.seed, 4]).permutation(len(dataset.corpus))[:CANARIES]
    rows.sort()
    compressor = Compressor.assemble(
        blocks,
        {
            "smec_version": __version__,
            "canary_ids": tuple(dataset.corpus.ids[row] for row in rows),
            "preset": config.preset,
            "supervised": config.supervised,
            "training": config.model_dump(mode="json"),
            "stages": tuple(stages),
            "data": data,
            "validation": validation,
            "libraries": libraries(),
        },
        dataset.corpus.vectors[rows],
        mean_direction(dataset.corpus.vectors),
    )
    return calibrate(compressor, dataset.corpus.vectors, EVERY_TIME, seed=config.seed)


def fingerprints(dataset: Dataset, config: TrainConfig) -> dict[str, str]:
    """Name and sha256 of what the training may look at."""
    hashes = dataset.fingerprint("train") if config.supervised else dataset.fingerprint()
    return {"name": dataset.name, **hashes}


def libraries() -> dict[str, str]:
    """Versions of what computed the artefact."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "torch", "safetensors", "ir-measures", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
