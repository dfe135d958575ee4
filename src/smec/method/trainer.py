"""``train``: from a dataset to a compressor."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from smec import __version__
from smec.artefact import Choice, Validation
from smec.baselines.pca import principal_axes
from smec.block import Block
from smec.calibration import calibrate
from smec.codecs import check_installed, code_bytes, usual
from smec.compressor import Compressor
from smec.config import Preset, TrainConfig, build_config
from smec.data import Dataset
from smec.data.sample import OnRows, open_sample
from smec.encoder import check_dims, default_dims
from smec.method.choice import choose, combinations
from smec.method.folds import Start, average, number_of_folds, train_part
from smec.method.gate import DOUBT, DOUBT_OF_FOLDS, Candidates, joined, judge
from smec.method.schedule import OnProgress
from smec.training.checkpoint import Checkpoint
from smec.training.execution import Execution, Precision, alone
from smec.vectors import Float32Array

CANARIES = 16


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
    keep_checkpoint: bool = False,
    progress: OnProgress | None = None,
    reading: OnRows | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    execution: Execution | None = None,
) -> Compressor:
    """Train a compressor on embeddings that exist already.

    Parameters
    ----------
    dataset : Dataset or path of a dataset folder
        Its train split is used, never another one; without labels only its corpus. Of a folder with more
        than ``config.pool`` rows only a sample is held: see `smec.data.sample.open_sample`.
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
    keep_checkpoint : bool
        Leave ``checkpoint`` for the caller to remove with `smec.training.checkpoint.discard`, when the
        compressor is saved.
    progress : callable, optional
        Given a `Progress` after every step.
    reading : callable, optional
        Called with (rows read, rows in all) while a corpus of more than ``config.pool`` rows is read.
    device : {"auto", "cpu", "cuda", "cuda:N", "mps"}
        Where it is computed; by default on a GPU where there is one.
    precision : {"float32", "bf16"}
        Of the products in the loss; what is learned is float32 in any case.
    execution : Execution, optional
        In place of ``device`` and ``precision``; that of `smec.training.execution.together` trains in
        all processes that torchrun started. The first one alone keeps the checkpoint and calls back.

    Raises
    ------
    DataError
        The dataset cannot be used: see `Dataset`; fewer than four judged train queries.
    ConfigError
        Sizes above D or not descending, a checkpoint of another training, or a device that is not there.
    MissingExtraError
        torch or ir-measures is not installed: ``pip install 'smec[train]'``.
    """
    execution = execution or alone(device, precision)
    if not execution.processes.first:
        checkpoint = progress = reading = None
    config = config or build_config(
        preset, supervised=supervised, dims=tuple(dims) if dims is not None else None, seed=seed
    )
    dataset = dataset if isinstance(dataset, Dataset) else opened(dataset, config, reading)
    sizes = check_dims(default_dims(dataset.dim) if config.dims is None else config.dims, dataset.dim)
    config = config.model_copy(update={"dims": sizes})
    for dim in sizes if config.codec is not None else ():
        code_bytes(str(config.codec), dim)  # says which size it cannot pack
    data = fingerprints(dataset, config)
    searched = config.budget is not None or config.target is not None
    # Codebooks are tried on the pool.
    stored = combinations(config, sizes, min(len(dataset.corpus), config.pool)) if searched else []
    for name in usual(sizes, config.codec):
        check_installed(name)  # now, not when all has been trained
    processes = execution.processes
    processes.check_same({"config": config.model_dump(mode="json"), "data": data, "resume": resume})
    moment = dataset.moments.second
    folds = number_of_folds(dataset, config)
    # Each training would turn its columns otherwise, and their mean would mean nothing.
    alike = config if folds == 1 else config.model_copy(update={"turned": False})
    start = Start(alike, sizes, processes.of_first(principal_axes(moment)), moment, execution)
    states = [_checkpoint(checkpoint, fold, config, data) for fold in range(folds)]
    for state in states if not resume else ():
        state.discard()  # of an earlier training, which a later --resume would meet
    parts = [
        train_part(dataset, start, state, (fold, folds), resume, progress)
        for fold, state in enumerate(states)
    ]
    validation = judge(
        joined([part.measured for part in parts]),
        parts[0].metric,
        enabled=config.validation.gate,
        doubt=DOUBT if folds == 1 else DOUBT_OF_FOLDS,
    )
    candidates = start.candidates(average(parts))
    blocks = _blocks(candidates, validation, parts[0].heads)
    stages = [stage for part in parts for stage in part.stages]
    choice = choose(dataset, start, parts, validation, stored) if searched else None
    software = libraries() | execution.provenance()
    compressor = _assemble(dataset, config, blocks, validation, choice, stages, data, software)
    if not keep_checkpoint:
        for state in states:
            state.discard()
    return compressor


def _checkpoint(path: str | Path | None, fold: int, config: TrainConfig, data: dict[str, str]) -> Checkpoint:
    identity = {"config": config.model_dump(mode="json"), "data": data, "fold": fold}
    if path is None:
        return Checkpoint(None, identity)
    file = Path(path)
    return Checkpoint(file.with_name(f"{file.name}-{fold}") if fold else file, identity)


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
    choice: Choice | None,
    stages: list[dict[str, Any]],
    data: dict[str, str],
    software: dict[str, str],
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
            "choice": choice,
            "libraries": software,
        },
        dataset.corpus.vectors[rows],
        dataset.moments.mean,
    )
    vectors = dataset.corpus.vectors
    calibrated = calibrate(compressor, vectors, usual(compressor.dims, config.codec), seed=config.seed)
    if choice is None or choice.chosen.codec in calibrated.codecs[choice.chosen.dim]:
        return calibrated
    chosen = choice.chosen
    return calibrate(calibrated, vectors, [chosen.codec], dims=[chosen.dim], seed=config.seed)


def opened(path: str | Path, config: TrainConfig, reading: OnRows | None = None) -> Dataset:
    """A dataset folder as a training with this configuration takes it."""
    split = "train" if config.supervised else None
    return open_sample(path, config.pool, seed=config.seed, split=split, progress=reading)


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
