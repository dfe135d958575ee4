"""Candidates that are trained for a codec, and sizes and codecs that are chosen after them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from smec import Compressor, train
from smec.artefact import Choice, Validation
from smec.codecs import code_bytes
from synthetic_data import SIZES, learnable, quick


@cache
def trained(**fields: Any) -> Compressor:
    return train(learnable(), config=quick(candidates=("distilled", "tempered"), **fields))


def validation_of(compressor: Compressor) -> Validation:
    assert compressor.manifest.validation is not None
    return compressor.manifest.validation


def choice_of(compressor: Compressor) -> Choice:
    assert compressor.manifest.choice is not None
    return compressor.manifest.choice


@pytest.mark.parametrize("codec", ["int8", "int4"])
def test_candidates_are_compared_as_the_codec_stores_them(codec: str) -> None:
    coded, plain = validation_of(trained(codec=codec)), validation_of(trained())
    assert coded.candidate in ("distilled", "tempered")
    for as_code, as_floats in zip(coded.sizes, plain.sizes, strict=True):
        assert as_code.new is not None and as_floats.new is not None
        assert as_code.new.full == as_floats.new.full  # full vectors are always floats
        assert as_code.new.pca != as_floats.new.pca
        assert as_code.pca_centred is not None and as_code.spectemp is not None
    assert all(codec in names for names in trained(codec=codec).codecs.values())


def test_a_budget_chooses_among_what_the_sizes_ship() -> None:
    compressor = trained(budget=8)
    choice = choice_of(compressor)
    assert validation_of(compressor).candidate == validation_of(trained()).candidate
    assert choice.met and choice.chosen.bytes <= 8
    assert choice.chosen.score == max(one.score for one in choice.considered)
    for one in choice.considered:
        assert one.bytes == code_bytes(one.codec, one.dim) <= 8
    assert {one.dim for one in choice.considered} == set(SIZES)


def test_a_target_takes_the_fewest_bytes_of_what_the_sizes_ship() -> None:
    choice = choice_of(trained(target=0.2))
    assert choice.met and choice.chosen.score >= 0.2 * choice.full
    assert all(one.score < 0.2 * choice.full for one in choice.considered if one.bytes < choice.chosen.bytes)


def test_a_choice_scores_a_size_as_floats_as_the_gate_did() -> None:
    compressor = trained(target=0.2)
    shipped = {size.dim: size.ships for size in validation_of(compressor).sizes}
    scored = {one.dim: one.score for one in choice_of(compressor).considered if one.codec == "float32"}
    assert scored == {dim: pytest.approx(score, abs=1e-5) for dim, score in shipped.items()}


@pytest.mark.parametrize("fields", [{"codec": "int8"}, {"budget": 8}], ids=str)
def test_the_same_seed_gives_the_same_bytes_with_a_codec_or_a_budget(fields: dict[str, Any]) -> None:
    again = train(learnable(), config=quick(candidates=("distilled", "tempered"), **fields))
    assert again.fingerprint == trained(**fields).fingerprint
    assert again.manifest == trained(**fields).manifest
