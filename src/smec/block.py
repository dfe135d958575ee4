"""One matrix of a compressor, and the sizes that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smec.artefact_files import Tensors
from smec.errors import ArtefactError, ConfigError
from smec.vectors import Float32Array, normalise, row_energy

if TYPE_CHECKING:
    from smec.artefact import BlockRecord, Manifest


@dataclass(frozen=True)
class Block:
    """One folded matrix and the nested sizes that it serves.

    Parameters
    ----------
    matrix : ndarray of shape (D, dims[0]), float32
    dims : tuple of int
        Served sizes, descending.
    method : str
        "smec", or the baseline that the gate fell back to.
    head : ndarray of shape (head_dim, dims[0]), float32, optional
        Makes the block's vectors from stored vectors of ``head_dim`` (a stage with a layer of its own, or
        a size added by ``extend``).
    head_dim : int, optional
        Size of the stored vectors that the head takes.
    bias : ndarray of shape (dims[0],), float32, optional
        Added to the product of a unit-length input: ``-mean @ matrix`` where a mean is subtracted first.
    query : ndarray of shape (D, dims[0]), float32, optional
        Makes the vectors of queries, with the same bias; without it ``matrix`` makes them too.
    """

    matrix: Float32Array
    dims: tuple[int, ...]
    method: str
    head: Float32Array | None = None
    head_dim: int | None = None
    bias: Float32Array | None = None
    query: Float32Array | None = None

    def leading(self, dim: int, *, queries: bool = False) -> tuple[Float32Array, Float32Array | None]:
        """Matrix and bias of a served size: the first ``dim`` columns, shapes (D, dim) and (dim,).

        Those that make documents, or with ``queries`` those that make queries.
        """
        matrix = self.query if queries and self.query is not None else self.matrix
        return matrix[:, :dim], None if self.bias is None else self.bias[:dim]

    def product(self, rows: Float32Array, dim: int, *, queries: bool = False) -> Float32Array:
        """Vectors of a served size before they get unit length: ``rows @ matrix + |rows| * bias``.

        The input's length scales the bias too, so that it changes the length of the result alone.

        Parameters
        ----------
        rows : ndarray of shape (n, D), float32
            Vectors of any length.
        dim : int
        queries : bool
            The rows are queries.

        Returns
        -------
        ndarray of shape (n, dim), float32
        """
        matrix, bias = self.leading(dim, queries=queries)
        small: Float32Array = rows @ matrix
        if bias is not None:
            small += np.sqrt(row_energy(rows)).astype(np.float32)[:, None] * bias
        return small


def check_sizes(blocks: Sequence[Block], manifest: Manifest, where: str) -> None:
    """Raise ArtefactError unless the blocks serve each size once, and no other.

    The hash does not cover ``config.json``.
    """
    sizes = tuple(sorted((dim for block in blocks for dim in block.dims), reverse=True))
    if not sizes or sizes != manifest.dims:
        raise ArtefactError(
            f"{where}: its blocks serve {list(sizes)}, but its dims are {list(manifest.dims)}"
        )
    if sizes[-1] < 1 or len(set(sizes)) < len(sizes):
        raise ArtefactError(f"{where}: its dims are {list(sizes)}, but each must be above 0, and there once")
    for block in blocks:
        least = manifest.input_dim, max(block.dims, default=0)
        for side, matrix in (("matrix", block.matrix), ("query matrix", block.query)):
            shape = None if matrix is None else matrix.shape
            if shape is not None and (len(shape) != 2 or shape[0] != least[0] or shape[1] < least[1]):
                raise ArtefactError(
                    f"{where}: a {side} of shape {shape} cannot serve {least[0]} -> {least[1]} dims"
                )
        if block.bias is not None and block.bias.shape != (least[1],):
            raise ArtefactError(f"{where}: a bias of shape {block.bias.shape} cannot serve {least[1]} dims")


def recorded(block: Block, name: str) -> tuple[BlockRecord, Tensors]:
    """A block for the artefact: its record, and its tensors under names that begin with ``name``."""
    from smec.artefact import BlockRecord

    head, bias, query = f"{name}.head", f"{name}.bias", f"{name}.query"
    tensors = {name: block.matrix, head: block.head, bias: block.bias, query: block.query}
    record = BlockRecord(
        tensor=name,
        dims=block.dims,
        method=block.method,
        head=None if block.head is None else head,
        head_dim=block.head_dim,
        bias=None if block.bias is None else bias,
        query=None if block.query is None else query,
    )
    return record, {name: tensor for name, tensor in tensors.items() if tensor is not None}


def restored(record: BlockRecord, tensors: Tensors) -> Block:
    """A block from the artefact; KeyError where a tensor is missing."""
    return Block(
        matrix=tensors[record.tensor],
        dims=record.dims,
        method=record.method,
        head=tensors[record.head] if record.head is not None else None,
        head_dim=record.head_dim,
        bias=tensors[record.bias] if record.bias is not None else None,
        query=tensors[record.query] if record.query is not None else None,
    )


def shrunk(blocks: Mapping[int, Block], rows: Float32Array, dim: int, *, queries: bool) -> Float32Array:
    """Smaller vectors from stored ones: a prefix within a block, else a product with the block's head.

    Parameters
    ----------
    blocks : mapping of int to Block
        Every served size, and the block that serves it.
    rows : ndarray of shape (n, d), float32
        Unit rows, d a served size.
    dim : int
        The size wanted.
    queries : bool
        The rows are queries.

    Returns
    -------
    ndarray of shape (n, dim), float32
        Unit rows.

    Raises
    ------
    ConfigError
        The size cannot be made from these vectors.
    """
    source, block = rows.shape[1], blocks[dim]
    if source in block.dims and source >= dim:
        return normalise(rows[:, :dim])
    if block.head is None or block.head_dim is None or source < block.head_dim:
        raise ConfigError(
            f"size {dim} ({block.method}) cannot be made from stored vectors of {source} dims; "
            "compress the original embeddings"
        )
    before = blocks[block.head_dim]
    if queries and (block.query is not None or before.query is not None):
        raise ConfigError(
            f"size {dim} cannot be made from query vectors of {source} dims: its head is for documents, and "
            "queries have a matrix of their own; compress the original embeddings"
        )
    return normalise(shrunk(blocks, rows, block.head_dim, queries=queries) @ block.head[:, :dim])
