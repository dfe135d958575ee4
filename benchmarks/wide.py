"""Wide vectors and large corpora: how long a training takes, beside an earlier checkout of the project.

``python -m benchmarks.wide --data DATA`` needs a quarter of an hour, 3 GB of disk, and the machine to itself.
With ``--before CHECKOUT`` each case is trained by that one too, in turn. Datasets that are not in DATA are
draws of `benchmarks.wide_data`. It writes benchmarks/results/wide.json and a table of docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.__main__ import RESULTS, ROOT
from benchmarks.markdown import table, write_between
from benchmarks.wide_data import spectrum, write_dataset
from smec.compressor import Compressor
from smec.data import Dataset
from smec.evaluation import evaluate

PAGE = ROOT / "docs" / "scale.md"
MARKER = "wide"
FITTED = "manuals-ada002"

PROGRAM = """
import atexit, sys
def peak():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(int(line.split()[1]) * 1024, file=sys.stderr)
atexit.register(peak)
from smec.cli.main import main
main()
"""

Document = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A training that is timed as a whole process."""

    name: str
    """A dataset of DATA, or what a drawn one is called."""
    drawn: tuple[int, int, int] | None = None
    """Rows, width and queries."""
    goal: float | None = None
    """Seconds."""


CASES = (
    Case("scifact-mpnet", goal=12),
    Case("manuals-ada002", goal=30),
    Case("30,000 x 3,072", (30_000, 3072, 2000), goal=60),
    Case("100,000 x 4,096", (100_000, 4096, 10_000), goal=180),
    *(Case(f"20,000 x {width:,}", (20_000, width, 2000)) for width in (768, 1536, 3072, 4096)),
)


def measure(data: Path, case: Case, before: Path | None) -> Document:
    """Train on one dataset by every checkout, and score what came of it where there is a test split."""
    with TemporaryDirectory() as place:
        folder = data / case.name
        if case.drawn is not None:
            folder = Path(place) / "dataset"
            rows, width, queries = case.drawn
            fitted = spectrum(Dataset.open(data / FITTED))
            write_dataset(folder, fitted, rows=rows, width=width, queries=queries)
        found: Document = asdict(case)
        for name, checkout in (("before", before), ("now", ROOT)):
            if checkout is not None:
                found[name] = _trained(folder, checkout, Path(place) / name)
    return found


def _trained(folder: Path, checkout: Path, model: Path) -> Document:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "train", str(folder), "-o", str(model)],
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - begun
    found: Document = {
        "seconds": round(seconds, 1),
        "peak_gb": round(int(done.stderr.split()[-1]) / 1e9, 2),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    if (folder / "qrels" / "test.tsv").exists():
        compressor = Compressor.load(model)
        results = evaluate(Dataset.open(folder), [compressor]).results
        found["scores"] = [round(100 * result.metrics["nDCG@10"], 1) for result in results]
    return found


def lines(cases: Sequence[Document]) -> list[str]:
    """The table: a row for each case."""
    rows = []
    for case in cases:
        now, before = case["now"], case.get("before")
        rows.append(
            [
                case["name"],
                "" if before is None else f"{before['seconds']:.0f}",
                f"{now['seconds']:.0f}",
                "" if case["goal"] is None else f"{case['goal']:.0f}",
                f"{now['peak_gb']:.1f}",
                _scores(before),
                _scores(now),
            ]
        )
    head = ["corpus", "s before", "s", "goal", "peak GB", "nDCG@10 before", "nDCG@10"]
    return table(head, rows)


def _scores(of: Document | None) -> str:
    return "/".join(map(str, (of or {}).get("scores", [])))


def main(words: Sequence[str] | None = None) -> None:
    """Measure the cases, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wide", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="reference datasets"
    )
    parser.add_argument("--before", type=Path, help="an earlier checkout of the project")
    parser.add_argument("--only", nargs="+", default=[case.name for case in CASES], help="names of cases")
    given = parser.parse_args(words)
    file = RESULTS / "wide.json"
    kept = {case["name"]: case for case in json.loads(file.read_text())} if file.exists() else {}
    for case in CASES:
        if case.name in given.only:
            kept[case.name] = measure(given.data, case, given.before)
            print(json.dumps(kept[case.name]), flush=True)
            ordered = [kept[of.name] for of in CASES if of.name in kept]
            file.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
            write_between(PAGE, MARKER, lines(ordered))


if __name__ == "__main__":
    main()
