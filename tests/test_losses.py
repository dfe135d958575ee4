"""Every loss against plain loops, and what it must not look at."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smec.losses.contrastive import info_nce
from smec.losses.ranking import pairwise_logistic
from smec.losses.similarity import Target, absolute_difference, listwise_kl

seeds = st.integers(0, 2**32 - 1)


def cosines(seed: int, rows: int = 4, columns: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (rows, columns)).astype(np.float32))


@settings(deadline=None)
@given(seeds)
def test_pairwise_logistic_is_the_mean_over_graded_triples(seed: int) -> None:
    scores = cosines(seed)
    grades = torch.from_numpy(np.random.default_rng(seed + 1).integers(0, 4, (4, 6)).astype(np.float32))
    terms = [
        (grades[i, j] - grades[i, k]).item()
        * math.log1p(math.exp((scores[i, k] - scores[i, j]).item() / 0.5))
        for i in range(4)
        for j in range(6)
        for k in range(6)
        if grades[i, j] > grades[i, k]
    ]
    expected = sum(terms) / max(1, len(terms))
    assert pairwise_logistic(scores, grades, 0.5).item() == pytest.approx(expected, rel=1e-4)


def test_pairwise_logistic_is_zero_where_nothing_is_more_relevant() -> None:
    assert pairwise_logistic(cosines(0), torch.full((4, 6), 2.0), 0.1).item() == 0.0


@settings(deadline=None)
@given(seeds)
def test_info_nce_leaves_other_positives_out_of_the_softmax(seed: int) -> None:
    scores = cosines(seed)
    grades = torch.eye(4, 6)
    grades[0, 5] = 2.0
    terms = []
    for i in range(4):
        rest = [j for j in range(6) if j == i or grades[i, j] == 0]
        total = sum(math.exp(scores[i, j].item() / 0.1) for j in rest)
        terms.append(math.log(total) - scores[i, i].item() / 0.1)
    assert info_nce(scores, grades, 0.1).item() == pytest.approx(sum(terms) / 4, rel=1e-4, abs=1e-5)


@settings(deadline=None)
@given(seeds)
def test_similarity_losses_match_plain_loops(seed: int) -> None:
    student, teacher = cosines(seed), cosines(seed + 1)
    difference = np.abs(student.numpy() - teacher.numpy()).mean()
    assert absolute_difference(student, teacher).item() == pytest.approx(float(difference), rel=1e-5)
    total = 0.0
    for s, t in zip(student.double().numpy() / 0.2, teacher.double().numpy() / 0.2, strict=True):
        p, q = np.exp(t) / np.exp(t).sum(), np.exp(s) / np.exp(s).sum()
        total += float((p * np.log(p / q)).sum())
    assert listwise_kl(student, Target.of(teacher, 0.2)).item() == pytest.approx(
        total / 4, rel=1e-3, abs=1e-5
    )


def test_listwise_kl_does_not_see_the_level_of_similarities() -> None:
    student, teacher = cosines(3), cosines(4)
    assert listwise_kl(student + 0.3, Target.of(teacher, 0.1)).item() == pytest.approx(
        listwise_kl(student, Target.of(teacher, 0.1)).item(), rel=1e-4
    )
