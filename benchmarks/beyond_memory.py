"""Training on a corpus that is only read: memory, cost per row, and the principal axes of one pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.cells import Laboratory
from benchmarks.markdown import table
from benchmarks.plan import Plan
from benchmarks.scale import peak_bytes
from smec import Dataset
from smec.baselines.pca import principal_axes
from smec.config import build_config
from smec.data.blocks import Block, Source
from smec.data.moments import moments_of
from smec.data.sample import sampled
from smec.method.trainer import train
from smec.vectors import BLOCK_ROWS, FloatArray, normalise, row_blocks

NAME = "beyond_memory"

Document = dict[str, Any]

WIDTH, DIM = 768, 96
SIZES = (1_000_000, 5_000_000, 20_000_000)
AXES_ROWS = 1_000_000
POOL = 20_000
"""Rows that training holds; the default is 100,000, which trains longer."""
STEPS = 8
"""Of each size: memory does not depend on it."""
ROUNDS = 2


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """Everything in one run, with the machine to itself: a quarter of an hour, 3 GB on disk."""
    training = []
    for rows in SIZES:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            training.append(process.submit(_train, rows).result())
    with TemporaryDirectory() as place:
        axes = _axes(Path(place) / "corpus.npy")
    return {"width": WIDTH, "dim": DIM, "pool": POOL, "training": training, "axes": axes}


def _spectrum() -> FloatArray:
    """A fall that real embeddings have: without a gap the leading subspace would not be defined."""
    return (np.arange(1, WIDTH + 1) ** -0.5).astype(np.float32)


def _generated(rows: int) -> Source:
    """Rows that are made when they are read: float16 as a file would have them, with ids."""
    base = (np.random.default_rng(0).standard_normal((4 * BLOCK_ROWS, WIDTH)) * _spectrum()).astype(
        np.float16
    )

    def blocks() -> Iterator[Block]:
        rng = np.random.default_rng(1)
        for block in row_blocks(rows):
            count = block.stop - block.start
            first = int(rng.integers(len(base) - count + 1))
            # Turned by some dims, so that no two blocks are the same.
            vectors = np.roll(base[first : first + count], int(rng.integers(8)), axis=1)
            ids = pa.array(np.arange(block.start, block.stop)).cast(pa.string())
            yield Block("generated", block.start, vectors, [ids, None])

    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float16(), WIDTH))])
    return Source(rows, schema, blocks())


def _train(rows: int) -> Document:
    config = build_config(supervised=False, pool=POOL, optimiser={"steps": STEPS})
    start = time.perf_counter()
    corpus, whole = sampled(_generated(rows), "generated", config.pool)
    read = time.perf_counter()
    train(Dataset(corpus, name="generated", whole=whole), config=config)
    trained = time.perf_counter()
    return {
        "rows": rows,
        "logical_gb": round(rows * WIDTH * 2 / 1e9, 1),
        "peak_mb": round(peak_bytes() / 1e6),
        "microseconds_per_row": round(1e6 * (read - start) / rows, 2),
        "training_seconds": round(trained - read, 1),
    }


def _axes(file: Path) -> Document:
    """One pass beside scikit-learn's, both of the centred unit-length rows, as an exact PCA has them."""
    from scipy.linalg import subspace_angles

    _write(file)
    seconds: dict[str, list[float]] = {"smec": [], "scikit-learn IncrementalPCA": []}
    found: dict[str, FloatArray] = {}
    for _ in range(ROUNDS):
        for name, fit in (("smec", _ours), ("scikit-learn IncrementalPCA", _incremental)):
            start = time.perf_counter()
            found[name] = fit(np.load(file, mmap_mode="r"))
            seconds[name].append(time.perf_counter() - start)
    exact = _exact(np.load(file, mmap_mode="r"))
    ratios = [theirs / ours for ours, theirs in zip(*seconds.values(), strict=True)]
    return {
        "rows": AXES_ROWS,
        "ratio": round(median(ratios), 2),
        "methods": [
            {
                "name": name,
                "seconds": round(median(taken), 1),
                "largest_angle": float(f"{subspace_angles(found[name], exact).max():.2g}"),
            }
            for name, taken in seconds.items()
        ],
        "between": float(f"{subspace_angles(*found.values()).max():.2g}"),
    }


def _write(file: Path) -> None:
    rng, spectrum = np.random.default_rng(2), _spectrum()
    turn = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
    written = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(AXES_ROWS, WIDTH))
    for block in row_blocks(AXES_ROWS, 50_000):
        rows = rng.standard_normal((block.stop - block.start, WIDTH), dtype=np.float32) * spectrum
        written[block] = (rows + 0.1) @ turn
    written.flush()


def _centred(second: NDArray[np.float64], mean: NDArray[np.float64]) -> FloatArray:
    return principal_axes(second - np.outer(mean, mean))[:, :DIM]


def _ours(vectors: FloatArray) -> FloatArray:
    moments = moments_of(vectors)
    return _centred(moments.second, moments.mean)


def _incremental(vectors: FloatArray) -> FloatArray:
    from sklearn.decomposition import IncrementalPCA

    pca = IncrementalPCA(DIM)
    for block in row_blocks(len(vectors)):
        pca.partial_fit(normalise(vectors[block]))
    axes: FloatArray = pca.components_.T
    return axes


def _exact(vectors: FloatArray) -> FloatArray:
    """Two passes in float64: the mean first, then the covariance."""
    mean = np.mean([normalise(vectors[block]).mean(axis=0, dtype=np.float64) for block in _even()], axis=0)
    total = np.zeros((WIDTH, WIDTH))
    for block in _even():
        rows = normalise(vectors[block]).astype(np.float64) - mean
        total += rows.T @ rows
    return principal_axes(total / len(vectors))[:, :DIM]


def _even() -> Iterator[slice]:
    """Blocks of one size, whose means weigh the same."""
    return row_blocks(AXES_ROWS, 8000)


def section(document: Document) -> list[str]:
    """Lines of the page."""
    training = [
        [
            f"{row['rows']:,}",
            f"{row['logical_gb']} GB",
            str(row["peak_mb"]),
            f"{row['microseconds_per_row']:.1f}",
            f"{row['training_seconds']:.0f}",
        ]
        for row in document["training"]
    ]
    axes = document["axes"]
    methods = [
        [row["name"], f"{row['seconds']:.1f}", f"{row['largest_angle']:.1e}"] for row in axes["methods"]
    ]
    return [
        "## Training beyond memory",
        "",
        f"Rows of {document['width']} float16 that are made when they are read, so that nothing of that",
        f"size is stored; a training without labels on a pool of {document['pool']:,} of them, a process",
        "each.",
        "",
        *table(["rows", "to read", "peak resident MB", "µs per row to read", "s to train"], training),
        "",
        f"The leading {document['dim']} principal axes of {axes['rows']:,} x {document['width']} float32",
        "rows in one pass, from a memory map; the angle is the largest to the subspace of a float64 PCA of",
        f"two passes. smec is {axes['ratio']:.1f} times as fast, the median over {ROUNDS} rounds side by",
        "side. IncrementalPCA keeps only its components from block to block, and where the spectrum has no",
        f"gap it does not come to that subspace: the two differ by an angle of {axes['between']:.1e}.",
        "",
        *table(["", "seconds", "largest angle, radians"], methods),
        "",
    ]
