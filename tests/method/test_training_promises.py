"""What `train` must hold to besides its figures: what it sees, where it starts, what it survives."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smec import Compressor, Dataset, extend, train
from smec.baselines import fit_baseline
from smec.config import TrainConfig
from smec.data import Embeddings
from smec.errors import ConfigError, DataError, OutputError
from smec.training import checkpoint as checkpoints
from smec.training.loop import Progress
from training_data import TWO_STAGES, short, small_dataset

UNGATED: dict[str, Any] = {"validation": {"gate": False}}
FILES = ("compressor.safetensors", "config.json", "README.md")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def trained(preset: str = "default") -> Compressor:
    """Ungated, so that all sizes are what was learned."""
    return train(small_dataset(), config=ungated(preset))


def ungated(preset: str) -> TrainConfig:
    """The short configuration of a preset, or that of two stages."""
    if preset == "two stages":
        return short(**TWO_STAGES, **UNGATED)
    return short(preset, **UNGATED)


def saved(compressor: Compressor, folder: Path) -> list[bytes]:
    compressor.save(folder)
    return [(folder / name).read_bytes() for name in FILES]


def test_other_test_queries_and_judgements_change_no_bit() -> None:
    dataset = small_dataset()
    assert dataset.queries is not None
    vectors = np.array(dataset.queries.vectors)
    seen = {dataset.queries.row(id_) for id_ in dataset.qrels["train"]}
    unseen = [row for row in range(len(vectors)) if row not in seen]
    assert len(unseen) == 40
    vectors[unseen] = np.random.default_rng(0).standard_normal((40, dataset.dim))
    qrels = {**dataset.qrels, "test": {id_: {dataset.corpus.ids[0]: 3} for id_ in dataset.qrels["test"]}}
    other = Dataset(dataset.corpus, Embeddings(dataset.queries.ids, vectors), qrels, dataset.name)
    again = train(other, config=short(**UNGATED))
    assert again.fingerprint == trained().fingerprint
    assert again.manifest.validation == trained().manifest.validation


def test_other_test_judgements_change_no_byte_of_the_artefact(tmp_path: Path) -> None:
    dataset = small_dataset()
    test = {query: {"no such document": 1} for query in dataset.qrels["test"]}
    qrels = {"train": dataset.qrels["train"], "test": {**test, "no such query": {"no such document": 1}}}
    other = train(Dataset(dataset.corpus, dataset.queries, qrels, dataset.name), config=short(**UNGATED))
    assert saved(other, tmp_path / "other") == saved(trained(), tmp_path / "model")


@pytest.mark.parametrize("start", ["pca", "identity"])
def test_steps_that_gain_nothing_leave_the_start(start: str) -> None:
    fields: dict[str, Any] = {"optimiser": {"steps": 10, "learning_rate": 1e-12}, "start": start}
    still: dict[str, Any] = {"distillation": {"learning_rate": 1e-12}, "turned": False}
    compressor = train(small_dataset(), config=short(tempering=0, **fields, **still, **UNGATED))
    vectors = small_dataset().corpus.vectors
    baseline = fit_baseline("pca" if start == "pca" else "truncate", vectors, (48, 24, 12))
    for dim in compressor.dims:
        np.testing.assert_allclose(compressor.encode(vectors, dim), baseline.encode(vectors, dim), atol=1e-4)


def test_the_gate_turned_off_ships_what_was_learned_and_measures_it_all_the_same() -> None:
    compressor = trained()
    assert compressor.fallbacks == {}
    validation = compressor.manifest.validation
    assert validation is not None
    assert [size.method for size in validation.sizes] == ["smec"] * 3
    gated = train(small_dataset(), config=short()).manifest.validation
    assert gated is not None
    assert [(s.dim, s.smec, s.pca) for s in gated.sizes] == [(s.dim, s.smec, s.pca) for s in validation.sizes]


def test_the_best_check_of_the_last_stage_is_what_the_gate_measures() -> None:
    compressor = trained("paper")
    validation = compressor.manifest.validation
    assert validation is not None
    for stage, size in zip(compressor.manifest.stages, validation.sizes, strict=True):
        curve: Any = stage["validation"]
        best = max(score for _, score in curve)
        assert size.smec == pytest.approx(best, abs=1e-6)
        assert dict(curve)[stage["best_step"]] == best
        assert curve[0][0] == 0


def test_progress_counts_every_step_of_every_stage() -> None:
    seen: list[Progress] = []
    compressor = train(
        small_dataset(),
        config=short(**TWO_STAGES, optimiser={"steps": 4}, dims=(48, 12)),
        progress=seen.append,
    )
    assert [(p.stage, p.step) for p in seen] == [
        (number, step)
        for number, stage in enumerate(compressor.manifest.stages, start=1)
        for step in range(1, int(str(stage["steps"])) + 1)
    ]
    assert {p.stages for p in seen} == {2}


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("preset", ["two stages", "paper"])
def test_a_training_interrupted_again_and_again_ends_with_the_same_bytes(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    steps = 0

    def every_fifteenth(_: Progress) -> None:
        nonlocal steps
        steps += 1
        if steps % 15 == 0:
            raise Interrupted

    config, file = ungated(preset), tmp_path / "state"
    ended = None
    while ended is None:
        try:
            ended = train(
                small_dataset(), config=config, checkpoint=file, resume=True, progress=every_fifteenth
            )
        except Interrupted:
            assert steps < 1000  # each go must get further than the one before
    assert steps > 5 * 15
    assert saved(ended, tmp_path / "resumed") == saved(trained(preset), tmp_path / "unbroken")
    assert not file.exists()


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    def stop(_: Progress) -> None:
        raise Interrupted

    dataset, file = small_dataset(), tmp_path / "state"
    with pytest.raises(Interrupted):
        train(dataset, config=short(), checkpoint=file, progress=stop)
    qrels = dict(list(dataset.qrels["train"].items())[1:])
    other = Dataset(dataset.corpus, dataset.queries, {"train": qrels}, dataset.name)
    with pytest.raises(ConfigError, match="other data or another configuration"):
        train(other, config=short(), checkpoint=file, resume=True)


def test_a_checkpoint_that_is_a_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    with pytest.raises(OutputError, match="is a folder; name a file"):
        train(small_dataset(), config=short(), checkpoint=tmp_path)
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_loss_that_runs_away_says_what_to_lower() -> None:
    with pytest.raises(DataError, match=r"the loss became .* lower optimiser\.learning_rate"):
        train(small_dataset(), config=short(optimiser={"learning_rate": 1e30}))


@pytest.mark.parametrize("preset", ["default", "paper"])
@pytest.mark.parametrize("dims", [(384, 24), (40, 7, 1)])
def test_the_full_size_and_sizes_that_do_not_halve_are_served(preset: str, dims: tuple[int, ...]) -> None:
    compressor = train(small_dataset(), config=short(preset, optimiser={"steps": 2}, dims=dims, **UNGATED))
    vectors = small_dataset().corpus.vectors[:20]
    assert compressor.dims == dims
    stored = compressor.encode(vectors, dims[0])
    for dim in dims:
        np.testing.assert_allclose(compressor.shrink(stored, dim), compressor.encode(vectors, dim), atol=1e-5)


@pytest.mark.parametrize("supervised", [True, False])
def test_the_fewest_vectors_train_and_fall_back(supervised: bool) -> None:
    dataset = small_dataset()
    vectors = dataset.corpus.vectors[:4]
    assert dataset.queries is not None
    qrels = {str(n): {str(n): 1} for n in range(4)}
    least = Dataset(vectors, dataset.queries.vectors[:4], {"train": qrels})
    compressor = train(least, config=short(optimiser={"steps": 2}, supervised=supervised))
    assert set(compressor.fallbacks) == {48, 24, 12}


def test_no_sizes_at_all_are_refused() -> None:
    with pytest.raises(ConfigError, match="name at least one size"):
        train(small_dataset(), config=TrainConfig(dims=()))


def test_a_compressor_is_extended_twice_the_same_way_and_shrinks_through_its_heads(tmp_path: Path) -> None:
    before, dataset = trained("paper"), small_dataset()
    six = extend(before, dataset, 6)
    assert six.fingerprint == extend(before, dataset, 6).fingerprint
    three = extend(six, dataset, 3)
    assert three.dims == (48, 24, 12, 6, 3)
    for dim in six.dims:
        np.testing.assert_array_equal(six.block(dim).matrix, three.block(dim).matrix)
    three.save(tmp_path / "model")
    loaded, vectors = Compressor.load(tmp_path / "model"), dataset.corpus.vectors
    for dim in (48, 24, 12, 6):
        stored = loaded.encode(vectors, dim)
        np.testing.assert_allclose(loaded.shrink(stored, 3), loaded.encode(vectors, 3), atol=1e-5)


def test_a_training_with_labels_needs_judgements_and_says_how_to_do_without() -> None:
    with pytest.raises(DataError, match="train without labels"):
        train(Dataset(np.asarray(small_dataset().corpus.vectors)), config=short())


def test_a_supervised_compressor_is_not_extended_without_judgements() -> None:
    with pytest.raises(DataError, match=r"has no judgements of train queries \(qrels/train.tsv\)"):
        extend(trained(), Dataset(np.asarray(small_dataset().corpus.vectors)), 6)
