"""Few labels: several trainings, each query held out once, their matrices averaged."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smec.training.checkpoint as checkpoints
from smec import Compressor, Dataset, train
from smec.config import TrainConfig
from smec.method import folds
from smec.method.folds import draw_folds
from smec.method.gate import Linear
from smec.training.loop import Progress
from training_data import TWO_STAGES, short, small_dataset

FOLDS = 3


def config(folds: int = FOLDS, **fields: Any) -> TrainConfig:
    return short(validation={"folds": folds, "gate": False}, **{**TWO_STAGES, **fields})


@cache
def trained() -> Compressor:
    return train(small_dataset(), config=config())


def test_every_judged_query_is_held_out_in_one_fold() -> None:
    held_out: list[str] = []
    for fold in draw_folds(small_dataset(), config()):
        pool = fold.pool
        assert pool.held_out is not None
        assert len(pool.queries) + len(pool.held_out) + fold.unused == 150
        held_out += pool.held_out.ids[: pool.new]
    assert sorted(held_out) == sorted(small_dataset().judged("train").ids)


def test_the_gate_sees_all_of_them() -> None:
    validation = trained().manifest.validation
    assert validation is not None and validation.queries == 150
    assert len(trained().manifest.stages) == 2 * FOLDS


def test_what_is_shipped_is_the_mean_of_the_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[int, Linear]] = []
    average = folds.average

    def watched(parts: Any) -> Any:
        seen.extend(part.maps for part in parts)
        return average(parts)

    monkeypatch.setattr("smec.method.trainer.average", watched)
    compressor = train(small_dataset(), config=config())
    assert len(seen) == FOLDS
    for dim in compressor.dims:
        one_by_one = [maps[dim].matrix for maps in seen]
        np.testing.assert_allclose(
            compressor.block(dim).matrix[:, :dim], np.mean(one_by_one, axis=0), atol=1e-6
        )
        assert not np.allclose(one_by_one[0], one_by_one[1])
    assert compressor.fingerprint == trained().fingerprint  # and the same seed gives the same bytes


@pytest.mark.parametrize(
    ("fields", "stages"),
    [
        ({"layers": "fresh", "schedule": "sequential", "turned": False}, 3),
        ({"supervised": False, "schedule": "joint"}, 1),
    ],
)
def test_layers_that_cannot_be_averaged_and_no_labels_are_trained_once(
    fields: dict[str, Any], stages: int
) -> None:
    compressor = train(small_dataset(), config=config(optimiser={"steps": 2}, **fields))
    assert len(compressor.manifest.stages) == stages


def test_the_fewest_queries_are_parted_too() -> None:
    dataset = small_dataset()
    assert dataset.queries is not None
    qrels = {str(n): {str(n): 1} for n in range(4)}
    least = Dataset(dataset.corpus.vectors[:4], dataset.queries.vectors[:4], {"train": qrels})
    validation = train(least, config=config(4, optimiser={"steps": 2})).manifest.validation
    assert validation is not None and validation.queries == 4


class Interrupted(Exception):
    pass


def test_an_interrupted_training_goes_on_in_the_fold_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    seen: list[int] = []

    def stop_in_the_second(progress: Progress) -> None:
        seen.append(progress.stage)
        assert progress.stages == 2 * FOLDS
        if progress.stage == 4 and progress.step == 15:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(small_dataset(), config=config(), checkpoint=tmp_path / "state", progress=stop_in_the_second)
    assert {file.name for file in tmp_path.iterdir()} == {"state", "state-1"}
    first, seen = seen[:1], []
    resumed = train(
        small_dataset(),
        config=config(),
        checkpoint=tmp_path / "state",
        resume=True,
        progress=lambda progress: seen.append(progress.stage),
    )
    assert first == [1] and min(seen) == 4
    assert resumed.fingerprint == trained().fingerprint
    assert list(tmp_path.iterdir()) == []


def test_states_of_an_earlier_training_do_not_stand_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)

    def stopping(stage: int) -> Callable[[Progress], None]:
        def stop(progress: Progress) -> None:
            if progress.stage == stage and progress.step == 15:
                raise Interrupted

        return stop

    state, other = tmp_path / "state", config(seed=7)
    with pytest.raises(Interrupted):
        train(small_dataset(), config=config(), checkpoint=state, progress=stopping(4))
    with pytest.raises(Interrupted):
        train(small_dataset(), config=other, checkpoint=state, progress=stopping(1))
    assert {file.name for file in tmp_path.iterdir()} == {"state"}
    train(small_dataset(), config=other, checkpoint=state, resume=True, keep_checkpoint=True)
    assert {file.name for file in tmp_path.iterdir()} == {"state", "state-1", "state-2"}
    checkpoints.discard(state)
    assert list(tmp_path.iterdir()) == []


def shared_documents() -> Dataset:
    """Three questions ask for each document: one fold holds a question out as new, another as seen."""
    dataset = small_dataset()
    ids = list(dataset.qrels["train"])
    answers = [next(iter(dataset.qrels["train"][ids[n - n % 3]])) for n in range(150)]
    qrels = {id_: {answer: 1} for id_, answer in zip(ids, answers, strict=True)}
    return Dataset(dataset.corpus, dataset.queries, {"train": qrels}, "shared")


def test_queries_of_all_folds_are_scored_beside_the_baselines_as_if_of_one() -> None:
    dataset, settings = shared_documents(), config(optimiser={"steps": 2}, schedule="joint", turned=False)
    folds = draw_folds(dataset, settings)
    validation = train(dataset, config=settings).manifest.validation
    assert validation is not None
    size = validation.sizes[0]
    assert size.new is not None and size.seen is not None
    assert size.new.queries == 150 == sum(fold.held_out.new for fold in folds)
    assert size.seen.queries == sum(fold.held_out.count - fold.held_out.new for fold in folds) > 0
    full = [fold.held_out.full() for fold in folds]
    new = np.concatenate([scores[: fold.held_out.new] for fold, scores in zip(folds, full, strict=True)])
    seen = np.concatenate([scores[fold.held_out.new :] for fold, scores in zip(folds, full, strict=True)])
    assert size.new.full == pytest.approx(new.mean())
    assert size.seen.full == pytest.approx(seen.mean())
    assert size.full == pytest.approx(np.concatenate([new, seen]).mean())
