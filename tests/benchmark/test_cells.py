"""A cell is what its method gives, is run once, and tuning never sees the test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.cells import Cell, Laboratory
from benchmarks.coded_methods import CodedRival
from benchmarks.figures import SHIPPED, Figures, full_size, mean_over_seeds
from benchmarks.methods import (
    DEFAULT,
    DEFAULT_UNSUPERVISED,
    FEEDBACK,
    NO_GATE,
    PAPER,
    PCA,
    PROTOCOL,
    Method,
)
from benchmarks.parts import limited, parted

from smec import demo, evaluate
from smec.baselines import fit_baseline
from smec.demo import demo_dataset


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
        Cell(Method("smec default", preset="default", overlay={"tempering": 0.0}), "a"),
        Cell(Method("smec default", preset="default", extended=True), "a"),
        Cell(Method("mrl"), "a@0"),
    ]
    assert len({cell.key() for cell in cells}) == len(cells)


def test_variants_of_a_training_are_one_cell() -> None:
    variants = (DEFAULT, DEFAULT.as_variant(NO_GATE, "ungated"), DEFAULT.as_variant(FEEDBACK, "moved"))
    assert len({Cell(method, "a").key() for method in variants}) == 1


def test_what_learns_is_named_after_its_protocol_and_settings() -> None:
    # So that figures from before a change of either are not found any more.
    for method in (DEFAULT, DEFAULT_UNSUPERVISED, PAPER, Method("mrl"), Method("chain"), Method("dive")):
        assert method.specification()["protocol"] == PROTOCOL
    assert Method("matryoshka-adaptor").specification()["settings"]["patience"] == 500
    for name in ("pca", "truncate", "random", "leanvec-es", "pca-feedback"):
        assert Method(name).specification() == {"baseline": name}
    assert (
        CodedRival("mrl + int4", "mrl", "int4", learned=True).specification()["coded"]["protocol"] == PROTOCOL
    )


def test_as_many_labels_as_there_are_is_the_cell_without_a_limit(laboratory: Laboratory) -> None:
    labels = len(demo_dataset().judged("train"))
    assert not laboratory.differs(Cell(PCA, "medquad", labels=labels))
    assert laboratory.differs(Cell(PCA, "medquad", labels=labels - 1))
    assert laboratory.differs(Cell(PCA, "medquad"))


def test_a_variant_has_the_figures_of_its_sizes() -> None:
    figures = Figures(
        (4, 2, 4, 2),
        np.arange(8.0).reshape(4, 2),
        1.0,
        1.0,
        {"2": "pca"},
        variants=(*[SHIPPED] * 2, *[NO_GATE] * 2),
    )
    shipped, ungated = figures.of_variant(SHIPPED), figures.of_variant(NO_GATE)
    assert shipped is not None and ungated is not None
    assert (shipped.dims, ungated.dims) == ((4, 2), (4, 2))
    assert (shipped.fallbacks, ungated.fallbacks) == ({"2": "pca"}, {})
    np.testing.assert_array_equal(ungated.ndcg, [[4, 5], [6, 7]])
    assert figures.of_variant(FEEDBACK) is None


def test_tuning_and_scarcity_take_their_queries_from_the_train_split() -> None:
    dataset = demo_dataset()
    train = dataset.qrels["train"]
    part = parted(dataset)
    assert set(part.qrels["train"]) | set(part.qrels["test"]) == set(dataset.judged("train").ids)
    assert not set(part.qrels["train"]) & set(part.qrels["test"])
    assert len(part.qrels["test"]) == 240
    few = limited(dataset, 10, seed=3).qrels
    assert set(few) == {"train"} and len(few["train"]) == 10
    assert all(train[query] == judged for query, judged in few["train"].items())
    assert limited(dataset, 10, seed=4).qrels != few
    # Queries that lose their judgements are queries of a log; those of the test split teach nothing.
    assert dataset.queries is not None
    log = {dataset.queries.ids[row] for row in limited(dataset, 10, seed=3).unjudged("train")}
    assert log == set(dataset.judged("train").ids) - set(few["train"])
    assert len(part.unjudged("train")) == 0
