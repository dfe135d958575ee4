"""Run the benchmark and write ``benchmarks/results/*.json`` and ``docs/benchmarks.md``.

    python -m benchmarks                 # all datasets, five seeds: hours
    python -m benchmarks --quick         # the smallest dataset, one seed, few minutes
    python -m benchmarks --page          # only the page, from the committed JSON

Finished cells are kept in ``benchmarks/cells`` (not committed), so that a run can be interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from rich.progress import track

from benchmarks import main_table
from benchmarks.cells import Laboratory
from benchmarks.page import write_page
from smec.atomic import replacing
from smec.method.trainer import libraries

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    """Run what was asked for."""
    arguments = _arguments()
    results = arguments.results
    if not arguments.page:
        laboratory = Laboratory(arguments.data, arguments.cells, fresh=arguments.fresh)
        for cell in track(list(main_table.cells(arguments.datasets, arguments.seeds)), description="cells"):
            laboratory.run(cell)
        document = {
            "libraries": libraries(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            **main_table.summarise(laboratory, arguments.datasets, arguments.seeds),
        }
        results.mkdir(parents=True, exist_ok=True)
        with replacing(results / "main.json", force=True) as part:
            part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    write_page(results, arguments.docs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="reference datasets"
    )
    parser.add_argument("--datasets", nargs="+", default=list(main_table.DATASETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--cells", type=Path, default=ROOT / "benchmarks" / "cells", help="finished cells")
    parser.add_argument("--fresh", action="store_true", help="run finished cells again")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the page")
    parser.add_argument("--quick", action="store_true", help="the smallest dataset and one seed")
    parser.add_argument("--page", action="store_true", help="only the page, from the JSON there is")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.datasets, arguments.seeds = ["cranfield-mpnet"], [0]
    return arguments


if __name__ == "__main__":
    main()
