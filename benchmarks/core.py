"""Train on the reference datasets, report on their test splits, and hold the figures against their bars.

    python benchmarks/core.py                     # everything, seeds 0, 1, 2
    python benchmarks/core.py --only cranfield    # runs whose name contains the word
    python benchmarks/core.py --write-readme      # also put the table into README.md

Learned figures are means over the seeds; the interval is the bootstrap's over the test queries
for the first seed. Seconds are of this machine at this hour: compare them within one run only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smec import Dataset, evaluate, train
from smec.baselines import fit_baseline
from smec.compressor import Compressor
from smec.config import Preset, build_config
from smec.encoder import default_dims

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"


@dataclass(frozen=True)
class Run:
    """One setting and the bars it has to reach, per size from D/2 to D/32."""

    dataset: str
    preset: Preset
    supervised: bool
    bars: tuple[float, ...] | None = None
    over_pca: tuple[float, ...] | None = None
    """Bars as gains over PCA."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.dataset}, {'labels' if self.supervised else 'no labels'}, {self.preset}"


RUNS = (
    Run("scifact-mpnet", "default", True, bars=(0.785, 0.780, 0.760, 0.720, 0.645)),
    Run("scifact-mpnet", "default", False, over_pca=(0.0, 0.0, 0.0, 0.03, 0.03)),
    Run("cranfield-mpnet", "default", True, over_pca=(0.0,) * 5),
    Run("medquad-minilm", "default", True, bars=(0.765, 0.765, 0.760, 0.725, 0.52)),
    Run("grocery-effnet", "default", True, bars=(0.625, 0.645, 0.660, 0.665, 0.645)),
    Run("scifact-mpnet", "paper", True),
    Run("cranfield-mpnet", "paper", True),
    Run("medquad-minilm", "paper", True),
    Run("grocery-effnet", "paper", True),
)


def main() -> None:
    """Run, print, and write what was asked for."""
    arguments = _arguments()
    report: dict[str, dict[str, object]] = {}
    if arguments.update and arguments.json.is_file():
        report = json.loads(arguments.json.read_text(encoding="utf-8"))
    for run in RUNS:
        if arguments.only in run.name:
            report[run.name] = _measure(run, arguments.data, arguments.seeds)
            print("\n".join(_rows(run.name, report[run.name])), flush=True)
            arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.write_readme:
        _write_readme(report)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="reference datasets"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "core.json", help="figures, kept")
    parser.add_argument("--update", action="store_true", help="keep the figures of other runs in the JSON")
    parser.add_argument("--write-readme", action="store_true")
    return parser.parse_args()


def _measure(run: Run, data: Path, seeds: list[int]) -> dict[str, object]:
    dataset = Dataset.open(data / run.dataset)
    dims = default_dims(dataset.dim)
    baselines = [fit_baseline(name, dataset, dims) for name in ("truncate", "pca")]
    reference = evaluate(dataset, baselines)
    scores = {
        name: [r.metrics["nDCG@10"] for r in reference.results if r.method == name]
        for name in ("truncate", "pca")
    }
    figures, seconds, intervals, fallbacks = [], [], [], []
    for compressor, taken in _trained(run, dataset, seeds):
        results = evaluate(dataset, [compressor]).results
        figures.append([r.metrics["nDCG@10"] for r in results])
        intervals.append([list(r.ci) for r in results])
        fallbacks.append({str(dim): name for dim, name in compressor.fallbacks.items()})
        seconds.append(taken)
        print(
            f"  {run.name}: {np.round(figures[-1], 4).tolist()} in {taken:.0f} s", file=sys.stderr, flush=True
        )
    bars = list(run.bars) if run.bars else None
    if run.over_pca:
        bars = [pca + gain for pca, gain in zip(scores["pca"], run.over_pca, strict=True)]
    return {
        "dims": list(dims),
        "full": reference.full["nDCG@10"],
        **scores,
        "smec": np.mean(figures, axis=0).tolist(),
        "smec_by_seed": figures,
        "ci_first_seed": intervals[0],
        "bars": bars,
        "fallbacks": fallbacks,
        "seconds": seconds,
    }


def _trained(run: Run, dataset: Dataset, seeds: list[int]) -> Iterator[tuple[Compressor, float]]:
    for seed in seeds:
        config = build_config(run.preset, supervised=run.supervised, seed=seed)
        start = time.perf_counter()
        compressor = train(dataset, config=config)
        yield compressor, time.perf_counter() - start


def _rows(name: str, figures: dict[str, object]) -> list[str]:
    """Markdown lines of one setting."""
    columns: dict[str, list[float]] = {k: figures[k] for k in ("truncate", "pca", "smec")}  # type: ignore[misc]
    dims, bars = figures["dims"], figures["bars"]
    assert isinstance(dims, list)
    lines = [
        f"**{name}** (full size {figures['full']:.4f})",
        "",
        "| | " + " | ".join(map(str, dims)) + " |",
        "|---|" + "---|" * len(dims),
    ]
    lines += [
        f"| {label} | " + " | ".join(f"{v:.4f}" for v in values) + " |" for label, values in columns.items()
    ]
    intervals = figures["ci_first_seed"]
    assert isinstance(intervals, list)
    lines.append("| 95 % CI | " + " | ".join(f"{low:.3f}-{high:.3f}" for low, high in intervals) + " |")
    if isinstance(bars, list):
        met = [
            "met" if v >= bar - 5e-5 else "**missed**" for v, bar in zip(columns["smec"], bars, strict=True)
        ]
        lines.append("| bar | " + " | ".join(f"{b:.4f} {m}" for b, m in zip(bars, met, strict=True)) + " |")
    return [*lines, ""]


def _write_readme(report: dict[str, dict[str, object]]) -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    tables = [line for name, figures in report.items() for line in _rows(name, figures)]
    readme.write_text(before + BEGIN + "\n" + "\n".join(tables) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
