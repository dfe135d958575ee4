"""Training for a code, and choosing what to store for a budget or a target."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from smec import Compressor, TrainConfig, compress, extend, train
from smec.artefact import Choice
from smec.card import model_card
from smec.cli.main import app
from smec.codecs import code_bytes, fit_codec
from smec.config import build_config
from smec.errors import ConfigError
from smec.losses.straight_through import straight_through
from smec.method.stage_codecs import StageCodecs
from smec.vectors import normalise
from training_data import short, small_dataset, write_dataset


@cache
def trained(**fields: Any) -> Compressor:
    return train(small_dataset(), config=short(**{"dims": (48, 24), **fields}))


def choice(**fields: Any) -> Choice:
    found = trained(**fields).manifest.choice
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["int8", "int4", "binary", "itq", "pq4", "opq4", "rabitq"])
def test_training_sees_what_is_stored_with_the_gradient_of_the_vectors(name: str) -> None:
    rows = torch.randn(400, 16, generator=torch.Generator().manual_seed(1), requires_grad=True)
    stored = fit_codec(name, rows.detach().numpy())
    seen = straight_through(rows, stored)
    decoded = stored.decode(stored.encode(rows.detach().numpy()))
    np.testing.assert_allclose(seen.detach().numpy(), decoded, atol=1e-6)
    weights = torch.randn(400, 16)
    (seen * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None and torch.allclose(rows.grad, weights)


def test_a_calibration_follows_the_vectors_and_is_that_of_its_step() -> None:
    documents = torch.randn(300, 8, generator=torch.Generator().manual_seed(2))
    matrix = torch.eye(8)
    codecs, resumed = (StageCodecs("binary", [8], documents, seed=0, stage=1, every=10) for _ in range(2))
    codecs.calibrate(matrix, 0)
    first = codecs.get(8)
    codecs.calibrate(-3 * matrix, 9)
    assert codecs.get(8) is first
    codecs.calibrate(-3 * matrix, 10)
    resumed.calibrate(-3 * matrix, 10)
    new, again = codecs.get(8), resumed.get(8)
    assert first is not None and new is not None and again is not None
    for name, tensor in new.tensors().items():
        np.testing.assert_array_equal(tensor, again.tensors()[name])
    assert any(not np.array_equal(new.tensors()[name], first.tensors()[name]) for name in new.tensors())
    assert codecs.get(4) is None


def test_a_training_for_product_codes_keeps_their_calibration() -> None:
    model = trained(dims=(32,), codec="pq4")
    assert model.codecs[32] == ("float32", "float16", "int8", "int4", "binary", "pq4")
    assert model.codec("pq4", 32).code_bytes == 4


def test_a_codec_and_a_selector_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="a codec stores prefixes: selection 'ads' trains without one"):
        build_config("paper", codec="binary")


def test_the_gate_measures_the_code_that_is_trained_for() -> None:
    as_floats, as_bits = (trained(**fields).manifest.validation for fields in ({}, {"codec": "binary"}))
    assert as_floats is not None and as_bits is not None
    for floats, bits in zip(as_floats.sizes, as_bits.sizes, strict=True):
        assert floats.full == bits.full  # full vectors are always floats
        assert bits.pca < floats.pca


def test_a_size_that_the_code_cannot_pack_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match="binary: packs eight dims a byte, so it cannot store 12 dims"):
        train(small_dataset(), config=short(codec="binary"))


def test_a_budget_takes_the_best_within_it() -> None:
    found = choice(budget=24)
    assert found.met and found.chosen.bytes <= 24
    assert {one.codec for one in found.considered} >= {"binary", "int4", "int8", "pq8", "rabitq"}
    for one in found.considered:
        assert one.bytes == code_bytes(one.codec, one.dim) <= 24
        assert one.score <= found.chosen.score


def test_a_target_takes_the_fewest_bytes_that_reach_it() -> None:
    found = choice(target=0.8)
    assert found.met and found.chosen.score >= 0.8 * found.full
    assert all(one.score < 0.8 * found.full for one in found.considered if one.bytes < found.chosen.bytes)
    assert found.chosen.bytes < 4 * 24


def test_a_target_that_nothing_reaches_says_so() -> None:
    found = choice(target=3.0)
    assert not found.met and found.chosen.score == max(one.score for one in found.considered)


def test_the_chosen_code_is_calibrated_and_the_default(tmp_path: Path) -> None:
    model, chosen = trained(budget=12), choice(budget=12).chosen
    np.save(tmp_path / "in.npy", small_dataset().corpus.vectors[:20])
    done = compress(model, tmp_path / "in.npy", tmp_path / "out.npy")
    assert (done.dim, done.codec, done.bytes_per_vector) == (chosen.dim, chosen.codec, chosen.bytes)
    other = 24 if chosen.dim == 48 else 48
    assert compress(model, tmp_path / "in.npy", tmp_path / "other.npy", dim=other).codec == "float32"


def test_only_the_code_that_is_trained_for_is_a_choice() -> None:
    assert {one.codec for one in choice(budget=12, codec="int4").considered} == {"int4"}


def test_a_budget_that_nothing_fits_names_the_smallest() -> None:
    message = "budget: nothing fits into 2 bytes; the smallest is 24 dims as binary, 3 bytes"
    with pytest.raises(ConfigError, match=message):
        train(small_dataset(), config=short(dims=(48, 24), budget=2))


def test_a_budget_and_a_target_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="a budget or a target, not both"):
        build_config(budget=3, target=0.5)


def test_an_extended_compressor_keeps_its_codecs() -> None:
    model = extend(trained(budget=12), small_dataset(), 8)
    assert model.codecs[8] == ("float32", "float16", "int8", "int4", "binary")
    assert {dim: model.codecs[dim] for dim in (48, 24)} == dict(trained(budget=12).codecs)


def test_the_command_line(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", small_dataset())
    ungated = short(dims=(48, 24), validation={"gate": False})  # so that --strict is about the target
    settings = ungated.model_dump(include={"dims", "candidates", "optimiser", "validation", "memory"})
    (tmp_path / "short.json").write_text(json.dumps(settings))

    def run(name: str, *options: str) -> tuple[int, str, str]:
        arguments = ["train", str(folder), "-o", str(tmp_path / name)]
        found = CliRunner().invoke(app, [*arguments, "--config", str(tmp_path / "short.json"), *options])
        return found.exit_code, found.stdout, found.stderr

    exit_code, out, _ = run("model", "--budget", "16B")
    assert exit_code == 0 and "chosen: " in out and "scores best within 16 bytes" in out
    loaded = Compressor.load(tmp_path / "model").manifest
    assert loaded.choice is not None and TrainConfig.model_validate(loaded.training).budget == 16

    exit_code, out, error = run("missed", "--target", "2", "--strict")
    assert (exit_code, out) == (3, "") and "target 2.0: nothing reaches it; the nearest, " in error
    assert not (tmp_path / "missed").exists()

    for options, message in (
        (("--budget", "lots"), "budget: 'lots' is not a number of bytes; write it as 64B"),
        (("--budget", "1B"), "budget: nothing fits into 1 bytes"),
        (("--codec", "int3"), "codec 'int3' is unknown; use float32, "),
        (("--codec", "pq7"), "codec pq7: 48 dims do not fall into 7 parts; use pq6"),
    ):
        exit_code, out, error = run("none", *options)
        assert (exit_code, out) == (2, "") and message in error.splitlines()[-1]


@pytest.mark.parametrize("name", ["pq6", "opq6", "rabitq"])
def test_any_seed_draws_codebooks(name: str) -> None:
    vectors = normalise(np.random.default_rng(0).standard_normal((300, 24)).astype(np.float32))
    assert fit_codec(name, vectors, seed=2**31 + 5).encode(vectors).shape[0] == 300


def test_an_extended_compressor_says_what_each_size_was_measured_on() -> None:
    trained = train(small_dataset(), config=short(dims=(24,)))
    extended = extend(trained, small_dataset(), 12, config=short(supervised=False))
    before, after = trained.manifest.validation, extended.manifest.validation
    assert before is not None and after is not None
    tables = after.tables()
    assert [(one.metric, one.queries, [size.dim for size in one.sizes]) for one in tables] == [
        ("ndcg@10", before.queries, [24]),
        ("overlap@10", after.sizes[1].queries, [12]),
    ]
    card = model_card(extended.manifest)
    assert f"ndcg@10 on new documents ({before.queries} held-out train queries)" in card
    assert f"overlap@10 on {after.sizes[1].queries} held-out queries" in card
    assert all(size.shipped is not None for size in after.sizes)
