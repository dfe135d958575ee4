"""How good are judgements by BM25? Train labels are hidden, judged again, and compared.

``python -m benchmarks.judged_by_bm25 DATASET [SHOWN]``: of the train queries SHOWN (200) keep their labels,
which `smec judge` calibrates its threshold on (0: none, for the rule without labels); the labels of the
others are the truth that its new rows are compared with. The test split stays where it is and is not judged.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.bm25_server import Bm25Server
from smec.cli.main import app
from smec.data import Dataset
from smec.data.qrels import Qrels, read_qrels

HEADER = "query-id\tcorpus-id\tscore\n"


def hidden(source: Path, target: Path, shown: int) -> dict[str, dict[str, int]]:
    """Copy a dataset folder with the labels of ``shown`` train queries; those of the others are returned."""
    shutil.copytree(source, target)
    labels = read_qrels(source / "qrels" / "train.tsv")
    order = np.random.default_rng(0).permutation(list(labels)).tolist()
    rows = [f"{query}\t{d}\t{grade}\n" for query in order[:shown] for d, grade in labels[query].items()]
    (target / "qrels" / "train.tsv").write_text(HEADER + "".join(rows), encoding="utf-8")
    return {query: labels[query] for query in order[shown:]}


def agreement(made: Qrels, truth: Qrels) -> str:
    """Share of the new rows that are in the truth, and of the truth that is in the new rows."""
    new = {(query, document) for query in truth for document in made.get(query, {})}
    true = {(query, d) for query, judged in truth.items() for d, grade in judged.items() if grade > 0}
    judged = sum(query in made for query in truth)
    return (
        f"{len(truth):,} queries with hidden labels, {judged:,} judged: {len(new):,} rows, precision "
        f"{len(new & true) / max(len(new), 1):.3f}, recall {len(new & true) / len(true):.3f}"
    )


def main(source: Path, shown: int) -> None:
    """Hide, judge, compare."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / source.name
        truth = hidden(source, folder, shown)
        corpus = Dataset.open(folder).corpus
        texts = corpus.texts or [""] * len(corpus)
        titles = corpus.titles or [""] * len(corpus)
        wholes = [f"{title} {text}".strip() for title, text in zip(titles, texts, strict=True)]
        with Bm25Server(wholes) as server:
            words = ["judge", str(folder), "--endpoint", server.url, "--model", "bm25"]
            app(words, prog_name="smec", standalone_mode=False)
        print(agreement(read_qrels(folder / "qrels" / "train.tsv"), truth))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
