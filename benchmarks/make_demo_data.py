"""Make the demo's dataset from the whole of MedQuAD: ``python benchmarks/make_demo_data.py SOURCE``.

SOURCE is a dataset folder of MedQuAD's questions and answers, embedded by all-MiniLM-L6-v2.
The same source and seed give the same sample, which is committed to ``src/smec/demo/medquad``.
"""

from __future__ import annotations

import argparse
import csv
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

TARGET = Path(__file__).resolve().parents[1] / "src" / "smec" / "demo" / "medquad"
SEED = 0
QUESTIONS = {"train": 1200, "test": 300}
ANSWERS = 4000
TEXT_WIDTH = 240

Judgement = tuple[str, str, str]
"""Query id, corpus id, grade."""


def main() -> None:
    """Draw the sample and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="dataset folder of the whole of MedQuAD")
    source: Path = parser.parse_args().source
    rng = np.random.default_rng(SEED)
    qrels = {split: draw(source, split, size, rng) for split, size in QUESTIONS.items()}
    judged = [line for lines in qrels.values() for line in lines]
    corpus, queries = pq.read_table(source / "corpus.parquet"), pq.read_table(source / "queries.parquet")
    (TARGET / "qrels").mkdir(parents=True, exist_ok=True)
    write_vectors(queries, {query for query, _, _ in judged}, TARGET / "queries.parquet")
    write_vectors(corpus, filled(corpus, {answer for _, answer, _ in judged}, rng), TARGET / "corpus.parquet")
    for split, lines in qrels.items():
        write_qrels(lines, TARGET / "qrels" / f"{split}.tsv")
    size = sum(file.stat().st_size for file in TARGET.rglob("*") if file.is_file())
    print(f"{TARGET}: {size / 2**20:.1f} MiB")


def draw(source: Path, split: str, size: int, rng: np.random.Generator) -> list[Judgement]:
    """All judgements of ``size`` random queries of a split, in the source's order."""
    with (source / "qrels" / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        _, *lines = csv.reader(file, delimiter="\t")
    queries = list(dict.fromkeys(line[0] for line in lines))
    drawn = {queries[n] for n in rng.choice(len(queries), size, replace=False)}
    return [(query, answer, grade) for query, answer, grade in lines if query in drawn]


def filled(corpus: pa.Table, judged: set[str], rng: np.random.Generator) -> set[str]:
    """The judged answers, and random other ones up to `ANSWERS`."""
    others = [answer for answer in corpus["id"].to_pylist() if answer not in judged]
    drawn: NDArray[np.int64] = rng.choice(len(others), ANSWERS - len(judged), replace=False)
    return judged | {others[n] for n in drawn}


def write_vectors(table: pa.Table, ids: set[str], file: Path) -> None:
    """Write the rows with these ids, in the source's order and with their texts shortened."""
    kept = table.filter(pa.array([id_ in ids for id_ in table["id"].to_pylist()]))
    texts = [textwrap.shorten(text, TEXT_WIDTH, placeholder=" …") for text in kept["text"].to_pylist()]
    kept = kept.set_column(kept.schema.get_field_index("text"), "text", pa.array(texts, pa.string()))
    pq.write_table(kept.replace_schema_metadata(None), file, compression="zstd", compression_level=19)


def write_qrels(lines: list[Judgement], file: Path) -> None:
    """Write a BEIR qrels file."""
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerows([("query-id", "corpus-id", "score"), *lines])


if __name__ == "__main__":
    main()
