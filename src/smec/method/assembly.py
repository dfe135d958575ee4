"""Makes the compressor from what was trained and what the gate decided."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from smec import __version__
from smec.artefact import Choice, FeedbackRecord, SentencesRecord, Validation
from smec.block import Block
from smec.calibration import calibrate
from smec.codecs import usual
from smec.compressor import Compressor
from smec.config import TrainConfig
from smec.data import Dataset
from smec.method.gate import Candidates
from smec.vectors import Float32Array

CANARIES = 16


def make_blocks(
    candidates: Mapping[int, Candidates], validation: Validation, heads: Sequence[Float32Array]
) -> list[Block]:
    """Make one block per nested family of sizes: the learned matrix, each fallback, each fresh layer."""
    methods = {size.dim: size.method for size in validation.sizes}
    dims = list(methods)
    families: dict[object, list[int]] = {}
    for dim, method in methods.items():
        # SpecTemp scales the axes of every size in another way.
        alone = method == "spectemp" or (heads and method == "smec")
        families.setdefault(dim if alone else method, []).append(dim)
    blocks = []
    for members in families.values():
        dim, method = members[0], methods[members[0]]
        linear = candidates[dim].shipped(method)
        place = dims.index(dim)
        # A head takes the stored vectors of the stage before: useless where those fell back.
        follows = bool(heads) and method == "smec" and place > 0 and methods[dims[place - 1]] == "smec"
        blocks.append(
            Block(
                matrix=np.ascontiguousarray(linear.matrix),
                dims=tuple(members),
                method=method,
                head=np.ascontiguousarray(heads[place]) if follows else None,
                head_dim=dims[place - 1] if follows else None,
                bias=linear.bias,
                query=None if linear.query is None else np.ascontiguousarray(linear.query),
            )
        )
    return blocks


def assemble(
    dataset: Dataset,
    config: TrainConfig,
    blocks: list[Block],
    validation: Validation,
    *,
    choice: Choice | None,
    feedback: FeedbackRecord | None,
    sentences: SentencesRecord | None,
    stages: Sequence[dict[str, Any]],
    data: dict[str, str],
    software: dict[str, str],
) -> Compressor:
    """Make the compressor, with canaries and calibrated codecs."""
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
            "feedback": feedback,
            "sentences": sentences,
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
