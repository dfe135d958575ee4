"""How good are judgements by BM25? Train labels are hidden, judged again, and compared.

``python -m benchmarks.judged_by_bm25 DATA`` writes the table of ``docs/judgements.md``; DATA is the folder of
the reference datasets. Of each dataset's train queries some keep their labels, which `smec judge` calibrates
its threshold on; the labels of the others are the truth that its new rows are compared with. The test split
stays where it is and is not judged.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from typer.testing import CliRunner

from benchmarks.bm25_server import Bm25Server
from benchmarks.markdown import table, write_between
from smec.cli.main import app
from smec.data import Dataset
from smec.data.qrels import Qrels, read_qrels
from smec.demo import demo_folder

PAGE = Path(__file__).resolve().parents[1] / "docs" / "judgements.md"
DEMO = "medquad (the demo)"
CASES = (
    (DEMO, 200),
    (DEMO, 0),
    ("scifact-mpnet", 200),
    ("scifact-mpnet", 0),
    ("cranfield-mpnet", 60),
    ("cranfield-mpnet", 0),
)
"""Dataset, and how many of its train queries keep their labels."""
HEAD = (
    "dataset",
    "labels shown",
    "labels hidden",
    "judged",
    "new rows",
    "precision as told",
    "precision",
    "recall",
)
HEADER = "query-id\tcorpus-id\tscore\n"


def hidden(source: Path, target: Path, shown: int) -> Qrels:
    """Copy a dataset folder with the labels of ``shown`` train queries; return those of the others."""
    shutil.copytree(source, target)
    labels = read_qrels(source / "qrels" / "train.tsv")
    order = np.random.default_rng(0).permutation(list(labels)).tolist()
    rows = [f"{query}\t{d}\t{grade}\n" for query in order[:shown] for d, grade in labels[query].items()]
    (target / "qrels" / "train.tsv").write_text(HEADER + "".join(rows), encoding="utf-8")
    return {query: labels[query] for query in order[shown:]}


def judged(folder: Path) -> dict[str, Any]:
    """Let BM25 judge the queries of a dataset folder without labels; return what `smec judge` says."""
    corpus = Dataset.open(folder).corpus
    texts = corpus.texts or [""] * len(corpus)
    titles = corpus.titles or [""] * len(corpus)
    wholes = [f"{title} {text}".strip() for title, text in zip(titles, texts, strict=True)]
    with Bm25Server(wholes) as server:
        words = ["judge", str(folder), "--endpoint", server.url, "--model", "bm25", "--json"]
        done = CliRunner().invoke(app, words, catch_exceptions=False)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def row(name: str, source: Path, shown: int) -> list[str]:
    """Hide, judge, compare: a row of the table."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / source.name
        truth = hidden(source, folder, shown)
        told = judged(folder)["rule"]["precision"]
        made = read_qrels(folder / "qrels" / "train.tsv")
    new = {(query, document) for query in truth for document in made.get(query, {})}
    true = {(query, d) for query, of in truth.items() for d, grade in of.items() if grade > 0}
    right = len(new & true)
    return [
        name,
        str(shown),
        f"{len(truth):,}",
        f"{sum(query in made for query in truth):,}",
        f"{len(new):,}",
        "" if told is None else f"{told:.0%}",
        f"{right / max(len(new), 1):.1%}",
        f"{right / len(true):.1%}",
    ]


@contextmanager
def opened(data: Path, name: str) -> Iterator[Path]:
    """The folder of a dataset, or of the one that comes with smec."""
    if name != DEMO:
        yield data / name
        return
    with demo_folder() as folder:
        yield folder


def main(data: Path) -> None:
    """Write the table into the page."""
    rows = []
    for name, shown in CASES:
        with opened(data, name) as source:
            rows.append(row(name, source, shown))
        print(" | ".join(rows[-1]), flush=True)
    write_between(PAGE, "judged", table(HEAD, rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
