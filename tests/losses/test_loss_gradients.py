"""Losses send finite gradients, and none from what they must not look at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smec.losses.contrastive import info_nce
from smec.losses.ranking import pairwise_logistic
from smec.losses.similarity import Target, absolute_difference, listwise_kl

seeds = st.integers(0, 2**32 - 1)
QUERIES, DOCUMENTS = 3, 5


def cosines(seed: int) -> torch.Tensor:
    values = np.random.default_rng(seed).uniform(-1, 1, (QUERIES, DOCUMENTS))
    return torch.from_numpy(values.astype(np.float32)).requires_grad_()


def drawn_grades(seed: int) -> torch.Tensor:
    grades = np.random.default_rng(seed).integers(0, 3, (QUERIES, DOCUMENTS)).astype(np.float32)
    grades[np.arange(QUERIES), np.arange(QUERIES)] += 1  # the drawn positive of every query
    return torch.from_numpy(grades)


def gradient(loss: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    loss.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    return scores.grad


@settings(deadline=None, max_examples=25)
@given(seeds, st.sampled_from([0.01, 0.05, 1.0]))
def test_gradients_are_finite_at_sharp_temperatures_too(seed: int, temperature: float) -> None:
    grades, teacher = drawn_grades(seed), cosines(seed + 1).detach()
    losses: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda s: info_nce(s, grades, temperature),
        lambda s: pairwise_logistic(s, grades, temperature),
        lambda s: listwise_kl(s, Target.of(teacher, temperature)),
        lambda s: absolute_difference(s, teacher),
    ]
    for loss_of in losses:
        scores = cosines(seed)
        assert torch.isfinite(gradient(loss_of(scores), scores)).all()


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_info_nce_pulls_the_own_positive_and_leaves_the_others_alone(seed: int) -> None:
    scores, grades = cosines(seed), drawn_grades(seed)
    before = grades.clone()
    pull = gradient(info_nce(scores, grades, 0.1), scores)
    own = torch.eye(QUERIES, DOCUMENTS, dtype=torch.bool)
    assert (pull[(grades > 0) & ~own] == 0).all()
    assert (pull[own] <= 0).all()
    assert (pull[grades == 0] > 0).all()
    assert torch.equal(grades, before)


def test_info_nce_with_nothing_to_tell_apart_is_zero() -> None:
    scores = cosines(1)
    loss = info_nce(scores, torch.ones(QUERIES, DOCUMENTS), 0.1)
    assert loss.item() == 0.0
    assert gradient(loss, scores).abs().max() == 0.0


def test_pairwise_logistic_of_no_positives_is_zero_with_a_gradient_of_zero() -> None:
    scores = cosines(2)
    loss = pairwise_logistic(scores, torch.zeros(QUERIES, DOCUMENTS), 0.1)
    assert loss.item() == 0.0
    assert gradient(loss, scores).abs().max() == 0.0


def test_pairwise_logistic_weighs_a_pair_by_its_gap_in_grades() -> None:
    scores = torch.tensor([[0.2, 0.2]])
    once, thrice = (pairwise_logistic(scores, torch.tensor([[top, 0.0]]), 0.5) for top in (1.0, 3.0))
    assert once.item() == pytest.approx(np.log(2))
    assert thrice.item() == pytest.approx(3 * np.log(2))


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_similarity_losses_are_zero_only_where_student_and_teacher_agree(seed: int) -> None:
    student = cosines(seed).detach()
    assert absolute_difference(student, student).item() == 0.0
    assert listwise_kl(student, Target.of(student, 0.1)).item() == pytest.approx(0.0, abs=5e-6)
    other = cosines(seed + 1).detach()
    assert absolute_difference(student, other).item() > 0
    assert listwise_kl(student, Target.of(other, 0.1)).item() > 0


@settings(deadline=None, max_examples=25)
@given(seeds, st.sampled_from([0.01, 0.05, 1.0]))
def test_the_gradient_of_listwise_kl_is_that_of_its_definition_without_what_is_left_out(
    seed: int, temperature: float
) -> None:
    teacher = cosines(seed + 1).detach()
    left_out = cosines(seed + 2).detach() > 0.3
    left_out[:, 0] = False
    ours, plain = cosines(seed), cosines(seed)
    fast = gradient(listwise_kl(ours, Target.of(teacher, temperature, left_out)), ours)
    p = torch.softmax((teacher / temperature).masked_fill(left_out, -1e6), dim=1)
    log_q = torch.log_softmax((plain / temperature).masked_fill(left_out, -1e6), dim=1)
    slow = gradient((torch.xlogy(p, p) - p * log_q).sum() / len(plain), plain)
    torch.testing.assert_close(fast, slow, rtol=1e-3, atol=1e-4)
    assert (fast[left_out] == 0).all()
