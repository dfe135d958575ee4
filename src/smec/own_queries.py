"""Matrices for queries beside those of documents: better search in vectors that are stored already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from smec.block import Block
from smec.compressor import Compressor
from smec.contents import ASSEMBLED, filled, without_queries
from smec.encoder import served
from smec.errors import ConfigError
from smec.vectors import Float32Array


def with_queries(
    compressor: Compressor,
    queries: Mapping[int, Float32Array | None],
    manifest: Mapping[str, object] | None = None,
) -> Compressor:
    """The compressor with other matrices for queries; what makes documents keeps its bits.

    Both have the same ``fingerprint``: every vector that was stored with the one is valid with the other.

    Parameters
    ----------
    compressor : Compressor
    queries : mapping of int to ndarray of shape (D, largest size of the block), float32, or None
        By any size of a block: the matrix that makes the vectors of queries, or None to share that of
        documents. Blocks that are not named stay as they are.
    manifest : mapping, optional
        `Manifest` fields that change, other than those that are filled.

    Raises
    ------
    ConfigError
        A size is not served, or a matrix has another shape than that of documents.
    """
    given = {served(dim, compressor.dims, compressor.name): query for dim, query in queries.items()}
    blocks = [_with_query(block, given) for block in compressor.blocks]
    before = compressor.manifest
    return Compressor(
        blocks,
        *filled(
            blocks,
            before.model_dump(exclude=ASSEMBLED) | dict(manifest or {}),
            without_queries(compressor.tensors, before.blocks),
            [compressor.codec(known.codec, known.dim) for known in before.codecs],
        ),
    )


def _with_query(block: Block, given: Mapping[int, Float32Array | None]) -> Block:
    named = [dim for dim in block.dims if dim in given]
    if not named:
        return block
    query = given[named[0]]
    if query is not None and query.shape != block.matrix.shape:
        raise ConfigError(
            f"size {named[0]}: a query matrix of shape {query.shape} cannot stand beside one of documents of "
            f"shape {block.matrix.shape}"
        )
    return replace(block, query=query)
