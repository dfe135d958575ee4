"""Peak memory of a training by the width of the vectors and the rows that it holds."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cells import Laboratory
from benchmarks.markdown import table
from benchmarks.plan import Plan
from benchmarks.scale import peak_bytes
from smec.config import build_config
from smec.method.trainer import train
from smec.vectors import row_blocks

NAME = "training_memory"

Document = dict[str, Any]

ROWS = 200_000
CASES = ((384, 20_000), (768, 20_000), (768, 100_000), (1536, 20_000), (1536, 100_000))
"""D and pool."""
STEPS = 8
"""Of each size: memory does not depend on it."""


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """A process each, some minutes; the machine need not be idle."""
    found = []
    for width, pool in CASES:
        with TemporaryDirectory() as place, ProcessPoolExecutor(1, get_context("spawn")) as process:
            _write(Path(place), width)
            peak = process.submit(_peak, Path(place), pool).result()
        found.append({"width": width, "pool": pool, "peak_mb": round(peak / 1e6)})
    return {"rows": ROWS, "cases": found}


def _write(folder: Path, width: int) -> None:
    rng = np.random.default_rng(0)
    spectrum = np.arange(1, width + 1, dtype=np.float32) ** -0.5
    written = np.lib.format.open_memmap(
        folder / "corpus.npy", mode="w+", dtype=np.float16, shape=(ROWS, width)
    )
    for block in row_blocks(ROWS):
        rows = rng.standard_normal((block.stop - block.start, width), dtype=np.float32)
        written[block] = rows * spectrum
    written.flush()
    ids = "".join(f"d{row}\n" for row in range(ROWS))
    (folder / "corpus.ids.txt").write_text(ids, encoding="ascii")


def _peak(folder: Path, pool: int) -> int:
    train(folder, config=build_config(supervised=False, pool=pool, optimiser={"steps": STEPS}))
    return peak_bytes()


def section(document: Document) -> list[str]:
    """Lines of the page."""
    cases = document["cases"]
    sizes = np.array([[1, case["pool"] * case["width"] * 4 / 1e6] for case in cases])
    peaks = np.array([case["peak_mb"] for case in cases])
    (fixed, copies), *_ = np.linalg.lstsq(sizes, peaks)
    rows = [
        [str(case["width"]), f"{case['pool']:,}", str(case["peak_mb"]), f"{fixed + copies * size:.0f}"]
        for case, (_, size) in zip(cases, sizes, strict=True)
    ]
    return [
        "### Memory by width and pool",
        "",
        f"A folder of {document['rows']:,} float16 rows, trained without labels. The line through the peaks:",
        f"{fixed:.0f} MB, most of it the libraries, and {copies:.1f} times pool x D x 4 bytes.",
        "",
        *table(["D", "pool", "peak resident MB", "by the line"], rows),
        "",
    ]
