"""A real proxy before the recorded upstream, and the vectors that it must answer with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from server.recorded_upstream import RecordedUpstream, recorded, serving
from smec.baselines.pca import fit_pca
from smec.block import Block
from smec.compressor import Compressor
from smec.config import parsed
from smec.demo import demo_dataset
from smec.own_queries import with_queries
from smec.server.lifecycle import Server
from smec.server.service import Service
from smec.server.settings import ServerSettings
from smec.vectors import Float32Array

NAME = "all-MiniLM-L6-v2"
DIMS = (96, 48)


@cache
def compressor(seed: int = 0) -> Compressor:
    """PCA of the recorded corpus; other seeds turn the axes, so that the vectors are others."""
    dataset = demo_dataset()
    matrix = fit_pca(dataset, (DIMS[0],)).matrix
    if seed:
        rng = np.random.default_rng(seed)
        matrix = matrix @ np.linalg.qr(rng.standard_normal((DIMS[0], DIMS[0])))[0].astype(np.float32)
    return Compressor.assemble(
        [Block(np.ascontiguousarray(matrix), DIMS, "pca")],
        {
            "smec_version": "0.1.0",
            "source_model": NAME,
            "preset": "default",
            "supervised": False,
            "training": {"seed": seed},
            "data": {"name": "medquad"},
            "libraries": {},
            "canary_ids": dataset.corpus.ids[:4],
        },
        canaries=dataset.corpus.vectors[:4],
        mean=dataset.moments.mean,
    )


@cache
def own_queries() -> Compressor:
    """`compressor` with a matrix of its own for queries: that of other axes."""
    return with_queries(compressor(), {DIMS[0]: compressor(3).block(DIMS[0]).matrix})


def expected(texts: Sequence[str], dim: int = DIMS[0], by: Compressor | None = None) -> Float32Array:
    """The small vectors of recorded texts."""
    return (by or compressor()).encode(np.array([recorded()[text] for text in texts]), dim)


def document(behind: RecordedUpstream, folder: Path, **fields: Any) -> dict[str, Any]:
    """Settings of a proxy with one model, saved in ``folder``."""
    if not (folder / "config.json").exists():
        compressor().save(folder)
    return {
        "models": {NAME: {"path": str(folder)}},
        "upstream": {"url": behind.url, **fields.pop("upstream", {})},
        "drain_seconds": 0,
        **fields,
    }


@contextmanager
def proxy(behind: RecordedUpstream, folder: Path, **fields: Any) -> Iterator[tuple[str, Service]]:
    """A running proxy: its address, and what runs there."""
    server = Server(parsed(ServerSettings, document(behind, folder, **fields), "test"))
    with serving(server) as url:
        yield url, server.service
