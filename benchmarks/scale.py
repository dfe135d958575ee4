"""Bulk compression: throughput beside the bare loop and what one would use instead, memory, cost per row."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.cells import Laboratory
from benchmarks.markdown import table
from benchmarks.plan import Plan
from smec import Compressor, compress
from smec.baselines.pca import principal_axes
from smec.bulk.sharded import compress_shards
from smec.compressor import Block
from smec.data.moments import moments_of
from smec.vectors import FloatArray, normalise

NAME = "scale"

Document = dict[str, Any]
Contender = Callable[[Path, Path, Path], None]
"""Takes the model, the input and the output."""

ROWS, WIDTH, DIM = 1_000_000, 768, 96
ROUNDS = 2
COPIES = (1, 5, 20)
"""Hard links of the file of a million rows that are read as one input."""


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """Everything in one run, with the machine to itself; some gigabytes in the temporary folder."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        model, npy = folder / "model", folder / "million.npy"
        sample = _write_npy(npy, ROWS)
        model_of(sample, DIM).save(model)
        table_ = folder / "table.parquet"
        _write_parquet(table_, npy, ROWS // 4)
        return {
            "rows": ROWS,
            "width": WIDTH,
            "dim": DIM,
            "npy": _side_by_side({"smec": smec_npy, "bare numpy": bare_npy, **_rivals()}, model, npy, ".npy"),
            "parquet": _side_by_side(
                {"smec": smec_parquet, "bare pyarrow": bare_parquet}, model, table_, ".parquet"
            ),
            "workers": _side_by_side(
                {
                    "2 workers on 2 cores": two_workers,
                    "1 worker on 1 core": on_one_core,
                    "1 worker on 2 cores": one_worker,
                },
                model,
                npy,
                "",
                1,
            ),
            "memory": _memory(model, npy),
        }


def _rivals() -> dict[str, Contender]:
    return {"faiss PCAMatrix.apply": faiss_npy, "scikit-learn PCA.transform": sklearn_npy}


def _write_npy(file: Path, rows: int) -> FloatArray:
    """Random unit vectors; returns the first 20,000 of them."""
    rng = np.random.default_rng(0)
    written = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(rows, WIDTH))
    for start in range(0, rows, 50_000):
        block = rng.standard_normal((min(50_000, rows - start), WIDTH), dtype=np.float32)
        written[start : start + len(block)] = normalise(block + 0.5)
    written.flush()
    return np.array(written[:20_000])


def _write_parquet(file: Path, npy: Path, rows: int) -> None:
    vectors = np.load(npy, mmap_mode="r")
    kind = pa.list_(pa.float32(), WIDTH)
    with pq.ParquetWriter(
        file, pa.schema([("id", pa.string()), ("vector", kind)]), use_dictionary=False
    ) as writer:
        for start in range(0, rows, 50_000):
            block = np.ascontiguousarray(vectors[start : min(start + 50_000, rows)])
            ids = pa.array([f"d{row}" for row in range(start, start + len(block))])
            column = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), WIDTH)
            writer.write_batch(pa.record_batch([ids, column], names=["id", "vector"]))


def model_of(sample: FloatArray, dim: int) -> Compressor:
    """PCA of a sample as a compressor of one size."""
    matrix = np.ascontiguousarray(principal_axes(moments_of(sample).second)[:, :dim], dtype=np.float32)
    manifest = {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
    return Compressor.assemble(
        [Block(matrix, (dim,), "smec")], {**manifest, "libraries": {}}, sample[:3], sample.mean(axis=0)
    )


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


def _side_by_side(
    contenders: dict[str, Contender], model: Path, source: Path, suffix: str, threads: int | None = None
) -> Document:
    """Median seconds, and the median over rounds of the first one's throughput to that of each other."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(ROUNDS + 1):
        for name, contender in contenders.items():
            seconds, _ = _run(contender, model, source, suffix, threads)
            if round_:  # the first one fills the page cache
                taken[name].append(seconds)
    first = next(iter(taken.values()))
    return {
        "rows": [
            {
                "name": name,
                "seconds": round(median(seconds), 2),
                "throughput_ratio": round(
                    median(theirs / ours for ours, theirs in zip(first, seconds, strict=True)), 3
                ),
            }
            for name, seconds in taken.items()
        ]
    }


def _run(
    contender: Contender, model: Path, source: Path, suffix: str, threads: int | None
) -> tuple[float, int]:
    """Seconds and peak resident bytes in a process of its own."""
    before = os.environ.get("OMP_NUM_THREADS")
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        with (
            TemporaryDirectory(dir=model.parent) as place,
            ProcessPoolExecutor(1, get_context("spawn")) as pool,
        ):
            return pool.submit(_timed, contender, model, source, Path(place) / f"out{suffix}").result()
    finally:
        if threads is not None:
            os.environ.pop("OMP_NUM_THREADS")
            if before is not None:
                os.environ["OMP_NUM_THREADS"] = before


def _timed(contender: Contender, model: Path, source: Path, output: Path) -> tuple[float, int]:
    start = time.perf_counter()
    contender(model, source, output)
    return time.perf_counter() - start, peak_bytes()


def peak_bytes() -> int:
    """The most that this process was resident with."""
    # Not getrusage: what the parent held when it made this process counts there.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def _memory(model: Path, npy: Path) -> list[Document]:
    found = []
    for copies in COPIES:
        folder = npy.parent / f"copies-{copies}"
        folder.mkdir()
        for number in range(copies):
            (folder / f"{number:02}.npy").hardlink_to(npy)
        seconds, peak = _run(one_worker, model, folder, "", None)
        rows = copies * ROWS
        found.append(
            {
                "rows": rows,
                "peak_mb": round(peak / 1e6),
                "microseconds_per_row": round(1e6 * seconds / rows, 2),
            }
        )
    return found


def section(document: Document) -> list[str]:
    """Lines of the page."""
    size = f"{document['rows']:,} x {document['width']} float32"
    lines = [
        "## Bulk compression",
        "",
        f"From {size} to {document['dim']} dims as float16, file to file, warm page cache, everything in one",
        "run; a process each. *throughput* is the first row's as a multiple of the row's, the median over",
        f"{ROUNDS} rounds side by side.",
        "",
    ]
    for title, key in (
        (".npy to .npy, all cores", "npy"),
        (f".parquet to .parquet, {document['rows'] // 4:,} rows, all cores", "parquet"),
        ("into a folder of shards, a thread per worker", "workers"),
    ):
        rows = [
            [row["name"], f"{row['seconds']:.2f}", f"{row['throughput_ratio']:.2f}"]
            for row in document[key]["rows"]
        ]
        lines += [f"### {title}", "", *table(["", "seconds", "throughput"], rows), ""]
    return [*lines, *_memory_lines(document["memory"])]


def _memory_lines(measured: Sequence[Document]) -> list[str]:
    rows = [
        [f"{row['rows']:,}", str(row["peak_mb"]), f"{row['microseconds_per_row']:.2f}"] for row in measured
    ]
    return [
        "### Memory and cost per row, into a folder of shards",
        "",
        "The inputs of more than a million rows are hard links of the same file.",
        "",
        *table(["rows", "peak resident MB", "microseconds per row"], rows),
        "",
    ]
