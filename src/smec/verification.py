"""Checks of an artefact: does it still compute what it computed, are these its embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smec.compressor import CANARY_TOLERANCE, Compressor
from smec.contents import CANARY_INPUTS, CANARY_OUTPUTS, CANARY_QUERIES, MEAN
from smec.data import Embeddings
from smec.data.some_rows import OnRows, SomeRows, some_rows
from smec.vectors import Float32Array, FloatArray, normalise, row_blocks

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


def verify(
    compressor: Compressor,
    data: Embeddings | Path | None = None,
    *,
    everything: bool = False,
    progress: OnRows | None = None,
) -> tuple[Check, ...]:
    """Check a loaded compressor, and optionally vectors that are to be compressed by it.

    Loading has already compared the tensors with their hash. Here the canaries (a few corpus rows stored
    with their outputs) are encoded again at every size, as documents and, where queries have a matrix of
    their own, as queries. With ``data``, rows that bear a canary's id must still have the canary's
    embedding; where no row does, the mean direction of the vectors is compared with that of the training
    corpus, which finds another model but not a small drift.

    Parameters
    ----------
    compressor : Compressor
    data : Embeddings or Path, optional
        Of a file, or a folder of Parquet shards, the rows of canaries are read and a sample of the others: see
        `smec.data.some_rows`.
    everything : bool
        Read all rows of the file.
    progress : callable, optional
        Called with (rows read, rows that are to be read) while a file is read.

    Raises
    ------
    DataError
        The file cannot be used, or a row that was read cannot.
    """
    checks = [_outputs(compressor, "canaries", compressor.encode, CANARY_OUTPUTS, compressor.dims)]
    if compressor.own_queries:
        encode = compressor.encode_queries
        checks.append(_outputs(compressor, "query canaries", encode, CANARY_QUERIES, compressor.own_queries))
    if data is not None:
        ids = compressor.manifest.canary_ids
        if not isinstance(data, Path):
            return (*checks, _data(compressor, _held(data, ids)))
        found = some_rows(data, ids, everything=everything, progress=progress)
        checks += [_data(compressor, found), _rows_read(found)]
    return tuple(checks)


def _held(data: Embeddings, ids: Sequence[str]) -> SomeRows:
    """All rows of embeddings at hand, which are checked already."""
    total = np.zeros(data.dim)
    for block in row_blocks(len(data)):
        total += normalise(data.vectors[block]).sum(axis=0, dtype=np.float64)
    named = {id_: np.asarray(data.vectors[data.row(id_)]) for id_ in ids if id_ in data.rows}
    return SomeRows(data.name, named, total, len(data), len(data), 1, 1)


def _rows_read(data: SomeRows) -> Check:
    where = f" in {data.files} of {data.all_files} files" if data.all_files > 1 else ""
    if data.rows == data.all_rows:
        return Check("rows", True, f"all {data.rows:,} rows{where} were read and can be used")
    return Check(
        "rows",
        True,
        f"{data.rows:,} of {data.all_rows:,} rows{where} were read and can be used; the others were not looked at",
    )


def _outputs(compressor: Compressor, name: str, encode: Encode, stored: str, dims: tuple[int, ...]) -> Check:
    inputs, tensors = compressor.tensors[CANARY_INPUTS], compressor.tensors
    worst = max(float(np.abs(encode(inputs, dim) - tensors[stored.format(dim=dim)]).max()) for dim in dims)
    return Check(
        name,
        worst <= CANARY_TOLERANCE,
        f"{len(inputs)} stored inputs encoded at {len(dims)} sizes differ from the stored "
        f"outputs by at most {worst:.1e} (allowed {CANARY_TOLERANCE:.0e})",
    )


def _data(compressor: Compressor, data: SomeRows) -> Check:
    if data.dim != compressor.input_dim:
        detail = f"{data.name} has {data.dim} dims, the compressor takes {compressor.input_dim}"
        return Check("embedding model", False, detail)
    known = [(n, data.named[id_]) for n, id_ in enumerate(compressor.manifest.canary_ids) if id_ in data.named]
    return _canary_rows(compressor, known) if known else _mean_direction(compressor, data)


def _canary_rows(compressor: Compressor, known: Sequence[tuple[int, FloatArray]]) -> Check:
    stored: Float32Array = compressor.tensors[CANARY_INPUTS][[canary for canary, _ in known]]
    cosines = np.einsum("ij,ij->i", stored, normalise(np.stack([vector for _, vector in known])))
    return Check(
        "embedding model",
        bool(cosines.min() >= SAME_MODEL_COSINE),
        f"{len(known)} canary ids found; cosine to the embeddings trained on is at least "
        f"{cosines.min():.4f} (same model: {SAME_MODEL_COSINE} or more)",
    )


def _mean_direction(compressor: Compressor, data: SomeRows) -> Check:
    trained = compressor.tensors[MEAN].astype(np.float64)
    cosine = float(data.total @ trained / (np.linalg.norm(data.total) * np.linalg.norm(trained)))
    return Check(
        "embedding model",
        cosine >= SAME_MEAN_COSINE,
        f"no canary id among the rows; mean direction has cosine {cosine:.2f} to the training corpus "
        f"(another model: below {SAME_MEAN_COSINE}; a weak check, re-embed the canaries for a strong one)",
    )
