"""``docs/benchmarks.md`` and its plots, from the JSON alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.experiments import EXPERIMENTS, Drawn
from benchmarks.readme_table import write_readme
from smec.atomic import replacing

Document = dict[str, Any]

INTRODUCTION = """# Benchmarks

<!-- Made by `python -m benchmarks` from benchmarks/results; a test compares them. -->

nDCG@10 times 100 on test splits that nothing was fitted, tuned or stopped on. Every method sees the
same vectors, the same train queries and the same held-out share of them for early stopping (below 500
labels smec trains four times, see [method.md](method.md)). Four choices were prompted by test figures, though
their values were not: that limit was raised from 300 when the few-label table showed real gains refused;
the last stage got more steps and negatives as small sizes lagged, and with many labels fewer taught documents
after an ablation; without labels, sizes of which PCA keeps seven neighbours in ten stay PCA, as images lost.
The values were chosen on train queries, the last one on the train queries of all these datasets. What the
rivals' papers leave open, and how it was read, stands at the top of each file in
[src/smec/baselines](../src/smec/baselines); how they were tuned, in [method.md](method.md).
The datasets are not part of the project: SciFact (`scifact-mpnet`), Cranfield, MedQuAD and the Grocery
Store images, embedded by all-mpnet-base-v2, all-MiniLM-L6-v2 and EfficientNet-Lite0.
"""


def documents(results: Path) -> dict[str, Document]:
    """The results that there are, in the order of the page."""
    files = {experiment.NAME: results / f"{experiment.NAME}.json" for experiment in EXPERIMENTS}
    return {
        name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.is_file()
    }


def write_page(results: Path, docs: Path, readme: Path | None = None) -> None:
    """Write the page, the plots beside it and, if it is named, the table of the README."""
    found = documents(results)
    if readme is not None:
        write_readme(found["main"], found["equal_bytes"], readme)
    plots = docs / "benchmarks"
    plots.mkdir(parents=True, exist_ok=True)
    for experiment in EXPERIMENTS:
        if experiment.NAME in found and isinstance(experiment, Drawn):
            experiment.draw(found[experiment.NAME], plots)
    with replacing(docs / "benchmarks.md", force=True) as part:
        part.write_text(page(found), encoding="utf-8")


def page(found: dict[str, Document]) -> str:
    """The page as Markdown."""
    lines = [INTRODUCTION, *_runs(found), "", *goals.section(found)]
    for experiment in EXPERIMENTS:
        if experiment.NAME in found:
            lines += experiment.section(found[experiment.NAME])
    return "\n".join(lines).rstrip() + "\n"


def _runs(found: dict[str, Document]) -> list[str]:
    """Where the figures come from, a line for what ran alike."""
    alike: dict[str, list[str]] = {}
    for name, document in found.items():
        versions = ", ".join(f"{library} {version}" for library, version in document["libraries"].items())
        seeds = ", ".join(map(str, document["seeds"]))
        alike.setdefault(f"seeds {seeds}; {document['machine']}; {versions}", []).append(name)
    return [f"- {', '.join(names)}: {run}" for run, names in alike.items()]
