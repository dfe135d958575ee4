"""Peak memory and cost per row of bulk compression, by the number of rows."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cells import Laboratory
from benchmarks.file_to_file import DIM, WIDTH, one_worker
from benchmarks.markdown import table
from benchmarks.plan import Plan
from benchmarks.scale import ROWS, links, model_of, run, write_npy

NAME = "bulk_memory"

Document = dict[str, Any]

COPIES = (1, 5, 20)


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """With the machine to itself: two minutes, 8 GB in the temporary folder."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        model, npy = folder / "model", folder / "million.npy"
        model_of(write_npy(npy, ROWS), DIM).save(model)
        found = []
        for copies in COPIES:
            seconds, peak = run(one_worker, model, links(npy, copies), "")
            rows = copies * ROWS
            found.append(
                {
                    "rows": rows,
                    "peak_mb": round(peak / 1e6),
                    "microseconds_per_row": round(1e6 * seconds / rows, 2),
                }
            )
    return {"width": WIDTH, "dim": DIM, "sizes": found}


def section(document: Document) -> list[str]:
    """Lines of the page."""
    rows = [
        [f"{row['rows']:,}", str(row["peak_mb"]), f"{row['microseconds_per_row']:.2f}"]
        for row in document["sizes"]
    ]
    return [
        "### Memory and cost per row, into a folder of shards",
        "",
        f"{document['width']} float32 to {document['dim']} float16, one worker on all cores. Inputs of more",
        "than a million rows are hard links of the same file.",
        "",
        *table(["rows", "peak resident MB", "microseconds per row"], rows),
        "",
    ]
