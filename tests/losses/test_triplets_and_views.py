"""The hinge stops at its margin, its negatives are the ones promised, and NT-Xent is SimCLR's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smec.losses.nt_xent import nt_xent
from smec.losses.triplet import hinge_triplet, random_negatives, semi_hard_negatives

seeds = st.integers(0, 2**32 - 1)
cosine = st.floats(-1, 1, width=32)


def gradients(loss: torch.Tensor, *of: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss, of)


@settings(deadline=None)
@given(st.lists(st.tuples(cosine, st.floats(0.3125, 2, width=32)), min_size=1, max_size=5))
def test_once_the_margin_is_met_the_hinge_weighs_nothing_and_pulls_nothing(
    triplets: list[tuple[float, float]],
) -> None:
    positive = torch.tensor([near for near, _ in triplets], requires_grad=True)
    negative = torch.tensor([near - gap for near, gap in triplets], requires_grad=True)
    loss = hinge_triplet(positive, negative, 0.3)
    assert loss.item() == 0.0
    for gradient in gradients(loss, positive, negative):
        assert torch.equal(gradient, torch.zeros(len(triplets)))


@settings(deadline=None)
@given(st.lists(st.tuples(cosine, cosine), min_size=1, max_size=5), st.sampled_from([0.0, 0.3, 1.0]))
def test_the_hinge_is_the_mean_of_what_distances_lack_to_the_margin(
    triplets: list[tuple[float, float]], margin: float
) -> None:
    lacking = [max(0.0, margin + (1 - near) - (1 - far)) for near, far in triplets]
    positive, negative = torch.tensor(triplets).T
    expected = sum(lacking) / len(lacking)
    assert hinge_triplet(positive, negative, margin).item() == pytest.approx(expected, abs=1e-5)


def test_an_unmet_triplet_pulls_both_ways_and_one_without_a_negative_not_at_all() -> None:
    positive = torch.tensor([0.5, 0.5], requires_grad=True)
    negative = torch.tensor([0.4, -math.inf], requires_grad=True)
    loss = hinge_triplet(positive, negative, 0.3)
    assert loss.item() == pytest.approx(0.1)
    near, far = gradients(loss, positive, negative)
    assert near.tolist() == [-0.5, 0.0]
    assert far.tolist() == [0.5, 0.0]


def test_the_semi_hard_negative_is_the_nearest_of_those_farther_than_the_positive() -> None:
    scores = torch.tensor(
        [
            [0.5, 0.9, 0.4, 0.1],  # column 1 is nearer than the positive, 2 the next one farther
            [0.9, 0.2, 0.3, 0.8],  # all are nearer: 2 is the farthest of those that are not relevant
            [0.1, 0.2, 0.6, 0.5],  # 3 would be taken, but is relevant
        ]
    )
    grades = torch.tensor([[1.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 1]])
    assert semi_hard_negatives(scores, grades).tolist() == [2, 2, 1]


@settings(deadline=None)
@given(seeds)
def test_no_relevant_document_is_ever_a_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.uniform(-1, 1, (4, 6)).astype(np.float32))
    grades = torch.from_numpy(rng.integers(0, 3, (4, 6)).astype(np.float32))
    grades[:, :4].fill_diagonal_(1)
    grades[torch.arange(4), torch.from_numpy(rng.integers(4, 6, 4))] = 0  # one at least is not relevant
    generator = torch.Generator().manual_seed(seed)
    for chosen in (semi_hard_negatives(scores, grades), random_negatives(grades, generator)):
        assert (grades.gather(1, chosen[:, None]) == 0).all()


def test_random_negatives_are_drawn_evenly() -> None:
    grades = torch.tensor([[1.0, 0, 0, 0]]).repeat(6000, 1)
    drawn = random_negatives(grades, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=4)
    assert counts[0] == 0
    assert counts[1:].tolist() == pytest.approx([2000] * 3, rel=0.08)


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 4))
def test_nt_xent_is_the_mean_over_all_views_of_a_plain_softmax(seed: int, items: int) -> None:
    views = torch.from_numpy(np.random.default_rng(seed).standard_normal((2 * items, 3)))
    unit = (views / views.norm(dim=1, keepdim=True)).tolist()
    terms = []
    for place, view in enumerate(unit):
        weights = [math.exp(sum(a * b for a, b in zip(view, other, strict=True)) / 0.5) for other in unit]
        own = weights[(place + items) % (2 * items)]
        terms.append(-math.log(own / (sum(weights) - weights[place])))
    loss = nt_xent(views[:items], views[items:], 0.5)
    assert loss.item() == pytest.approx(sum(terms) / len(terms), abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(seeds, st.sampled_from([0.01, 0.07, 1.0]))
def test_nt_xent_sends_finite_gradients_at_sharp_temperatures_too(seed: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    one, other = (torch.from_numpy(rng.standard_normal((5, 3))).requires_grad_() for _ in range(2))
    for gradient in gradients(nt_xent(one, other, temperature), one, other):
        assert torch.isfinite(gradient).all()
