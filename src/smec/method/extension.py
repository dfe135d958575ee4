"""``extend``: one more, smaller size on a finished compressor (the paper's continual compression).

The new size is a head on the smallest stored vector, so that nothing that was stored changes and
stored vectors can shrink further without the originals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from smec import __version__
from smec.artefact import Validation
from smec.baselines.pca import principal_axes
from smec.block import Block
from smec.calibration import calibrate
from smec.codecs import usual
from smec.compressor import Compressor
from smec.config import TrainConfig, trained_config
from smec.contents import ASSEMBLED, CANARY_INPUTS, MEAN
from smec.data import Dataset
from smec.data.moments import moments_of
from smec.data.sample import OnRows
from smec.errors import ConfigError, DataError
from smec.method.assembly import fingerprints, libraries
from smec.method.folds import Fold, draw_folds
from smec.method.gate import Candidates, Linear, judge, measure
from smec.method.plans import StagePlan, originals_teach
from smec.method.schedule import OnProgress, Schedule
from smec.method.trainer import opened
from smec.method.workload import GATE, Reporter, StageWork, Workload
from smec.training.checkpoint import Checkpoint
from smec.training.work import OnWork
from smec.vectors import Float32Array


def extend(
    compressor: Compressor,
    dataset: Dataset | str | Path,
    dim: int,
    *,
    config: TrainConfig | None = None,
    seed: int | None = None,
    progress: OnProgress | None = None,
    work: OnWork | None = None,
    reading: OnRows | None = None,
) -> Compressor:
    """Add the size ``dim`` below the smallest one; the sizes that exist keep their bits.

    Parameters
    ----------
    compressor : Compressor
    dataset : Dataset or path of a dataset folder
        Full-size embeddings, as for `train`.
    dim : int
        The new size, smaller than all served ones.
    config : TrainConfig, optional
        By default the one that the compressor was trained with; its ``dims`` are not used.
    seed : int, optional
        In place of the configuration's.
    progress : callable, optional
        Given a `Progress` after every step.
    work : callable, optional
        Given a `Work` after every piece of work.
    reading : callable, optional
        As for `train`.

    Returns
    -------
    Compressor
        A new one. Where the learned head is not better than PCA and truncation of the originals,
        the size ships the better of PCA and truncation of the smallest stored vectors.

    Raises
    ------
    ConfigError
        ``dim`` is not smaller than the smallest served size, or queries have a matrix of their own there.
    DataError
        The dataset is of another width, or cannot be trained on.
    """
    config = config or trained_config(compressor.manifest)
    if seed is not None:
        config = config.model_copy(update={"seed": seed})
    dataset = dataset if isinstance(dataset, Dataset) else opened(dataset, config, reading)
    smallest = compressor.dims[-1]
    if not 1 <= dim < smallest:
        raise ConfigError(
            f"dim {dim}: a new size must lie between 1 and {smallest - 1}, below the smallest one"
        )
    if smallest in compressor.own_queries:
        raise ConfigError(
            f"dim {dim}: queries have a matrix of their own at {smallest}, and a new size is made of that of "
            "documents; extend the compressor without it and adapt that, or train with the size among dims"
        )
    if dataset.dim != compressor.input_dim:
        raise DataError(
            f"{dataset.name} has {dataset.dim} dims, the compressor takes {compressor.input_dim}: "
            "extend it with embeddings of the model that it was trained on"
        )
    update = {
        "dims": (dim,),
        "candidates": (),
        "selection": "prefix",
        "layers": "fresh",
        "schedule": "sequential",
        "turned": False,
        "queries": "shared",
    }
    config = config.model_copy(update=update)
    (fold,) = draw_folds(dataset, config)
    stored = Linear(*compressor.block(smallest).leading(smallest))
    encoded = compressor.encode(fold.pool.documents.numpy(), smallest)
    axes = principal_axes(moments_of(encoded).second)[:, :dim].astype(np.float32)
    report = Reporter(_workload(config), progress, work)
    head, stages = _train_head(config, fold, stored, axes, report.round(0))
    heads = {"smec": head, "pca": axes, "truncate": np.eye(smallest, dim, dtype=np.float32)}
    measured = measure({dim: _candidates(dataset, stored, heads, dim)}, fold.held_out, config.codec)
    held_out = fold.held_out
    validation = judge(
        measured,
        held_out.metric,
        enabled=config.validation.gate,
        corpus=config.corpus,
        asked=held_out.asked,
    )
    report.finished(GATE)
    method = validation.sizes[0].method
    chosen = np.ascontiguousarray(heads[method])
    folded = _with_head(stored, chosen)
    block = Block(
        matrix=np.ascontiguousarray(folded.matrix),
        dims=(dim,),
        method=method,
        head=chosen,
        head_dim=smallest,
        bias=folded.bias,
    )
    return _assemble(compressor, dataset, config, block, validation, stages)


def _workload(config: TrainConfig) -> Workload:
    """Count the work ahead: one stage, and the gate with three candidates and two rivals."""
    stage = StageWork("head", config.optimiser.steps, config.validation.every)
    return Workload([[stage]], [0], {GATE: 5.0})


def _train_head(
    config: TrainConfig, fold: Fold, stored: Linear, axes: Float32Array, progress: OnProgress
) -> tuple[Float32Array, list[dict[str, Any]]]:
    dim = axes.shape[1]
    plan = StagePlan(
        number=0,
        columns=dim,
        sizes=(dim,),
        served=(dim,),
        steps=config.optimiser.steps,
        learning_rate=config.optimiser.learning_rate,
        teacher=originals_teach(config),
    )
    schedule = Schedule(
        [plan],
        config,
        fold.pool,
        fold.held_out,
        torch.from_numpy(stored.matrix.copy()),
        torch.from_numpy(axes),
        bias=None if stored.bias is None else torch.from_numpy(stored.bias.copy()),
    )
    learned = schedule.run(Checkpoint(None, {}), resume=False, progress=progress)
    return learned.layers[0].numpy(), learned.stages


def _candidates(dataset: Dataset, stored: Linear, heads: dict[str, Float32Array], dim: int) -> Candidates:
    original_axes = principal_axes(dataset.moments.second)[:, :dim].astype(np.float32)
    return Candidates(
        smec=_with_head(stored, heads["smec"]),
        fallbacks={name: _with_head(stored, heads[name]) for name in ("pca", "truncate")},
        rivals={
            "pca": Linear(original_axes),
            "truncate": Linear(np.eye(dataset.dim, dim, dtype=np.float32)),
        },
    )


def _with_head(stored: Linear, head: Float32Array) -> Linear:
    return Linear(stored.matrix @ head, None if stored.bias is None else stored.bias @ head)


def _assemble(
    compressor: Compressor,
    dataset: Dataset,
    config: TrainConfig,
    block: Block,
    validation: Validation,
    stages: list[dict[str, Any]],
) -> Compressor:
    before = compressor.manifest
    own = {"metric": validation.metric, "queries": validation.queries, "asked": validation.asked}
    head = before.validation or validation
    sizes = before.validation.sizes if before.validation is not None else ()
    sizes += tuple(size.model_copy(update=own) for size in validation.sizes)
    fields = before.model_dump(exclude=ASSEMBLED)
    data = fingerprints(dataset, config)
    extension = {"extended_to": block.dims[0], "config": config.model_dump(mode="json"), "data": data}
    fields |= {
        "smec_version": __version__,
        "stages": (*before.stages, *({**stage, **extension} for stage in stages)),
        "validation": head.model_copy(update={"sizes": sizes}),
        "libraries": libraries(),
    }
    extended = Compressor.assemble(
        [*compressor.blocks, block],
        fields,
        compressor.tensors[CANARY_INPUTS],
        compressor.tensors[MEAN],
        [compressor.codec(known.codec, known.dim) for known in before.codecs],
    )
    names = usual(block.dims, config.codec)
    return calibrate(extended, dataset.corpus.vectors, names, dims=block.dims, seed=config.seed)
