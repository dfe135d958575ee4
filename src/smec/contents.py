"""Contents of an artefact: its tensors by name, and the manifest's fields that follow from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smec.artefact_files import Tensors, tensors_hash
from smec.block import Block, recorded
from smec.codecs import Codec
from smec.vectors import Float32Array, FloatArray, normalise

if TYPE_CHECKING:
    from smec.artefact import BlockRecord, Manifest

CANARY_INPUTS = "canary.inputs"
CANARY_OUTPUTS = "canary.outputs.{dim}"
CANARY_QUERIES = "canary.queries.{dim}"
"""The same inputs encoded as queries, at the sizes where these have a matrix of their own."""
MEAN = "corpus.mean"
CALIBRATION = "codec.{dim}.{name}."
ASSEMBLED = {"blocks", "dims", "codecs", "input_dim", "tensors_sha256", "format_version"}
"""Fields of the manifest that `filled` fills."""


def filled(
    blocks: Sequence[Block], fields: Mapping[str, object], stored: Tensors, codecs: Sequence[Codec]
) -> tuple[Manifest, Tensors]:
    """Manifest and tensors of an artefact.

    Parameters
    ----------
    blocks : sequence of Block
    fields : mapping
        The `Manifest` fields other than ``ASSEMBLED``.
    stored : dict
        The tensors of `corpus_tensors` and `calibrations`.
    codecs : sequence of Codec
        Those that are calibrated.
    """
    from smec.artefact import CodecRecord, Manifest, format_version

    records, tensors = [], dict(stored)
    for number, block in enumerate(sorted(blocks, key=lambda b: -b.dims[0])):
        record, named = recorded(block, f"block.{number}")
        records.append(record)
        tensors |= named
    tensors |= _query_canaries(blocks, stored[CANARY_INPUTS])
    dims = tuple(sorted((d for b in blocks for d in b.dims), reverse=True))
    manifest = Manifest.model_validate(
        {
            **fields,
            "format_version": format_version(records),
            "blocks": tuple(records),
            "dims": dims,
            "codecs": tuple(CodecRecord(dim=codec.dim, codec=codec.name) for codec in codecs),
            "input_dim": int(blocks[0].matrix.shape[0]),
            "tensors_sha256": tensors_hash(tensors),
        }
    )
    return manifest, tensors


def corpus_tensors(blocks: Sequence[Block], canaries: FloatArray, mean: FloatArray) -> Tensors:
    """A few corpus rows with their outputs at every size, and the mean of the corpus.

    Parameters
    ----------
    blocks : sequence of Block
    canaries : ndarray of shape (c, D)
    mean : ndarray of shape (D,)
    """
    inputs = normalise(canaries)
    tensors = {CANARY_INPUTS: inputs, MEAN: np.asarray(mean, dtype=np.float32)}
    for block in blocks:
        for dim in block.dims:
            tensors[CANARY_OUTPUTS.format(dim=dim)] = normalise(block.product(inputs, dim))
    return tensors


def _query_canaries(blocks: Sequence[Block], inputs: Float32Array) -> Tensors:
    return {
        CANARY_QUERIES.format(dim=dim): normalise(block.product(inputs, dim, queries=True))
        for block in blocks
        if block.query is not None
        for dim in block.dims
    }


def calibrations(codecs: Sequence[Codec]) -> Tensors:
    """Tensors of calibrated codecs, by size and name."""
    return {
        CALIBRATION.format(dim=codec.dim, name=codec.name) + name: tensor
        for codec in codecs
        for name, tensor in codec.tensors().items()
    }


def of_encoding(tensors: Tensors) -> Tensors:
    """Tensors that make vectors, of queries and of documents: all but the calibrations."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("codec.")}


def of_documents(tensors: Tensors, blocks: Collection[BlockRecord]) -> Tensors:
    """Tensors that make the document vectors of some of an artefact's blocks."""
    names = {CANARY_INPUTS, MEAN}
    for block in blocks:
        names |= {name for name in (block.tensor, block.head, block.bias) if name is not None}
        names |= {CANARY_OUTPUTS.format(dim=dim) for dim in block.dims}
    return {name: tensor for name, tensor in tensors.items() if name in names}


def without_queries(tensors: Tensors, blocks: Collection[BlockRecord]) -> Tensors:
    """Tensors other than the query matrices of these blocks and their canaries."""
    queries = {block.query for block in blocks}
    queries |= {CANARY_QUERIES.format(dim=dim) for block in blocks if block.query for dim in block.dims}
    return {name: tensor for name, tensor in tensors.items() if name not in queries}
