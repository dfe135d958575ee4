"""One job, file to file, by smec and by what one would use instead: what `benchmarks.scale` times."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec import Compressor, compress
from smec.bulk.sharded import compress_shards
from smec.vectors import FloatArray

WIDTH, DIM = 768, 96


def smec_npy(model: Path, source: Path, output: Path) -> None:
    """`smec.compress`, file to file."""
    compress(Compressor.load(model), source, output, dim=DIM, codec="float16")


smec_parquet = smec_npy


def bare_npy(model: Path, source: Path, output: Path) -> None:
    """Memory map, product, normalisation, write: in blocks of the size that was fastest here."""
    matrix = Compressor.load(model).block(DIM).matrix
    vectors = np.load(source, mmap_mode="r")
    small = np.lib.format.open_memmap(output, mode="w+", dtype=np.float16, shape=(len(vectors), DIM))
    for start in range(0, len(vectors), 8192):
        block = vectors[start : start + 8192] @ matrix
        block /= np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        small[start : start + len(block)] = block
    small.flush()


def faiss_npy(model: Path, source: Path, output: Path) -> None:
    """Faiss's transform of the same matrix."""
    import faiss

    matrix = Compressor.load(model).block(DIM).matrix
    pca = faiss.PCAMatrix(WIDTH, DIM)
    faiss.copy_array_to_vector(np.ascontiguousarray(matrix.T).ravel(), pca.A)
    pca.is_trained = pca.is_orthonormal = True
    pca.have_bias = False
    _by_block(source, output, pca.apply)


def sklearn_npy(model: Path, source: Path, output: Path) -> None:
    """scikit-learn's transform of as many components."""
    from sklearn.decomposition import PCA

    pca = PCA(DIM).fit(np.load(source, mmap_mode="r")[:2000])
    _by_block(source, output, pca.transform)


def _by_block(source: Path, output: Path, transform: Callable[[FloatArray], FloatArray]) -> None:
    vectors = np.load(source, mmap_mode="r")
    small = np.lib.format.open_memmap(output, mode="w+", dtype=np.float16, shape=(len(vectors), DIM))
    for start in range(0, len(vectors), 8192):
        block = transform(np.ascontiguousarray(vectors[start : start + 8192]))
        block /= np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        small[start : start + len(block)] = block
    small.flush()


def bare_parquet(model: Path, source: Path, output: Path) -> None:
    """Pyarrow's reader and writer around the product."""
    matrix = Compressor.load(model).block(DIM).matrix
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float16(), DIM))])
    with pq.ParquetFile(source) as file, pq.ParquetWriter(output, schema, use_dictionary=["id"]) as writer:
        for batch in file.iter_batches(batch_size=8192):
            vectors = batch.column("vector").flatten().to_numpy().reshape(-1, WIDTH)
            block = vectors @ matrix
            block /= np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
            values = pa.array(block.astype(np.float16).ravel())
            column = pa.FixedSizeListArray.from_arrays(values, DIM)
            writer.write_batch(pa.record_batch([batch.column("id"), column], schema=schema))


def one_worker(model: Path, source: Path, output: Path) -> None:
    """The folder of shards, one process."""
    compress_shards(Compressor.load(model), source, output, dim=DIM, codec="float16", workers=1)


def on_one_core(model: Path, source: Path, output: Path) -> None:
    """The same with a core to itself, which its threads for reading and writing share."""
    os.sched_setaffinity(0, {0})
    one_worker(model, source, output)


def two_workers(model: Path, source: Path, output: Path) -> None:
    """The folder of shards, two processes of a thread each."""
    compress_shards(Compressor.load(model), source, output, dim=DIM, codec="float16", workers=2)
