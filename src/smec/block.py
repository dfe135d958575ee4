"""One matrix of a compressor, and the sizes that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smec.artefact import BlockRecord, Manifest, Tensors
from smec.errors import ArtefactError
from smec.vectors import Float32Array


@dataclass(frozen=True)
class Block:
    """One folded matrix and the nested sizes that it serves.

    ``head`` is what makes the block's vectors from stored vectors of ``head_dim`` (a stage
    with a layer of its own, or a size added by ``extend``).
    """

    matrix: Float32Array  # (D, dims[0])
    dims: tuple[int, ...]
    method: str
    head: Float32Array | None = None  # (head_dim, dims[0])
    head_dim: int | None = None


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
        shape, least = block.matrix.shape, (manifest.input_dim, max(block.dims, default=0))
        if len(shape) != 2 or shape[0] != least[0] or shape[1] < least[1]:
            raise ArtefactError(
                f"{where}: a matrix of shape {shape} cannot serve {least[0]} -> {least[1]} dims"
            )


def restored(record: BlockRecord, tensors: Tensors) -> Block:
    """A block from the artefact; KeyError where a tensor is missing."""
    return Block(
        matrix=tensors[record.tensor],
        dims=record.dims,
        method=record.method,
        head=tensors[record.head] if record.head is not None else None,
        head_dim=record.head_dim,
    )
