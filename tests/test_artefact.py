"""The folder on disk: what is refused, what is left behind, and what the model card says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from small_compressor import centred, compressor, corpus
from smec import Compressor
from smec.artefact_files import CARD_FILE, CONFIG_FILE, TENSORS_FILE, tensors_hash
from smec.errors import ArtefactError, OutputError
from smec.vectors import normalise


@pytest.fixture
def model(tmp_path: Path) -> Path:
    compressor().save(tmp_path / "model")
    return tmp_path / "model"


def edit(file: Path, **fields: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **fields}), "utf-8")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def change_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def drop_a_tensor(model: Path) -> None:
    tensors = load_file(model / TENSORS_FILE)
    del tensors["block.1.head"]
    save_file(tensors, model / TENSORS_FILE)
    edit(model / CONFIG_FILE, tensors_sha256=tensors_hash(tensors))


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no manifest": (lambda m: (m / CONFIG_FILE).unlink(), "not a compressor folder"),
    "no tensors": (lambda m: (m / TENSORS_FILE).unlink(), f"{TENSORS_FILE} is missing"),
    "foreign manifest": (
        lambda m: (m / CONFIG_FILE).write_text('{"model_type": "bert"}'),
        "not a smec compressor",
    ),
    "manifest of another shape": (lambda m: (m / CONFIG_FILE).write_text("[1, 2]"), "not a smec compressor"),
    "cut manifest": (lambda m: cut(m / CONFIG_FILE), "not readable JSON"),
    "binary manifest": (lambda m: (m / CONFIG_FILE).write_bytes(b"\xff\xfe\x00"), "not readable JSON"),
    "newer version": (
        lambda m: edit(m / CONFIG_FILE, format_version=99),
        "format version 99, this smec reads up to 2",
    ),
    "wrong field": (lambda m: edit(m / CONFIG_FILE, input_dim="wide"), "field input_dim"),
    "unknown field": (lambda m: edit(m / CONFIG_FILE, secret=1), "field secret"),
    "cut tensors": (lambda m: cut(m / TENSORS_FILE), "not a readable safetensors file"),
    "empty tensors": (lambda m: (m / TENSORS_FILE).write_bytes(b""), "not a readable safetensors file"),
    "changed byte": (lambda m: change_a_byte(m / TENSORS_FILE), "its hash is not the one in config.json"),
    "other hash": (lambda m: edit(m / CONFIG_FILE, tensors_sha256="0" * 64), "its hash is not the one"),
    "lacking tensor": (drop_a_tensor, "lacks the tensor 'block.1.head'"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused_in_one_line(
    model: Path, damage: Callable[[Path], Any], message: str
) -> None:
    damage(model)
    with pytest.raises(ArtefactError) as caught:
        Compressor.load(model)
    assert message in str(caught.value)
    assert str(model) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bias_that_is_missing_or_of_another_length_is_refused(tmp_path: Path) -> None:
    centred().save(tmp_path / "model")
    config = tmp_path / "model" / CONFIG_FILE
    blocks = json.loads(config.read_text("utf-8"))["blocks"]
    assert [block["bias"] for block in blocks] == ["block.0.bias", "block.1.bias", None]
    for other, message in (
        ("block.7.bias", "lacks the tensor 'block.7.bias'"),
        ("block.1.bias", r"a bias of shape \(2,\) cannot serve 8 dims"),
        ("corpus.mean", r"a bias of shape \(16,\) cannot serve 8 dims"),
    ):
        edit(config, blocks=[{**blocks[0], "bias": other}, *blocks[1:]])
        with pytest.raises(ArtefactError, match=message):
            Compressor.load(tmp_path / "model")


def test_an_artefact_of_before_there_were_biases_encodes_the_same_bits(model: Path) -> None:
    blocks = json.loads((model / CONFIG_FILE).read_text("utf-8"))["blocks"]
    edit(model / CONFIG_FILE, blocks=[{k: v for k, v in block.items() if k != "bias"} for block in blocks])
    loaded = Compressor.load(model)
    product = corpus() @ load_file(model / TENSORS_FILE)["block.0"]
    np.testing.assert_array_equal(loaded.encode(corpus()), normalise(product))
    assert loaded.fingerprint == compressor().fingerprint


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}")
    for path in (tmp_path / "nowhere", tmp_path / "file", tmp_path):
        with pytest.raises(ArtefactError, match="not a compressor folder"):
            Compressor.load(path)


def test_an_existing_output_is_left_alone_unless_forced(model: Path) -> None:
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    (model / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        compressor().save(model)
    assert (model / "notes.txt").read_text() == "mine"
    compressor().save(model, force=True)
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_a_place_that_cannot_be_written_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        compressor().save(tmp_path / "file" / "model")
    with pytest.raises(OutputError, match="cannot be written"):
        compressor().save(tmp_path / ("m" * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_folder_and_no_other(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = {file.name: file.read_bytes() for file in model.iterdir()}
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        compressor().save(model, force=True)
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_the_model_card_bears_the_numbers_of_the_manifest(model: Path) -> None:
    card = (model / CARD_FILE).read_text("utf-8")
    manifest = Compressor.load(model).manifest
    assert manifest.validation is not None
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\| \d.*$", card, re.M)]
    assert [(int(row[0]), int(row[1]), row[6]) for row in rows] == [
        (size.dim, 4 * size.dim, size.method) for size in manifest.validation.sizes
    ]
    for row, size in zip(rows, manifest.validation.sizes, strict=True):
        scores = [float(number) for number in re.findall(r"\d\.\d+", " ".join(row[2:6]))]
        assert scores == pytest.approx([size.full, size.smec, *size.ci, size.pca, size.truncate], abs=5e-5)
    for stated in ("all-test-v1", "`small`", "16 → 8, 4, 2, 1 dims", manifest.tensors_sha256, "40 held-out"):
        assert stated in card
