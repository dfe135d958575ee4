"""Compressors of every kind of block: nested sizes, a size with a head, one of PCA; biases, own queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from smec.block import Block
from smec.compressor import Compressor
from smec.data import Embeddings
from smec.vectors import Float32Array, normalise

WIDTH = 16
DIMS = (8, 4, 2, 1)


def corpus(rows: int = 60, seed: int = 3) -> Float32Array:
    """Vectors around a common direction, as those of one embedding model are."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, WIDTH)) + 2).astype(np.float32)


def embeddings(name: str = "corpus", seed: int = 3) -> Embeddings:
    return Embeddings([f"d{row}" for row in range(60)], corpus(seed=seed), name=name)


def compressor() -> Compressor:
    """Sizes 8 and 4 are prefixes of one matrix, 2 is made from 4 by a head, 1 is PCA's."""
    rng = np.random.default_rng(7)
    square = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
    head = rng.standard_normal((4, 2)).astype(np.float32)
    sizes = [
        {"dim": dim, "method": "pca" if dim == 1 else "smec", "full": 0.8, "pca": 0.6125, "truncate": 0.4321}
        | {"smec": 0.5 + dim / 40, "ci": (0.4 + dim / 40, 0.6 + dim / 40)}
        for dim in DIMS
    ]
    blocks = [
        Block(square[:, :8], (8, 4), "smec"),
        Block(np.ascontiguousarray(square[:, :4] @ head), (2,), "smec", head, 4),
        Block(np.ascontiguousarray(square[:, 9:10]), (1,), "pca"),
    ]
    return _assembled(blocks, sizes)


def centred() -> Compressor:
    """The same sizes, of which only 1 has no bias: what the others take is moved by the corpus' mean."""
    rng = np.random.default_rng(7)
    square = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
    head = rng.standard_normal((4, 2)).astype(np.float32)
    bias = -normalise(corpus()).mean(axis=0) @ square[:, :8]
    small = np.ascontiguousarray(square[:, :4] @ head)
    return _assembled(
        [
            Block(square[:, :8], (8, 4), "pca-centred", bias=bias),
            Block(small, (2,), "spectemp", head, 4, bias[:4] @ head),
            Block(np.ascontiguousarray(square[:, 9:10]), (1,), "truncate"),
        ]
    )


def own_queries(parent: Callable[[], Compressor] = compressor) -> Compressor:
    """A parent's blocks; at 8, 4 and 2 queries have matrices of their own, at 1 they share PCA's."""
    rng = np.random.default_rng(17)
    blocks = [
        replace(block, query=rng.standard_normal(block.matrix.shape).astype(np.float32))
        if block.dims != (1,)
        else block
        for block in parent().blocks
    ]
    return _assembled(blocks)


def _assembled(blocks: list[Block], sizes: list[dict[str, Any]] | None = None) -> Compressor:
    validation = None if sizes is None else {"metric": "ndcg@10", "queries": 40, "sizes": sizes}
    return Compressor.assemble(
        blocks,
        {
            "smec_version": "0.1.0",
            "source_model": "all-test-v1",
            "preset": "default",
            "supervised": True,
            "training": {"seed": 5},
            "data": {"name": "small", "corpus": "c0ffee"},
            "libraries": {"numpy": np.__version__},
            "canary_ids": ("d0", "d1", "d2"),
            "validation": validation,
        },
        canaries=corpus()[:3],
        mean=normalise(corpus()).mean(axis=0),
    )
