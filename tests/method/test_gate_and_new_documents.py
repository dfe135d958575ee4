"""The gate's decision by groups of queries: new documents, all held-out queries, evidence of all sizes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smec.artefact import SizeMetrics, Validation
from smec.card import FEWEST_TOLD, remarks
from smec.method.gate import Measured, Scores, judge

BASELINES = ("pca", "pca-centred", "spectemp", "truncate")


def scattered(mean: float, spread: float, count: int) -> Scores:
    """Scores of this mean, half of them above it by ``spread``, half below; an even number of them."""
    return mean + np.tile([spread, -spread], count // 2)


def measured(new: Scores, seen: Scores, baselines: Mapping[str, float] | None = None) -> Measured:
    """A size with these scores on new and on seen documents, and baselines that score the same everywhere."""
    smec = np.concatenate([new, seen])
    level = dict.fromkeys(BASELINES, 0.5) | dict(baselines or {})
    scores = {name: np.full(len(smec), value) for name, value in level.items()}
    return Measured(np.full(len(smec), 0.9), smec, scores, scores, np.arange(len(smec)) < len(new))


def judged(*sizes: Measured, corpus: str = "growing") -> Validation:
    dims = {8 >> number: size for number, size in enumerate(sizes)}
    return judge(dims, "ndcg@10", corpus="fixed" if corpus == "fixed" else "growing")


def methods(*sizes: Measured, corpus: str = "growing") -> list[str]:
    return [size.method for size in judged(*sizes, corpus=corpus).sizes]


def test_memory_ships_for_a_fixed_corpus_only() -> None:
    remembered = measured(scattered(0.45, 0.05, 60), scattered(0.9, 0.05, 60))
    assert methods(remembered, corpus="growing") == ["pca"]
    assert methods(remembered, corpus="fixed") == ["smec"]


def test_a_gain_on_new_documents_that_harms_the_others_more_does_not_ship() -> None:
    forgetful = measured(scattered(0.6, 0.05, 60), scattered(0.3, 0.05, 60))
    assert methods(forgetful, corpus="growing") == methods(forgetful, corpus="fixed") == ["pca"]


def test_what_all_sizes_gain_makes_a_small_gain_of_one_believable() -> None:
    # Alone its gain of .05 has a t of 1.04: luck gives as much in one of six cases.
    unsure = measured(scattered(0.55, 0.3, 40), scattered(0.55, 0.3, 0))
    sure = measured(scattered(0.7, 0.05, 40), scattered(0.7, 0.05, 0))
    assert methods(unsure) == ["pca"]
    assert methods(sure, sure, unsure) == ["smec", "smec", "smec"]


def test_evidence_of_other_sizes_does_not_ship_a_size_below_a_baseline() -> None:
    sure = measured(scattered(0.7, 0.05, 40), scattered(0.7, 0.05, 40))
    below = measured(scattered(0.55, 0.05, 40), scattered(0.55, 0.05, 40), {"spectemp": 0.56})
    assert methods(sure, sure, below) == ["smec", "smec", "spectemp"]


@pytest.mark.parametrize("best", BASELINES)
def test_each_baseline_ships_where_it_is_the_best(best: str) -> None:
    level = dict.fromkeys(BASELINES, 0.4) | {"pca": 0.5, best: 0.6}
    size = measured(scattered(0.3, 0.05, 40), scattered(0.3, 0.05, 40), level)
    (found,) = judged(size).sizes
    assert found.method == best
    assert found.ships == pytest.approx(0.6)
    assert baselines_of(found) == pytest.approx(list(level.values()))


def test_a_gain_over_pca_ships_where_no_baseline_is_better() -> None:
    near = {"spectemp": 0.599}  # which may be as good: the gain over it is within the noise
    assert methods(measured(scattered(0.6, 0.05, 40), scattered(0.6, 0.05, 40), near)) == ["smec"]
    over = {"spectemp": 0.601}
    assert methods(measured(scattered(0.6, 0.05, 40), scattered(0.6, 0.05, 40), over)) == ["spectemp"]


def test_a_baseline_whose_gain_may_be_luck_does_not_replace_pca() -> None:
    size = measured(scattered(0.3, 0.05, 40), scattered(0.3, 0.05, 40))
    lucky = dict(size.fallbacks) | {"spectemp": np.tile([0.51 - 0.4, 0.51 + 0.4], 40)}
    assert methods(Measured(size.full, size.smec, lucky, lucky, size.new)) == ["pca"]


def test_a_size_must_not_be_clearly_below_any_baseline_on_new_documents() -> None:
    # Truncation is the best on new documents and useless elsewhere, so that it is no fallback.
    size = measured(scattered(0.55, 0.05, 40), scattered(0.9, 0.05, 40))
    uneven = dict(size.fallbacks) | {"truncate": np.where(size.new, 0.6, 0.1)}
    assert methods(size) == ["smec"]
    assert methods(Measured(size.full, size.smec, uneven, uneven, size.new)) == ["pca"]


def test_luck_of_a_baseline_on_new_documents_is_no_harm_but_a_mean_below_pca_is() -> None:
    # On new documents .56 beside the map's .55: within the noise of 60 queries.
    size = measured(scattered(0.55, 0.3, 60), scattered(0.9, 0.05, 60))
    uneven = dict(size.fallbacks) | {"truncate": np.where(size.new, 0.56, 0.1)}
    assert methods(Measured(size.full, size.smec, uneven, uneven, size.new)) == ["smec"]
    of_pca = dict(size.fallbacks) | {"pca": np.where(size.new, 0.56, 0.1)}
    assert methods(Measured(size.full, size.smec, of_pca, of_pca, size.new)) != ["smec"]


@pytest.mark.parametrize("new", [0, 2, FEWEST_TOLD - 2])
def test_too_few_new_documents_ship_pca_and_say_so(new: int) -> None:
    size = measured(scattered(0.8, 0.05, new), scattered(0.8, 0.05, 60))
    assert methods(size, corpus="fixed") == ["smec"]
    validation = judged(size)
    assert [one.method for one in validation.sizes] == ["pca"]
    said = " ".join(remarks(validation))
    if new:
        assert f"Held-out queries for new documents are too few to tell a gain from luck: {new}." in said
    else:
        assert "Not measured: new documents." in said


def test_enough_new_documents_ship_the_trained_map() -> None:
    size = measured(scattered(0.8, 0.05, FEWEST_TOLD), scattered(0.8, 0.05, 60))
    assert methods(size) == ["smec"]


def test_groups_have_the_scores_of_their_queries() -> None:
    (size,) = judged(measured(scattered(0.7, 0.05, 40), scattered(0.8, 0.05, 20))).sizes
    assert size.new is not None and size.seen is not None
    assert (size.new.queries, size.seen.queries) == (40, 20)
    assert size.new.smec == pytest.approx(0.7)
    assert size.seen.smec == pytest.approx(0.8)
    assert size.smec == pytest.approx((40 * 0.7 + 20 * 0.8) / 60)
    assert size.new.ci[0] < 0.7 < size.new.ci[1]
    assert (size.new.shipped, size.seen.shipped) == (size.new.smec, size.seen.smec)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_what_ships_is_below_no_baseline_on_all_documents_and_not_below_pca_on_new_ones(
    seed: int, gain_new: float, gain_seen: float
) -> None:
    rng = np.random.default_rng(seed)
    new = np.arange(60) < 30

    def size() -> Measured:
        scores = {name: rng.random(60) for name in BASELINES}
        smec = 0.5 + np.where(new, gain_new, gain_seen) + 0.3 * rng.standard_normal(60)
        return Measured(np.ones(60), smec, scores, scores, new)

    for found in judged(size(), size(), size()).sizes:
        if found.method == "smec":
            assert found.new is not None
            assert found.smec >= max(baselines_of(found))
            assert found.new.smec >= found.new.pca


def baselines_of(group: object) -> list[float]:
    return [getattr(group, name.replace("-", "_")) for name in BASELINES]


def test_without_the_gate_everything_ships_with_the_same_figures() -> None:
    sizes = {8: measured(scattered(0.3, 0.05, 40), scattered(0.3, 0.05, 40))}
    free, gated = (judge(sizes, "ndcg@10", enabled=enabled).sizes[0] for enabled in (False, True))
    assert (free.method, gated.method) == ("smec", "pca")
    fields = set(SizeMetrics.model_fields) - {"method", "shipped", "new", "seen"}
    assert free.model_dump(include=fields) == gated.model_dump(include=fields)


def test_a_size_that_ships_below_pca_for_the_neighbours_it_keeps_says_so() -> None:
    few = measured(scattered(0.45, 0.4, 8), scattered(0.6, 0.1, 8))
    neighbours = measured(scattered(0.6, 0.1, 30), scattered(0.6, 0.1, 0))
    decided = judge({8: few}, "ndcg@10", weakened=True, agreement={8: neighbours})
    assert [size.method for size in decided.sizes] == ["smec"]
    said = "Below PCA on judged queries, and ships all the same: 8."
    assert [line for line in remarks(decided) if line.startswith(said)]
    better = measured(scattered(0.55, 0.4, 8), scattered(0.6, 0.1, 8))
    decided = judge({8: better}, "ndcg@10", weakened=True, agreement={8: neighbours})
    assert not [line for line in remarks(decided) if line.startswith("Below PCA")]
