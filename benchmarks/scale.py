"""Bulk compression: throughput beside the bare loop and what one would use instead."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
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
from benchmarks.file_to_file import (
    DIM,
    WIDTH,
    bare_npy,
    bare_parquet,
    faiss_npy,
    on_one_core,
    one_worker,
    sklearn_npy,
    smec_npy,
    smec_parquet,
    two_workers,
)
from benchmarks.markdown import table
from benchmarks.plan import Plan
from smec import Compressor
from smec.baselines.pca import principal_axes
from smec.block import Block
from smec.data.moments import moments_of
from smec.vectors import FloatArray, normalise

NAME = "scale"

Document = dict[str, Any]
Contender = Callable[[Path, Path, Path], None]
"""Takes the model, the input and the output."""

ROWS = 1_000_000
ROUNDS = 6
"""Of files; of folders, which take longer, a third."""
COPIES = 5
"""Hard links of the file that are read as one input, so that the start of the processes is a small part."""
BILLION, ESTIMATED_WIDTH, CORES = 1_000_000_000, 1536, 64
RATES = (("one NVMe drive", 7.0), ("a network of 100 Gbit/s", 12.5), ("a network of 25 Gbit/s", 3.1))
"""GB/s that are read at best, by what their makers say."""


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """Everything in one run, with the machine to itself; some gigabytes in the temporary folder."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        model, npy = folder / "model", folder / "million.npy"
        model_of(write_npy(npy, ROWS), DIM).save(model)
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
                links(npy, COPIES),
                "",
                rounds=ROUNDS // 3,
                threads=1,
            ),
            "worker_rows": COPIES * ROWS,
        }


def links(npy: Path, copies: int) -> Path:
    """A folder of that many hard links of a file."""
    folder = npy.parent / f"copies-{copies}"
    folder.mkdir()
    for number in range(copies):
        (folder / f"{number:02}.npy").hardlink_to(npy)
    return folder


def _rivals() -> dict[str, Contender]:
    return {"faiss PCAMatrix.apply": faiss_npy, "scikit-learn PCA.transform": sklearn_npy}


def write_npy(file: Path, rows: int) -> FloatArray:
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


def _side_by_side(
    contenders: dict[str, Contender],
    model: Path,
    source: Path,
    suffix: str,
    *,
    rounds: int = ROUNDS,
    threads: int | None = None,
) -> Document:
    """Median seconds, and the median over rounds of the first one's throughput to that of each other."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, contender in contenders.items():
            seconds, _ = run(contender, model, source, suffix, threads)
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


def run(
    contender: Contender, model: Path, source: Path, suffix: str, threads: int | None = None
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


def section(document: Document) -> list[str]:
    """Lines of the page."""
    size = f"{document['rows']:,} x {document['width']} float32"
    lines = [
        "## Bulk compression",
        "",
        f"From {size} to {document['dim']} dims as float16, file to file, warm page cache, everything in one",
        "run; a process each. *throughput* is the first row's as a multiple of the row's, the median over",
        f"{ROUNDS} rounds side by side, of folders over {ROUNDS // 3}.",
        "",
    ]
    for title, key in (
        (".npy to .npy, all cores", "npy"),
        (f".parquet to .parquet, {document['rows'] // 4:,} rows, all cores", "parquet"),
        (f"{document['worker_rows']:,} rows into a folder of shards, a thread per worker", "workers"),
    ):
        rows = [
            [row["name"], f"{row['seconds']:.2f}", f"{row['throughput_ratio']:.2f}"]
            for row in document[key]["rows"]
        ]
        lines += [f"### {title}", "", *table(["", "seconds", "throughput"], rows), ""]
    return [*lines, *_estimate(document)]


def _estimate(document: Document) -> list[str]:
    """A billion vectors, from the seconds of one worker on one core."""
    measured = {row["name"]: row["seconds"] for row in document["workers"]["rows"]}
    of_row = measured["1 worker on 1 core"] / document["worker_rows"]
    wider = of_row * ESTIMATED_WIDTH / document["width"]
    computing = BILLION * wider / CORES
    read, written = BILLION * ESTIMATED_WIDTH * 4 / 1e9, BILLION * document["dim"] * 2 / 1e9
    rows = [[name, f"{rate:.1f}", f"{read / rate / 60:.0f}"] for name, rate in RATES]
    return [
        f"### An estimate: {BILLION:,} x {ESTIMATED_WIDTH} float32 on {CORES} cores",
        "",
        f"One worker on one core takes {1e6 * of_row:.2f} µs for a row of {document['width']} numbers out",
        f"of memory; for twice as many numbers twice that is assumed, {1e6 * wider:.1f} µs. {CORES} workers",
        f"that do not disturb each other need {computing / 60:.1f} minutes for it, if they are given",
        f"{read / computing:.0f} GB/s. No drive does: **the bottleneck is where the {read / 1000:.1f} TB",
        f"are read from**, and most cores wait. The {written:.0f} GB that are written are a small part.",
        "",
        *table(["read from", "GB/s", "minutes, at least"], rows),
        "",
        f"{wider * 7e9 / ESTIMATED_WIDTH / 4:.0f} cores keep up with one such drive.",
        "",
    ]
