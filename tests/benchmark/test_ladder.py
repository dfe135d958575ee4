"""The ladder of judgements: gains of the finished cells, and a plain word where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import ladder, scarcity
from benchmarks.cells import Cell
from benchmarks.figures import SHIPPED
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, NO_GATE, PCA, Method
from benchmarks.plan import Plan

from benchmark_data import DIMS, finish, laboratory, write_dataset

PLAN = Plan(("small",), (0, 1), new=("small", "other"))
QUERIES = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty train queries: a training with 100 labels is none of its own."""
    for name in PLAN.new:
        train = {f"z{n}": {f"d{n}": 1} for n in range(40)}
        test = {f"n{n}": {f"d{40 + n}": 1} for n in range(QUERIES)}
        write_dataset(tmp_path / name, train, test, documents=80)
    return tmp_path


def figures(score: float) -> list[list[float]]:
    return np.full((len(DIMS), QUERIES), score).tolist()


def test_a_ladder_says_what_was_gained_and_what_was_not_run(folder: Path) -> None:
    finish(folder, Cell(PCA, "small"), figures(0.5))
    finish(folder, Cell(DEFAULT_UNSUPERVISED, "small", 0), figures(0.53))
    for seed, score in enumerate((0.55, 0.57)):
        finish(folder, Cell(DEFAULT, "small", seed, 10), figures(score) * 2, (SHIPPED, NO_GATE))
    finish(folder, Cell(Method("mrl"), "small", 0, 10), figures(0.51))
    finish(folder, Cell(Method("dive"), "small", 0, 10), figures(0.54))
    finish(folder, Cell(Method("adawidth"), "small", 0), figures(0.48))
    lines = ladder.lines(scarcity.summarise(laboratory(folder), PLAN), PLAN)
    assert lines[0] == "| test queries for new documents | PCA | 0 | 10 | 30 | 100 | 300 | all |"
    assert lines[2] == "| small (12): smec | 50.0 | +3.0 | +6.0 | not run | - | - | not run |"
    assert lines[3] == "| the best other method |  |  | +4.0 dive | not run | - | - | -2.0 adawidth |"
    assert lines[4] == "| other: smec | not run | not run | not run | not run | not run | not run | not run |"
    assert lines[-1].startswith("Mean over 1 to 2 seeds. *not run*: no finished cell")


def test_without_any_cell_it_says_so(folder: Path) -> None:
    lines = ladder.lines(scarcity.summarise(laboratory(folder), PLAN), PLAN)
    assert [line.count("not run") for line in lines[2:4]] == [7, 7]
    assert lines[-1] == "No cell of this table has been run yet with these settings."
