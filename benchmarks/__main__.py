"""Run the benchmark and write ``benchmarks/results/*.json`` and ``docs/benchmarks.md``.

    python -m benchmarks                      # everything, five seeds: hours
    python -m benchmarks --only main speed    # some of the experiments
    python -m benchmarks --quick ...          # the main table on the sample that smec carries, one seed
    python -m benchmarks --page               # only the page, from the JSON there is

Finished cells are kept in ``benchmarks/results/cells``, so that a run can be interrupted and goes on
where it stopped; ``--finished`` makes the JSON of what there is, and the page says how many seeds that is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from benchmarks.cells import Laboratory
from benchmarks.experiments import EXPERIMENTS, Experiment, Measured, OfCells
from benchmarks.methods import PROTOCOL
from benchmarks.multimodal_data import ensure
from benchmarks.page import write_page
from benchmarks.plan import MULTIMODAL, QUICK, WHOLE, Plan
from smec import demo
from smec.atomic import replacing
from smec.method.assembly import libraries

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MADE = ROOT / "benchmarks" / "data"
"""Datasets that the benchmark makes itself; not committed."""


def main() -> None:
    """Run what was asked for."""
    arguments = _arguments()
    if not arguments.page:
        plan = QUICK if arguments.quick else replace(WHOLE, seeds=tuple(arguments.seeds))
        data = Path(demo.__file__).parent if arguments.quick else arguments.data
        chosen = [experiment for experiment in EXPERIMENTS if experiment.NAME in arguments.only]
        laboratory = Laboratory(data, MADE, arguments.results / "cells", fresh=arguments.fresh)
        if any(experiment.NAME == "modalities" for experiment in chosen):
            ensure(data, MADE / MULTIMODAL)
        if not arguments.finished:
            _run_cells(laboratory, chosen, plan, arguments.workers)
        for experiment in chosen:
            document = _document(experiment, laboratory, plan, finished=arguments.finished)
            if document is not None:
                _write(document, arguments.results / f"{experiment.NAME}.json")
    whole = arguments.results == RESULTS and arguments.docs == ROOT / "docs"
    write_page(arguments.results, arguments.docs, ROOT / "README.md" if whole else None)


def _run_cells(laboratory: Laboratory, chosen: list[Experiment], plan: Plan, workers: int) -> None:
    """Seed by seed, so that an interrupted run has all experiments with fewer seeds."""
    needed = [
        cell
        for seed in plan.seeds
        for experiment in chosen
        if isinstance(experiment, OfCells)
        for cell in experiment.cells(replace(plan, seeds=(seed,)))
    ]
    cells = list({cell.key(): cell for cell in needed if laboratory.differs(cell)}.values())
    if not cells:
        return
    for _ in track(laboratory.run_all(cells, workers), description="cells", total=len(cells)):
        pass


def _document(
    experiment: Experiment, laboratory: Laboratory, plan: Plan, *, finished: bool
) -> dict[str, Any] | None:
    if isinstance(experiment, OfCells):
        return experiment.summarise(laboratory, plan)
    if isinstance(experiment, Measured) and not finished:
        return experiment.measure(laboratory, plan)
    return None


def _write(document: dict[str, Any], file: Path) -> None:
    about = {
        "libraries": libraries(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "protocol": PROTOCOL,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file, force=True) as part:
        part.write_text(json.dumps({**about, **document}, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    names = [experiment.NAME for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="reference datasets"
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="experiments, all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(WHOLE.seeds))
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="cells at a time, a thread each")
    parser.add_argument("--fresh", action="store_true", help="run finished cells again")
    parser.add_argument("--finished", action="store_true", help="run nothing: JSON of the finished cells")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON and the cells")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the page")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="the main table on the sample; name other folders to keep the page",
    )
    parser.add_argument("--page", action="store_true", help="only the page, from the JSON there is")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.only = ["main"]
        if arguments.results == RESULTS:
            parser.error("--quick would replace the committed results: name --results and --docs folders")
    return arguments


if __name__ == "__main__":
    main()
