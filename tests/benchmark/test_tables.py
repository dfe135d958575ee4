"""Tables of new and seen documents, of few labels and of the gate's decisions, from made-up figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import gate_decisions, goals, main_table, readme_table, rivals_ahead, scarcity
from benchmarks.cells import Cell
from benchmarks.figures import SHIPPED
from benchmarks.methods import DEFAULT, DEFAULT_UNSUPERVISED, FEEDBACK, NO_GATE, PCA, Method
from benchmarks.page import seed_range
from benchmarks.plan import Plan

from benchmark_data import DIMS, finish, laboratory, write_dataset

Document = dict[str, Any]

NEW, SEEN = 30, 10
PLAN = Plan(("small",), (0, 1), new=("small",))
RNG = np.random.default_rng(0)
EASY = 0.5 + 0.1 * RNG.standard_normal(NEW + SEEN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """New documents come first among the test queries."""
    train = {f"z{n}": {f"d{n}": 1} for n in range(40)}
    test = {f"n{n:02}": {f"d{40 + n}": 1} for n in range(NEW)}
    test |= {f"s{n:02}": {f"d{n}": 1} for n in range(SEEN)}
    write_dataset(tmp_path / "small", train, test, documents=80)
    return tmp_path


def figures(new: float, seen: float, noise: float = 0.001) -> list[list[float]]:
    """Of every size: gains over the easiness of the queries."""
    gains = np.repeat([new, seen], [NEW, SEEN])
    return [(EASY + gains + noise * RNG.standard_normal(len(EASY))).tolist() for _ in DIMS]


@pytest.fixture
def document(folder: Path) -> Document:
    for seed in PLAN.seeds:
        variants = [figures(0.05, 0.1), figures(0.06, 0.1), figures(0.05, 0.3)]
        names = (SHIPPED, NO_GATE, FEEDBACK)
        finish(folder, Cell(DEFAULT, "small", seed), [size for of in variants for size in of], names)
        finish(folder, Cell(DEFAULT_UNSUPERVISED, "small", seed), figures(0.01, 0.01))
        finish(folder, Cell(Method("mrl"), "small", seed), figures(-0.02, 0.2))
    finish(folder, Cell(PCA, "small"), figures(0.0, 0.0))
    finish(folder, Cell(Method("pca-feedback", learned=False), "small"), figures(0.0, 0.25))
    return main_table.summarise(laboratory(folder), PLAN)


def part(document: Document, kind: str, *, supervised: bool) -> Document:
    found: Document = next(
        part for part in document["tables"] if part["kind"] == kind and part["supervised"] is supervised
    )
    return found


def row(part: Document, method: str) -> Document:
    found: Document = next(row for row in part["methods"] if row["method"] == method)
    return found


def test_new_documents_and_seen_ones_have_figures_of_their_own(document: Document) -> None:
    new, seen, test = (part(document, kind, supervised=True) for kind in ("new", "seen", "test"))
    assert (new["queries"], seen["queries"], test["queries"]) == (NEW, SEEN, NEW + SEEN)
    gains = {
        method: [row(of, method)["ndcg"][0] - row(of, "pca")["ndcg"][0] for of in (new, seen)]
        for method in ("smec default", "smec default + feedback", "mrl", "pca-feedback")
    }
    assert gains["smec default"] == pytest.approx([0.05, 0.1], abs=0.002)
    assert gains["smec default + feedback"] == pytest.approx([0.05, 0.3], abs=0.002)
    assert gains["mrl"] == pytest.approx([-0.02, 0.2], abs=0.002)
    assert gains["pca-feedback"] == pytest.approx([0.0, 0.25], abs=0.002)
    assert (row(new, "mrl")["seeds"], row(new, "pca")["seeds"]) == (2, None)


def test_the_best_rival_is_the_best_with_labels_or_without_and_paired(document: Document) -> None:
    new, seen = (part(document, kind, supervised=True) for kind in ("new", "seen"))
    assert {of["method"] for of in new["best_rivals"]} <= {"pca", "pca-feedback"}
    best = new["best_rivals"][0]
    assert best["gap"] == pytest.approx(0.05, abs=0.002)
    assert 0.045 < best["ci"][0] < best["gap"] < best["ci"][1] < 0.055
    assert [of["method"] for of in seen["best_rivals"]] == ["pca-feedback"] * len(DIMS)
    assert seen["best_rivals"][0]["rivals_ahead"] == 2
    assert row(new, "mrl")["p_against_default"][0] < 0.001


def test_the_page_leads_with_new_documents(document: Document) -> None:
    heads = [line for line in main_table.section(document) if line.startswith("#")]
    assert heads[:3] == [
        "## New documents",
        "### small, new documents, with labels",
        "### small, new documents, without labels",
    ]
    assert [head for head in heads if head.startswith("## ")] == [
        "## New documents",
        "## Seen documents",
        "## Official test splits",
    ]


def test_goals_are_paired_and_say_what_was_shown(document: Document) -> None:
    said = {goal: (met, figure) for goal, met, figure in goals.GOALS["main"](document)}
    best = "new documents, with labels: not inferior to the best rival of each cell"
    assert said[best] == (True, "shown in 5 of 5 cells; surely behind in 0")
    behind = part(document, "new", supervised=True)["best_rivals"][0]
    behind |= {"gap": -0.02, "ci": [-0.03, -0.01], "p_inferior": 1.0}
    said = {goal: (met, figure) for goal, met, figure in goals.GOALS["main"](document)}
    met, figure = said[best]
    assert not met
    assert figure.startswith("shown in 4 of 5 cells; surely behind in 1; small 32, ")
    assert figure.endswith(": -2.0 (-3.0 to -1.0)")


def test_rivals_that_win_are_listed_with_few_labels_too(folder: Path, document: Document) -> None:
    for seed in PLAN.seeds:
        finish(
            folder,
            Cell(DEFAULT, "small", seed, 10),
            [*figures(-0.03, 0), *figures(-0.03, 0)],
            (SHIPPED, NO_GATE),
        )
        finish(folder, Cell(Method("mrl"), "small", seed, 10), figures(0.02, 0))
    few = scarcity.summarise(laboratory(folder), PLAN)
    (of,) = few["datasets"]
    ours = next(row for row in of["rows"] if (row["method"], row["labels"]) == ("smec default", 10))
    assert ours["over_pca"]["gap"] == pytest.approx(-0.03, abs=0.002)
    assert (ours["sizes_surely_below_pca"], ours["seeds"]) == (len(DIMS), 2)
    lines = rivals_ahead.section({"main": document, "scarcity": few})
    assert any(line.startswith("| small, seen documents, with labels | 32 |") for line in lines)
    assert any("| small, few labels | 10 |" in line and "mrl" in line and "-5.0" in line for line in lines)
    assert not any(line.startswith("| small, new documents, with labels") for line in lines)


def test_decisions_of_the_gate_are_counted_on_new_documents(folder: Path) -> None:
    finish(folder, Cell(PCA, "small"), figures(0.0, 0.0))
    gains = {None: (0.05, 0.06), 10: (0.0, 0.04), 30: (-0.03, -0.03)}
    for labels, (shipped, candidate) in gains.items():
        fallbacks = {str(dim): "pca" for dim in DIMS} if labels == 10 else {}
        both = [*figures(shipped, 1.0), *figures(candidate, 1.0)]
        finish(folder, Cell(DEFAULT, "small", 0, labels), both, (SHIPPED, NO_GATE), fallbacks)
    document = gate_decisions.summarise(laboratory(folder), PLAN)
    decisions = document["decisions"]
    assert len(decisions) == 3 * len(DIMS)
    with_all = next(one for one in decisions if one["labels"] is None)
    assert (with_all["shipped"], with_all["queries"]) == ("smec", NEW)
    assert with_all["gain"] == pytest.approx(0.05, abs=0.002)
    assert with_all["candidate_gain"] == pytest.approx(0.06, abs=0.002)
    assert 0 < with_all["error"] < 0.001
    lines = gate_decisions.section(document)
    # labels, decisions, ship, mean gain, below PCA, corrected, worth it, of these ship
    assert "| all | 5 | 5 | +5.0 | 0 | 0 | 5 | 100 % |" in lines
    assert any(line.startswith("| 30 | 5 | 5 | -3.0 | 5 | 5 | 0 |") for line in lines)
    ten = next(line for line in lines if line.startswith("| 10 |"))
    assert ten.split(" | ")[1:4] == ["5", "0", ""] and ten.endswith("| 5 | 0 % |")
    said = [(met, figure) for _, met, figure in goals.GOALS["gate_decisions"](document)]
    assert said == [(False, "5 of 15 decisions"), (False, "5 of 10")]


def test_the_readme_leads_with_new_documents_and_calls_memory_memory(document: Document) -> None:
    lines = readme_table.lines(document)
    assert lines[0].startswith("Not run yet") and "search-adaptor" in lines[0] and " pca," not in lines[0]
    assert lines[2].startswith("**New documents**")
    assert lines[4] == "small, D = 64, 30 test queries; seeds: 2"
    memory = next(place for place, line in enumerate(lines) if line.startswith("**Memory**"))
    assert any(line.startswith("| smec, labels, feedback |") for line in lines[memory:])
    assert not any(line.startswith("| smec, labels, feedback |") for line in lines[:memory])
    assert sum(line.startswith("| best rival |") for line in lines) == 2


def test_what_was_not_run_yet_leaves_no_lines(folder: Path) -> None:
    for experiment in (gate_decisions, scarcity):
        assert experiment.section(experiment.summarise(laboratory(folder), PLAN)) == []
    assert main_table.summarise(laboratory(folder), PLAN) == {"tables": []}
    assert goals.section({}) == rivals_ahead.section({}) == []


def test_the_number_of_seeds_is_that_of_the_rows() -> None:
    assert seed_range({"rows": [{"seeds": 5}, {"seeds": None}]}) == "5 seeds"
    assert seed_range({"a": {"rows": [{"seeds": 1}]}, "b": [{"seeds": 3}]}) == "1 to 3 seeds"
    assert seed_range({"rows": [{"seed": 0}, {"seed": 1}, {"seed": 1}]}) == "2 seeds"
    assert seed_range({"rows": [{"seconds": 2}]}) == "no seeds"
