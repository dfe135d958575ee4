"""What `train` and `extend` promise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smec import Compressor, Dataset, extend, train
from smec.baselines import fit_baseline
from smec.config import TrainConfig
from smec.data import Embeddings
from smec.errors import ArtefactError, ConfigError, DataError
from smec.training import checkpoint as checkpoints
from smec.training.loop import Progress
from training_data import TWO_STAGES, rows_of, short, small_dataset

CONFIGS = {
    "default": short(),
    "compared": short(candidates=("distilled", "tempered"), validation={"folds": 2}),
    "the full size first": short(**TWO_STAGES),
    "paper": short("paper"),
    "without labels": short(supervised=False),
    "sequential": short(schedule="sequential"),
    "nested ads": short(schedule="sequential", selection="ads"),
    "through a code": short(codec="pq6"),
}
UNGATED: dict[str, Any] = {"validation": {"gate": False}}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained() -> dict[str, Compressor]:
    return {name: train(small_dataset(), config=config) for name, config in CONFIGS.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_way_of_training_serves_every_size(trained: dict[str, Compressor], name: str) -> None:
    compressor = trained[name]
    assert compressor.dims == (48, 24, 12)
    encoded = compressor.encode(small_dataset().corpus.vectors, 12)
    np.testing.assert_allclose(np.linalg.norm(encoded, axis=1), 1, atol=1e-5)


def test_same_seed_same_bytes_and_another_seed_others(trained: dict[str, Compressor], tmp_path: Path) -> None:
    trained["default"].save(tmp_path / "first")
    train(small_dataset(), config=short()).save(tmp_path / "second")
    for file in ("compressor.safetensors", "config.json", "README.md"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    assert train(small_dataset(), config=short(seed=1)).fingerprint != trained["default"].fingerprint


def test_the_test_split_is_never_looked_at(trained: dict[str, Compressor]) -> None:
    dataset = small_dataset()
    train_alone = {"train": dataset.qrels["train"]}
    # Its queries stay reserved: they would be queries without judgements otherwise.
    blind = Dataset(
        dataset.corpus, dataset.queries, train_alone, dataset.name, reserved=dataset.qrels["test"]
    )
    assert train(blind, config=short()).fingerprint == trained["default"].fingerprint


def test_sizes_of_the_default_preset_are_prefixes_of_one_another() -> None:
    compressor = train(small_dataset(), config=short(**UNGATED))
    vectors = small_dataset().corpus.vectors
    large = compressor.encode(vectors, 48)
    np.testing.assert_allclose(compressor.shrink(large, 12), compressor.encode(vectors, 12), atol=1e-5)
    prefix = large[:, :12] / np.linalg.norm(large[:, :12], axis=1, keepdims=True)
    np.testing.assert_allclose(prefix, compressor.encode(vectors, 12), atol=1e-5)


def test_stored_vectors_of_the_paper_preset_shrink_by_their_heads() -> None:
    compressor = train(small_dataset(), config=short("paper", **UNGATED))
    vectors = small_dataset().corpus.vectors
    large = compressor.encode(vectors, 48)
    for dim in (24, 12):
        np.testing.assert_allclose(compressor.shrink(large, dim), compressor.encode(vectors, dim), atol=1e-5)


def test_a_small_size_learns_more_than_pca_keeps() -> None:
    optimiser = {"steps": 100, "batch": 64, "negatives": 128}
    taught = {"negatives": 128}
    config = short(
        dims=(12, 6), optimiser=optimiser, distillation=taught, validation={"every": 25, "folds": 4}
    )
    compressor = train(small_dataset(), config=config)
    validation = compressor.manifest.validation
    assert validation is not None
    smallest = validation.sizes[-1]
    assert smallest.method == "smec"
    assert smallest.smec > max(smallest.pca, smallest.truncate)
    assert 6 not in compressor.fallbacks


def test_labels_that_say_nothing_fall_back_to_a_baseline() -> None:
    dataset = small_dataset()
    rng = np.random.default_rng(0)
    documents = rng.permutation(len(dataset.corpus))
    qrels = {q: {dataset.corpus.ids[d]: 1} for q, d in zip(dataset.qrels["train"], documents, strict=False)}
    compressor = train(Dataset(dataset.corpus, dataset.queries, {"train": qrels}, "noise"), config=short())
    assert compressor.fallbacks
    dim, name = next(iter(compressor.fallbacks.items()))
    baseline = fit_baseline(name, dataset, (dim,))
    np.testing.assert_allclose(
        compressor.encode(dataset.corpus.vectors, dim),
        baseline.encode(dataset.corpus.vectors, dim),
        atol=1e-4,
    )
    validation = compressor.manifest.validation
    assert validation is not None
    assert {
        size.dim: size.method for size in validation.sizes if size.method != "smec"
    } == compressor.fallbacks


def test_without_labels_a_corpus_is_enough() -> None:
    corpus_only = Dataset(np.asarray(small_dataset().corpus.vectors))
    compressor = train(corpus_only, config=short(supervised=False))
    assert compressor.manifest.validation is not None
    assert compressor.manifest.validation.metric == "overlap@10"


class Killed(Exception):
    pass


def killed_at(step: int) -> object:
    seen = 0

    def progress(_: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            raise Killed

    return progress


@pytest.mark.parametrize("step", [1, 17, 31, 55])
@pytest.mark.parametrize("name", ["compared", "the full size first", "paper"])
def test_a_broken_training_resumes_to_the_same_bytes(
    trained: dict[str, Compressor], name: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    file = tmp_path / "state"
    with pytest.raises(Killed):
        train(small_dataset(), config=CONFIGS[name], checkpoint=file, progress=killed_at(step))  # type: ignore[arg-type]
    assert file.is_file()
    steps: list[Progress] = []
    resumed = train(
        small_dataset(), config=CONFIGS[name], checkpoint=file, resume=True, progress=steps.append
    )
    assert resumed.fingerprint == trained[name].fingerprint
    assert resumed.manifest == trained[name].manifest
    assert (steps[0].stage, steps[0].step) != (1, 1) or step < 10
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_resumes_to_the_same_bytes(trained: dict[str, Compressor], tmp_path: Path) -> None:
    file = tmp_path / "state"
    script = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); torch.set_num_threads(1)\n"
        "from training_data import short, small_dataset\n"
        "from smec import train\n"
        "train(small_dataset(), config=short(), checkpoint=sys.argv[2])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(Path(__file__).parent), str(file)])
    while not file.exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = train(small_dataset(), config=short(), checkpoint=file, resume=True)
    assert resumed.fingerprint == trained["default"].fingerprint


def test_another_training_does_not_resume_from_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with pytest.raises(Killed):
        train(small_dataset(), config=short(), checkpoint=file, progress=killed_at(5))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="another configuration; train without --resume"):
        train(small_dataset(), config=short(seed=5), checkpoint=file, resume=True)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ArtefactError, match="damaged checkpoint"):
        train(small_dataset(), config=short(), checkpoint=file, resume=True)


def test_extend_keeps_every_bit_of_the_sizes_that_exist(
    trained: dict[str, Compressor], tmp_path: Path
) -> None:
    before = trained["default"]
    after = extend(before, small_dataset(), 6)
    vectors = small_dataset().corpus.vectors
    assert after.dims == (48, 24, 12, 6)
    for dim in before.dims:
        np.testing.assert_array_equal(before.encode(vectors, dim), after.encode(vectors, dim))
    after.save(tmp_path / "model")
    loaded = Compressor.load(tmp_path / "model")
    stored = loaded.encode(vectors, 12)
    np.testing.assert_allclose(loaded.shrink(stored, 6), loaded.encode(vectors, 6), atol=1e-5)
    validation = loaded.manifest.validation
    assert validation is not None
    assert [size.dim for size in validation.sizes] == [48, 24, 12, 6]


def test_extend_refuses_sizes_that_are_not_smaller_and_other_embeddings(
    trained: dict[str, Compressor],
) -> None:
    with pytest.raises(ConfigError, match="between 1 and 11, below the smallest"):
        extend(trained["default"], small_dataset(), 12)
    narrow = Dataset(np.asarray(small_dataset().corpus.vectors)[:, :100])
    with pytest.raises(DataError, match="has 100 dims, the compressor takes 384"):
        extend(trained["default"], narrow, 6)


def few_queries(count: int) -> Dataset:
    dataset = small_dataset()
    return Dataset(
        dataset.corpus, dataset.queries, {"train": dict(list(dataset.qrels["train"].items())[:count])}
    )


def test_fewer_queries_than_a_batch_still_train() -> None:
    assert train(few_queries(6), config=short()).dims == (48, 24, 12)


def test_too_few_queries_say_what_to_do() -> None:
    with pytest.raises(DataError, match=r"only 3 train queries .* judge 4 at least, or train without labels"):
        train(few_queries(3), config=short())


def test_one_document_is_too_few() -> None:
    one = Dataset(rows_of(small_dataset().corpus, [0]))
    with pytest.raises(DataError, match="1 vectors are too few"):
        train(one, config=short(supervised=False))


def test_a_dataset_without_train_judgements_is_refused() -> None:
    corpus_only = Dataset(Embeddings(["a", "b"], np.eye(2, dtype=np.float32)), name="bare")
    with pytest.raises(DataError, match="train"):
        train(corpus_only, config=TrainConfig(dims=(1,)))


@pytest.mark.parametrize(
    ("dims", "message"), [((500, 24), "between 1 and the embeddings' 384"), ((24, 48), "descend")]
)
def test_sizes_that_cannot_be_served_are_refused(dims: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(small_dataset(), dims=dims)
