"""Agreement of neighbours before and after compression."""

from __future__ import annotations

import numpy as np
import pytest

from smec.errors import DataError
from smec.evaluation import neighbour_overlap
from smec.evaluation.neighbours import without_own
from smec.vectors import FloatArray, normalise

CIRCLE = np.stack([np.cos(angles := np.arange(8) / 8 * np.pi), np.sin(angles)], axis=1).astype(np.float32)


def test_the_same_vectors_keep_all_neighbours_and_reversed_ones_none() -> None:
    queries = CIRCLE[[0]]
    assert neighbour_overlap(CIRCLE, queries, CIRCLE, queries, k=3).tolist() == [1.0]
    assert neighbour_overlap(CIRCLE, queries, CIRCLE, -queries, k=3).tolist() == [0.0]


def test_a_row_is_not_its_own_neighbour() -> None:
    # Row 0's neighbours are 1 and 2. In the small vectors 2 and 7 have changed places.
    small = CIRCLE[[0, 1, 7, 3, 4, 5, 6, 2]]
    own = np.array([0])
    kept = neighbour_overlap(CIRCLE, CIRCLE[own], small, small[own], k=2, own_rows=own)
    assert kept.tolist() == [0.5]
    assert neighbour_overlap(CIRCLE, CIRCLE[own], small, small[own], k=2).tolist() == [1.0]


def test_a_ranking_without_its_own_row_keeps_its_order() -> None:
    ranking = np.arange(40)[::-1]
    kept = without_own(np.stack([ranking, ranking]), np.array([3, 99]), 39)
    assert kept[0].tolist() == [row for row in ranking if row != 3]
    assert kept[1].tolist() == ranking[:39].tolist()


def test_it_is_the_share_that_sets_give() -> None:
    rng = np.random.default_rng(0)
    full = normalise(rng.standard_normal((60, 16)))
    small = normalise(full[:, :6])
    own = np.arange(0, 60, 7)

    def nearest(vectors: FloatArray, row: int) -> set[int]:
        order = np.argsort(-(vectors @ vectors[row]))
        return set(order[order != row][:10].tolist())

    expected = [len(nearest(full, row) & nearest(small, row)) / 10 for row in own.tolist()]
    assert neighbour_overlap(full, full[own], small, small[own], own_rows=own).tolist() == pytest.approx(
        expected
    )


def test_duplicates_that_push_a_row_out_of_its_own_ranking_do_no_harm() -> None:
    same = np.ones((6, 1), dtype=np.float32)
    own = np.array([5])
    assert neighbour_overlap(same, same[own], same, same[own], k=2, own_rows=own).tolist() == [1.0]


def test_a_corpus_smaller_than_k_counts_all_its_other_rows() -> None:
    own = np.arange(3)
    kept = neighbour_overlap(CIRCLE[:3], CIRCLE[:3], CIRCLE[:3], CIRCLE[:3], k=10, own_rows=own)
    assert kept.tolist() == [1.0, 1.0, 1.0]


def test_a_lone_vector_has_no_neighbours() -> None:
    with pytest.raises(DataError, match="two vectors"):
        neighbour_overlap(CIRCLE[:1], CIRCLE[:1], CIRCLE[:1], CIRCLE[:1], own_rows=np.array([0]))
