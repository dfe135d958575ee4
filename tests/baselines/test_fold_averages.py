"""Learned rivals get what smec gets: folds by document, their mean below 500 labels, as many negatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smec.baselines.adawidth import mean_rotation
from smec.baselines.learning import LearningSettings, lessons
from smec.baselines.matryoshka_adaptor import SETTINGS as MATRYOSHKA
from smec.baselines.residual_mlp import adapt, mean_adaptor
from smec.config import OptimiserConfig, ValidationConfig
from smec.data import Dataset
from smec.training.held_out import FEW, training_folds

D, DOCUMENTS = 8, 300
RIVALS = ValidationConfig(few=FEW)


def dataset(queries: int) -> Dataset:
    """Two queries ask for each document."""
    rng = np.random.default_rng(0)
    qrels = {"train": {str(query): {str(query // 2): 1} for query in range(queries)}}
    return Dataset(rng.standard_normal((DOCUMENTS, D)), rng.standard_normal((queries, D)), qrels)


@pytest.mark.parametrize(("queries", "folds"), [(4, 2), (40, 4), (FEW - 2, 4), (FEW, 1)])
def test_few_labels_make_several_folds_that_hold_new_documents_out(queries: int, folds: int) -> None:
    found = training_folds(dataset(queries).judged("train"), RIVALS, seed=3)
    assert len(found) == folds
    for fold in found:
        fitted = {row for grades in fold.fit.grades for row in grades}
        assert fitted and not fitted & {row for grades in fold.new.grades for row in grades}
    if folds == 1:
        assert len(found[0].new) == pytest.approx(0.15 * queries, rel=0.1)
    else:
        assert sum(len(fold.new) for fold in found) == queries


def test_queries_that_share_their_only_document_are_parted_by_query() -> None:
    rng = np.random.default_rng(0)
    qrels = {"train": {str(query): {"7": 1} for query in range(8)}}
    judged = Dataset(rng.standard_normal((9, D)), rng.standard_normal((8, D)), qrels).judged("train")
    folds = training_folds(judged, RIVALS, seed=0)
    assert [(len(fold.fit), len(fold.new), len(fold.seen)) for fold in folds] == [(6, 0, 2)] * 4


def test_a_rival_checks_itself_on_the_new_documents_of_each_fold() -> None:
    data = dataset(40)
    folds = training_folds(data.judged("train"), RIVALS, seed=1)
    learned = lessons(data, (4, 2), LearningSettings(), supervised=True, seed=1)
    assert len(learned) == len(folds) == 4
    for lesson, fold in zip(learned, folds, strict=True):
        assert lesson.pool.held_out is not None
        assert lesson.pool.held_out.ids[: lesson.pool.new] == fold.new.ids  # those of the checks
        np.testing.assert_array_equal(
            [lesson.pool.rows[rows[0]] for rows, _ in lesson.pool.positives],
            [next(iter(grades)) for grades in fold.fit.grades],
        )
        assert torch.equal(lesson.pool.documents, learned[0].pool.documents)


def test_negatives_are_as_many_as_smecs_and_patience_is_the_papers() -> None:
    assert LearningSettings().optimiser().negatives == OptimiserConfig().negatives
    stopping = MATRYOSHKA.validation()
    assert stopping.patience * stopping.every == 500
    assert LearningSettings().validation() == ValidationConfig()


def test_the_mean_adaptor_computes_the_mean_of_what_the_adaptors_compute() -> None:
    generator = torch.Generator().manual_seed(0)

    def drawn() -> dict[str, torch.Tensor]:
        shapes = {"in": (D, 5), "in_bias": (5,), "out": (5, 3), "out_bias": (3,)}
        return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    adaptors, rows = [drawn() for _ in range(3)], torch.randn(10, D, generator=generator)
    mean = torch.stack([adapt(one, rows) for one in adaptors]).mean(dim=0)
    torch.testing.assert_close(adapt(mean_adaptor(adaptors), rows), mean)


def test_the_mean_of_rotations_is_the_one_between_them() -> None:
    def turn(degrees: float) -> torch.Tensor:
        angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
        return torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).reshape(2, 2)

    torch.testing.assert_close(mean_rotation([turn(10.0), turn(50.0)]), turn(30.0))
