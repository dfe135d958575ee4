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
from smec.compressor import ASSEMBLED, CANARY_INPUTS, MEAN, Compressor
from smec.config import TrainConfig, parsed
from smec.data import Dataset
from smec.data.moments import moments_of
from smec.data.sample import OnRows
from smec.errors import ConfigError, DataError
from smec.method.folds import drawn
from smec.method.gate import Candidates, judge, measure
from smec.method.plans import StagePlan
from smec.method.schedule import OnProgress, Schedule
from smec.method.trainer import fingerprints, libraries, opened
from smec.training.checkpoint import Checkpoint
from smec.training.pool import Pool
from smec.training.validation import HeldOut
from smec.vectors import Float32Array


def extend(
    compressor: Compressor,
    dataset: Dataset | str | Path,
    dim: int,
    *,
    config: TrainConfig | None = None,
    seed: int | None = None,
    progress: OnProgress | None = None,
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
        ``dim`` is not smaller than the smallest served size.
    DataError
        The dataset is of another width, or cannot be trained on.
    """
    config = config or parsed(TrainConfig, compressor.manifest.training, "the compressor's configuration")
    if seed is not None:
        config = config.model_copy(update={"seed": seed})
    dataset = dataset if isinstance(dataset, Dataset) else opened(dataset, config, reading)
    smallest = compressor.dims[-1]
    if not 1 <= dim < smallest:
        raise ConfigError(
            f"dim {dim}: a new size must lie between 1 and {smallest - 1}, below the smallest one"
        )
    if dataset.dim != compressor.input_dim:
        raise DataError(
            f"{dataset.name} has {dataset.dim} dims, the compressor takes {compressor.input_dim}: "
            "extend it with embeddings of the model that it was trained on"
        )
    update = {
        "dims": (dim,),
        "selection": "prefix",
        "layers": "fresh",
        "schedule": "sequential",
        "turned": False,
    }
    config = config.model_copy(update=update)
    pool, held_out = drawn(dataset, config, (0, 1))
    stored = compressor.block(smallest).matrix[:, :smallest]
    axes = principal_axes(moments_of(compressor.encode(pool.documents.numpy(), smallest)).second)[:, :dim]
    head, stages = _train_head(config, pool, held_out, stored, axes.astype(np.float32), progress)
    heads = {
        "smec": head,
        "pca": axes.astype(np.float32),
        "truncate": np.eye(smallest, dim, dtype=np.float32),
    }
    measured = measure({dim: _candidates(dataset, stored, heads, dim)}, held_out, config.codec)
    validation = judge(measured, held_out.metric, enabled=config.validation.gate)
    method = validation.sizes[0].method
    chosen = np.ascontiguousarray(heads[method])
    block = Block(
        matrix=np.ascontiguousarray(stored @ chosen),
        dims=(dim,),
        method=method,
        head=chosen,
        head_dim=smallest,
    )
    return _assemble(compressor, dataset, config, block, validation, stages)


def _train_head(
    config: TrainConfig,
    pool: Pool,
    held_out: HeldOut,
    stored: Float32Array,
    axes: Float32Array,
    progress: OnProgress | None,
) -> tuple[Float32Array, list[dict[str, Any]]]:
    dim = axes.shape[1]
    plan = StagePlan(
        number=0,
        columns=dim,
        sizes=(dim,),
        served=(dim,),
        steps=config.optimiser.steps,
        learning_rate=config.optimiser.learning_rate,
    )
    schedule = Schedule(
        [plan], config, pool, held_out, torch.from_numpy(stored.copy()), torch.from_numpy(axes)
    )
    learned = schedule.run(Checkpoint(None, {}), resume=False, progress=progress)
    return learned.layers[0].numpy(), learned.stages


def _candidates(
    dataset: Dataset, stored: Float32Array, heads: dict[str, Float32Array], dim: int
) -> Candidates:
    original_axes = principal_axes(dataset.moments.second)[:, :dim].astype(np.float32)
    return Candidates(
        smec=stored @ heads["smec"],
        fallbacks={name: stored @ heads[name] for name in ("pca", "truncate")},
        rivals={"pca": original_axes, "truncate": np.eye(dataset.dim, dim, dtype=np.float32)},
    )


def _assemble(
    compressor: Compressor,
    dataset: Dataset,
    config: TrainConfig,
    block: Block,
    validation: Validation,
    stages: list[dict[str, Any]],
) -> Compressor:
    before = compressor.manifest
    own = {"metric": validation.metric, "queries": validation.queries}
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
