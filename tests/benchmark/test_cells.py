"""A cell is what its method gives, is run once, and tuning never sees the test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.cells import Cell, Laboratory
from benchmarks.figures import full_size, mean_over_seeds
from benchmarks.methods import Method
from benchmarks.parts import limited, parted

from smec import demo, evaluate
from smec.baselines import fit_baseline
from smec.demo import demo_dataset

PCA = Method("pca", supervised=False, learned=False)


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    return Laboratory(Path(demo.__file__).parent, tmp_path / "made", tmp_path / "cells")


def test_a_cell_scores_as_evaluate_does(laboratory: Laboratory) -> None:
    figures = laboratory.run(Cell(PCA, "medquad"))
    dataset = demo_dataset()
    report = evaluate(dataset, [fit_baseline("pca", dataset, figures.dims)])
    expected = [result.metrics["nDCG@10"] for result in report.results]
    np.testing.assert_allclose(figures.ndcg.mean(axis=1), expected, atol=1e-4)
    np.testing.assert_allclose(full_size(dataset).mean(), report.full["nDCG@10"], atol=1e-9)


def test_a_finished_cell_is_not_run_again(laboratory: Laboratory, tmp_path: Path) -> None:
    assert laboratory.finished(PCA, "medquad", [0]) == []
    first = laboratory.run(Cell(PCA, "medquad"))
    (kept,) = (tmp_path / "cells").iterdir()
    stamp = kept.stat().st_mtime_ns
    again = laboratory.run(Cell(PCA, "medquad"))
    assert kept.stat().st_mtime_ns == stamp
    assert again.fit_seconds == first.fit_seconds
    np.testing.assert_array_equal(again.ndcg, first.ndcg)


def test_cells_run_side_by_side_give_the_same(laboratory: Laboratory) -> None:
    cells = [Cell(PCA, "medquad"), Cell(Method("truncate", supervised=False, learned=False), "medquad")]
    assert set(laboratory.run_all(cells, workers=2)) == set(cells)
    dataset = demo_dataset()
    for cell in cells:
        (figures,) = laboratory.finished(cell.method, "medquad", [0, 1])
        encoder = fit_baseline(cell.method.name, dataset, figures.dims)
        expected = [result.metrics["nDCG@10"] for result in evaluate(dataset, [encoder]).results]
        np.testing.assert_allclose(mean_over_seeds([figures]).mean(axis=1), expected, atol=1e-4)


def test_other_settings_or_labels_are_another_cell() -> None:
    cells = [
        Cell(Method("mrl"), "a"),
        Cell(Method("mrl", overlay={"learning_rate": 0.1}), "a"),
        Cell(Method("mrl"), "a", labels=10),
        Cell(Method("mrl"), "a", seed=1),
        Cell(Method("mrl"), "a", target="b"),
        Cell(Method("mrl"), "a", tuning=True),
        Cell(Method("smec default", preset="default"), "a"),
        Cell(Method("smec default", preset="default", overlay={"turned": False}), "a"),
        Cell(Method("smec default", preset="default", extended=True), "a"),
    ]
    assert len({cell.key() for cell in cells}) == len(cells)


def test_tuning_and_scarcity_take_their_queries_from_the_train_split() -> None:
    dataset = demo_dataset()
    train = dataset.qrels["train"]
    part = parted(dataset)
    assert set(part.qrels["train"]) | set(part.qrels["test"]) == set(dataset.judged("train").ids)
    assert not set(part.qrels["train"]) & set(part.qrels["test"])
    assert len(part.qrels["test"]) == 360
    few = limited(dataset, 10, seed=3).qrels
    assert set(few) == {"train"} and len(few["train"]) == 10
    assert all(train[query] == judged for query, judged in few["train"].items())
    assert limited(dataset, 10, seed=4).qrels != few
