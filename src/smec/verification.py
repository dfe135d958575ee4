"""Checks of an artefact: does it still compute what it computed, are these its embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smec.compressor import CANARY_TOLERANCE, Compressor
from smec.contents import CANARY_INPUTS, CANARY_OUTPUTS, CANARY_QUERIES, MEAN
from smec.data import Embeddings
from smec.vectors import Float32Array, normalise, row_blocks

Encode = Callable[[Float32Array, int], Float32Array]

SAME_MODEL_COSINE = 0.99
"""Below it, a canary's embedding is not the one it was trained on: float16 storage and the
run-to-run noise of hosted models stay above .999, another model or prompt is far below."""

SAME_MEAN_COSINE = 0.5
"""Below it, the vectors lie elsewhere than the training corpus (unrelated models: near 0)."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str


def verify(compressor: Compressor, data: Embeddings | None = None) -> tuple[Check, ...]:
    """Check a loaded compressor, and optionally vectors that are to be compressed by it.

    Loading has already compared the tensors with their hash. Here the canaries (a few corpus rows stored
    with their outputs) are encoded again at every size, as documents and, where queries have a matrix of
    their own, as queries. With ``data``, rows that bear a canary's id must still have the canary's
    embedding; where no row does, the mean direction of the vectors is compared with that of the training
    corpus, which finds another model but not a small drift.
    """
    checks = [_outputs(compressor, "canaries", compressor.encode, CANARY_OUTPUTS, compressor.dims)]
    if compressor.own_queries:
        encode = compressor.encode_queries
        checks.append(_outputs(compressor, "query canaries", encode, CANARY_QUERIES, compressor.own_queries))
    if data is not None:
        checks.append(_data(compressor, data))
    return tuple(checks)


def _outputs(compressor: Compressor, name: str, encode: Encode, stored: str, dims: tuple[int, ...]) -> Check:
    inputs, tensors = compressor.tensors[CANARY_INPUTS], compressor.tensors
    worst = max(float(np.abs(encode(inputs, dim) - tensors[stored.format(dim=dim)]).max()) for dim in dims)
    return Check(
        name,
        worst <= CANARY_TOLERANCE,
        f"{len(inputs)} stored inputs encoded at {len(dims)} sizes differ from the stored "
        f"outputs by at most {worst:.1e} (allowed {CANARY_TOLERANCE:.0e})",
    )


def _data(compressor: Compressor, data: Embeddings) -> Check:
    if data.dim != compressor.input_dim:
        detail = f"{data.name} has {data.dim} dims, the compressor takes {compressor.input_dim}"
        return Check("embedding model", False, detail)
    known = [(n, data.row(i)) for n, i in enumerate(compressor.manifest.canary_ids) if i in data.rows]
    return _canary_rows(compressor, data, known) if known else _mean_direction(compressor, data)


def _canary_rows(compressor: Compressor, data: Embeddings, known: list[tuple[int, int]]) -> Check:
    canaries, rows = (np.array(side) for side in zip(*known, strict=True))
    stored: Float32Array = compressor.tensors[CANARY_INPUTS][canaries]
    cosines = np.einsum("ij,ij->i", stored, normalise(data.vectors[rows]))
    return Check(
        "embedding model",
        bool(cosines.min() >= SAME_MODEL_COSINE),
        f"{len(known)} canary ids found; cosine to the embeddings trained on is at least "
        f"{cosines.min():.4f} (same model: {SAME_MODEL_COSINE} or more)",
    )


def _mean_direction(compressor: Compressor, data: Embeddings) -> Check:
    total = np.zeros(data.dim)
    for block in row_blocks(len(data)):
        total += normalise(data.vectors[block]).sum(axis=0, dtype=np.float64)
    trained = compressor.tensors[MEAN].astype(np.float64)
    cosine = float(total @ trained / (np.linalg.norm(total) * np.linalg.norm(trained)))
    return Check(
        "embedding model",
        cosine >= SAME_MEAN_COSINE,
        f"no canary id among the rows; mean direction has cosine {cosine:.2f} to the training corpus "
        f"(another model: below {SAME_MEAN_COSINE}; a weak check, re-embed the canaries for a strong one)",
    )
