"""Queries with matrices of their own: what they make, what they leave as it was, and how they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from small_compressor import DIMS, WIDTH, centred, compressor, corpus, own_queries
from smec import Compressor, verify
from smec.artefact_files import CONFIG_FILE, TENSORS_FILE, tensors_hash
from smec.calibration import calibrate
from smec.canaries import with_canary_texts
from smec.cli.main import app
from smec.data import Dataset, Embeddings
from smec.errors import ArtefactError, ConfigError
from smec.own_queries import with_queries
from smec.vectors import FloatArray

PARENTS = pytest.mark.parametrize("parent", [compressor, centred])
Parent = Callable[[], Compressor]


def unit(rows: FloatArray) -> FloatArray:
    shortened: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return shortened


@PARENTS
@pytest.mark.parametrize("dim", DIMS)
def test_queries_are_made_by_their_matrix_and_documents_by_theirs(parent: Parent, dim: int) -> None:
    own, block = own_queries(parent), own_queries(parent).block(dim)
    rows = unit(corpus().astype(np.float64))
    matrix = block.matrix if dim == 1 else block.query
    assert matrix is not None and own.own_queries == (8, 4, 2)
    product = rows @ matrix[:, :dim] + (0 if block.bias is None else block.bias[:dim])
    np.testing.assert_allclose(own.encode_queries(corpus(), dim), unit(product), atol=1e-5)
    np.testing.assert_array_equal(own.encode(corpus(), dim), parent().encode(corpus(), dim))
    np.testing.assert_array_equal(
        own.encode_queries(corpus()[0], dim), own.encode_queries(corpus()[:1], dim)[0]
    )


@PARENTS
def test_the_fingerprint_is_that_of_documents(parent: Parent) -> None:
    own = own_queries(parent)
    assert own.fingerprint == parent().fingerprint == parent().query_fingerprint
    assert own.query_fingerprint not in (own.fingerprint, own_queries(other(parent)).query_fingerprint)
    assert parent().own_queries == ()


def other(parent: Parent) -> Parent:
    return centred if parent is compressor else compressor


@PARENTS
def test_saved_and_loaded_it_makes_the_same_bits(parent: Parent, tmp_path: Path) -> None:
    own_queries(parent).save(tmp_path / "own")
    loaded = Compressor.load(tmp_path / "own")
    for dim in DIMS:
        np.testing.assert_array_equal(
            loaded.encode_queries(corpus(), dim), own_queries(parent).encode_queries(corpus(), dim)
        )
    assert loaded.query_fingerprint == own_queries(parent).query_fingerprint
    assert loaded.fingerprint == parent().fingerprint


def test_only_an_artefact_with_own_queries_has_the_version_that_older_releases_refuse(tmp_path: Path) -> None:
    for name, made, version in (("own", own_queries(), 2), ("shared", compressor(), 1)):
        made.save(tmp_path / name)
        config = json.loads((tmp_path / name / CONFIG_FILE).read_text("utf-8"))
        assert config["format_version"] == version
        named = [block.get("query", "no such key") for block in config["blocks"]]
        own = ["block.0.query", "block.1.query", "no such key"]
        assert named == (own if version == 2 else ["no such key"] * 3)


def edited(model: Path, **fields: object) -> None:
    file = model / CONFIG_FILE
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **fields}), "utf-8")


def test_a_query_matrix_that_is_missing_damaged_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "model"
    own_queries().save(model)
    blocks = json.loads((model / CONFIG_FILE).read_text("utf-8"))["blocks"]
    for name, message in (
        ("block.7.query", "lacks the tensor 'block.7.query'"),
        ("block.2", r"a query matrix of shape \(16, 1\) cannot serve 16 -> 8 dims"),
        ("corpus.mean", r"a query matrix of shape \(16,\) cannot serve 16 -> 8 dims"),
    ):
        edited(model, blocks=[{**blocks[0], "query": name}, *blocks[1:]])
        with pytest.raises(ArtefactError, match=message):
            Compressor.load(model)
    edited(model, blocks=[{k: v for k, v in block.items() if k != "query"} for block in blocks])
    with pytest.raises(ArtefactError, match="format version 2, but 1 is that of its blocks"):
        Compressor.load(model)
    edited(model, blocks=blocks, format_version=1)
    with pytest.raises(ArtefactError, match="format version 1, but 2 is that of its blocks"):
        Compressor.load(model)
    edited(model, format_version=2)
    tensors = load_file(model / TENSORS_FILE)
    save_file({**tensors, "block.0.query": tensors["block.0.query"] + 1}, model / TENSORS_FILE)
    with pytest.raises(ArtefactError, match="its hash is not the one"):
        Compressor.load(model)


def test_verify_encodes_the_canaries_as_queries_too() -> None:
    own = own_queries()
    assert [(check.name, check.passed) for check in verify(own)] == [
        ("canaries", True),
        ("query canaries", True),
    ]
    changed = [replace(block, query=None if block.query is None else block.query + 1) for block in own.blocks]
    checks = verify(Compressor(changed, own.manifest, own.tensors))
    assert [check.passed for check in checks] == [True, False]
    assert "3 stored inputs encoded at 3 sizes differ" in checks[1].detail


def test_a_query_can_shrink_within_a_block_and_not_by_a_head() -> None:
    own = own_queries()
    large = own.encode_queries(corpus(), 8)
    np.testing.assert_allclose(own.shrink(large, 4, queries=True), own.encode_queries(corpus(), 4), atol=1e-5)
    with pytest.raises(
        ConfigError, match="size 2 cannot be made from query vectors of 8 dims: its head is for"
    ):
        own.shrink(large, 2, queries=True)
    small = own.shrink(own.encode(corpus(), 8), 2)
    np.testing.assert_allclose(small, own.encode(corpus(), 2), atol=1e-5)
    shared = compressor()
    np.testing.assert_array_equal(shared.shrink(large, 2, queries=True), shared.shrink(large, 2))


@PARENTS
def test_a_finished_compressor_takes_matrices_for_queries_and_keeps_the_rest(parent: Parent) -> None:
    calibrated = calibrate(parent(), corpus(), ["int8"], dims=[8])
    wanted = own_queries(parent)
    matrices = {8: wanted.block(8).query, 2: wanted.block(2).query}
    made = with_queries(calibrated, matrices, {"preset": "adapted"})
    assert made.query_fingerprint == wanted.query_fingerprint
    assert made.fingerprint == calibrated.fingerprint
    assert (made.codecs, made.manifest.preset) == (calibrated.codecs, "adapted")
    for name, tensor in calibrated.tensors.items():
        np.testing.assert_array_equal(made.tensors[name], tensor)
    part = with_queries(made, {4: None})
    assert part.own_queries == (2,) and part.query_fingerprint != made.query_fingerprint
    back = with_queries(part, {2: None}, {"preset": "default"})
    assert back.manifest.model_dump_json() == calibrated.manifest.model_dump_json()
    assert tensors_hash(back.tensors) == tensors_hash(calibrated.tensors)


def test_matrices_of_another_shape_or_size_are_refused() -> None:
    with pytest.raises(ConfigError, match="size 3 is not served"):
        with_queries(compressor(), {3: np.ones((WIDTH, 3), dtype=np.float32)})
    with pytest.raises(ConfigError, match=r"size 4: a query matrix of shape \(16, 4\) cannot stand beside"):
        with_queries(compressor(), {4: np.ones((WIDTH, 4), dtype=np.float32)})


def test_calibrating_keeps_the_query_matrices() -> None:
    calibrated = calibrate(own_queries(), corpus(), ["int8"])
    assert calibrated.query_fingerprint == own_queries().query_fingerprint
    assert calibrated.fingerprint == compressor().fingerprint


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_inspect_names_both_fingerprints(tmp_path: Path) -> None:
    own_queries().save(tmp_path / "own")
    compressor().save(tmp_path / "shared")
    lines = dict.fromkeys(run("inspect", tmp_path / "own").splitlines())
    assert (
        "sizes        8, 4: smec, each a prefix of the larger ones; queries have a matrix of their own"
        in lines
    )
    assert "sizes        1: pca" in lines
    assert f"fingerprint  {compressor().fingerprint}" in lines
    assert f"of queries   {own_queries().query_fingerprint}" in lines
    assert "queries" not in run("inspect", tmp_path / "shared").split("fingerprint", 1)[1].split("sha256")[0]
    for name, made in (("own", own_queries()), ("shared", compressor())):
        known = json.loads(run("inspect", tmp_path / name, "--json"))
        assert (known["fingerprint"], known["query_fingerprint"]) == (
            made.fingerprint,
            made.query_fingerprint,
        )


def test_verify_lists_both_checks(tmp_path: Path) -> None:
    own_queries().save(tmp_path / "own")
    printed = run("verify", tmp_path / "own")
    assert "query canaries" in printed and "3 stored inputs encoded at 3 sizes" in printed


def test_the_card_says_how_queries_are_encoded(tmp_path: Path) -> None:
    said = "Queries have a matrix of their own at 8, 4, 2 dims: `encode_queries` makes their vectors"
    for name, made in (("own", own_queries()), ("shared", compressor())):
        made.save(tmp_path / name)
        assert (said in (tmp_path / name / "README.md").read_text("utf-8")) == (name == "own")


def test_canary_texts_keep_the_query_matrices() -> None:
    texts = [f"text {row}" for row in range(60)]
    dataset = Dataset(Embeddings([f"d{row}" for row in range(60)], corpus(), texts=texts, name="corpus"))
    renewed = with_canary_texts(own_queries(), dataset)
    assert [check.passed for check in verify(renewed)] == [True, True]
    np.testing.assert_array_equal(
        renewed.encode_queries(corpus(), 4), own_queries().encode_queries(corpus(), 4)
    )
