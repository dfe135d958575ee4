"""Wide vectors of any number: draws from a low-rank model with the spectrum of `manuals-ada002`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smec.baselines.pca import principal_axes
from smec.data import Dataset
from smec.method.axes import energy
from smec.vectors import Float32Array, normalise, row_blocks

RANK = 512
"""Axes of the model; what they leave of the spectrum is noise, the same in all directions."""

NEAR = 0.5
"""Length of what a query has of its own, beside its document."""


def spectrum(dataset: Dataset) -> tuple[NDArray[np.float64], float]:
    """Energies of the `RANK` leading axes of a corpus, and of all others together; their sum is 1."""
    moment = dataset.moments.second
    along = energy(principal_axes(moment), moment)
    return along[:RANK], float(along[RANK:].sum())


def write_dataset(
    folder: Path,
    fitted: tuple[NDArray[np.float64], float],
    *,
    rows: int,
    width: int,
    queries: int,
    seed: int = 0,
) -> None:
    """Write a dataset folder: a corpus, and train queries with one relevant document each.

    Parameters
    ----------
    folder : Path
        Made here.
    fitted : (ndarray of shape (RANK,), float)
        What `spectrum` returns.
    rows, width, queries : int
    seed : int
    """
    rng = np.random.default_rng(seed)
    (folder / "qrels").mkdir(parents=True)
    energies, rest = fitted
    axes = np.linalg.qr(rng.standard_normal((width, RANK)))[0].T.astype(np.float32)
    scale = np.sqrt(energies).astype(np.float32)
    noise = np.float32(np.sqrt(rest / width))

    def drawn(latent: Float32Array) -> Float32Array:
        own = rng.standard_normal((len(latent), width), dtype=np.float32) * noise
        return normalise((latent * scale) @ axes + own)

    def latents(count: int) -> Float32Array:
        made = rng.standard_normal((count, RANK), dtype=np.float32)
        made[:, 0] = 1  # the leading axis of uncentred embeddings is their mean
        return made

    asked = rng.choice(rows, queries, replace=False)
    kept = np.empty((queries, RANK), dtype=np.float32)
    corpus = np.lib.format.open_memmap(folder / "corpus.npy", mode="w+", dtype=np.float32, shape=(rows, width))
    for block in row_blocks(rows):
        latent = latents(block.stop - block.start)
        corpus[block] = drawn(latent)
        inside = (asked >= block.start) & (asked < block.stop)
        kept[inside] = latent[asked[inside] - block.start]
    corpus.flush()
    np.save(folder / "queries.npy", drawn(kept + NEAR * latents(queries)))
    for role, letter, count in (("corpus", "d", rows), ("queries", "q", queries)):
        ids = "".join(f"{letter}{row}\n" for row in range(count))
        (folder / f"{role}.ids.txt").write_text(ids, encoding="ascii")
    lines = "".join(f"q{query}\td{row}\t1\n" for query, row in enumerate(asked))
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines, encoding="ascii")
