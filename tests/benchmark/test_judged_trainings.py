"""What judgements by BM25 gain: the table of a small dataset, with real trainings and a real server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.judged_trainings import gains, signals
from benchmarks.markdown import write_between

from smec.baselines.pca import fit_pca
from smec.data import Dataset, Embeddings
from smec.data.qrels import Qrels, read_qrels
from smec.demo import demo_dataset
from smec.evaluation.comparison import evaluate

SHOWN, TRAIN, TEST = 20, 60, 30
QUICK = {"dims": (48, 24), "optimiser": {"steps": 4, "passes": 0.0}, "validation": {"every": 4, "folds": 1}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some questions of the demo; half of the test ones ask for answers to train questions."""
    made, demo = tmp_path_factory.mktemp("judged") / "small", demo_dataset()
    train = dict(list(demo.qrels["train"].items())[:TRAIN])
    test = dict(list(demo.qrels["test"].items())[: TEST // 2])
    again = dict(list(demo.qrels["train"].items())[TRAIN : TRAIN + TEST // 2])
    seen: Qrels = dict(zip(again, list(train.values()), strict=False))
    (made / "qrels").mkdir(parents=True)
    for split, qrels in (("train", train), ("test", {**test, **seen})):
        rows = [f"{q}\t{d}\t{grade}\n" for q, of in qrels.items() for d, grade in of.items()]
        (made / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))
    assert demo.queries is not None
    judged = {d for of in (*train.values(), *test.values(), *again.values()) for d in of}
    write(made / "corpus.parquet", demo.corpus, sorted({*judged, *demo.corpus.ids[:200]}))
    write(made / "queries.parquet", demo.queries, [*train, *test, *seen])
    return made


def write(file: Path, table: Embeddings, ids: list[str]) -> None:
    rows = [table.row(id_) for id_ in ids]
    texts = [(table.texts or [])[row] for row in rows]
    pq.write_table(pa.table({"id": ids, "vector": list(table.vectors[rows]), "text": texts}), file)


def test_bm25_judges_what_people_have_not(folder: Path) -> None:
    every = read_qrels(folder / "qrels" / "train.tsv")
    (_, none), (_, alone), (name, both), (_, few), (_, people) = signals(folder, SHOWN)
    assert (none, people) == ({}, every)
    assert len(few) == SHOWN and all(few[query] == every[query] for query in few)
    assert set(few) < set(both) <= set(every)
    assert all(both[query] == few[query] for query in few)
    assert name == f"people ({SHOWN}) and BM25 ({len(both) - SHOWN})"
    assert alone.keys() <= every.keys() and all(len(of) == 1 for of in alone.values())


def test_every_row_scores_the_same_queries(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    head, rows = gains(folder, SHOWN, **QUICK)
    assert head == ["train queries judged by", "test queries", "48", "24"]
    assert [row[1] for row in rows] == [f"new: {TEST // 2}"] * 7 + [f"all: {TEST}"] * 7
    assert [row[0].split(" (")[0] for row in rows[:7]] == [
        *("full", "PCA", "nobody", "BM25", "people", "people", "people")
    ]
    scores = np.array([[float(cell or "nan") for cell in row[2:]] for row in rows])
    assert ((scores[1:7] > 0) & (scores[1:7] <= 100)).all()
    data = Dataset.open(folder)
    for dim, result in zip((48, 24), evaluate(data, [fit_pca(data, (48, 24))]).results, strict=True):
        assert result.new is not None
        column = head.index(str(dim))
        assert rows[1][column] == f"{100 * result.new.mean:.1f}"
        assert rows[8][column] == f"{100 * result.metrics['nDCG@10']:.1f}"
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_a_table_is_written_between_its_markers_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n<!-- y:begin -->\n<!-- y:end -->\n")
    write_between(page, "x", ["| 1 |", "| 2 |"])
    assert page.read_text() == (
        "a\n<!-- x:begin -->\n| 1 |\n| 2 |\n<!-- x:end -->\nb\n<!-- y:begin -->\n<!-- y:end -->\n"
    )
