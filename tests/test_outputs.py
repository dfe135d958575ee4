"""Outputs that replace others: what was there stays until the new one has its name; inputs stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from small_compressor import compressor, corpus
from smec import Compressor
from smec.atomic import replacing
from smec.cli.main import app
from smec.errors import OutputError
from training_data import small_dataset, write_dataset


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressor().save(tmp_path / "model")
    rename, calls = os.replace, []

    def second_fails(source: object, target: object) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OutputError, match="Input/output error"):
        compressor().save(tmp_path / "model", force=True)
    assert Compressor.load(tmp_path / "model").fingerprint == compressor().fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_in_the_place_of_a_folder_is_noticed_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    dataset = write_dataset(tmp_path / "data", small_dataset())
    for command in (
        ("train", dataset, "-o", tmp_path / "out"),
        ("calibrate", tmp_path / "none", dataset, "-o", tmp_path / "out", "--codec", "int8"),
    ):
        result = CliRunner().invoke(app, [*map(str, command), "--force"])
        assert result.exit_code == 2
        assert "out: is a file; name a folder" in result.stderr
    with pytest.raises(OutputError, match="is a file"), replacing(tmp_path / "out", force=True, folder=True):
        pass
    assert (tmp_path / "out").read_text() == "mine"


def test_inputs_are_not_replaced(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data", small_dataset())
    compressor().save(tmp_path / "model")
    for command in (
        ("train", dataset, "-o", dataset),
        ("train", dataset, "-o", tmp_path),
        ("extend", tmp_path / "model", dataset, "--dim", "2", "-o", dataset),
        ("calibrate", tmp_path / "model", dataset, "-o", dataset, "--codec", "int8"),
        ("report", tmp_path / "model", dataset, "-o", dataset / "corpus.parquet"),
        ("report", tmp_path / "model", dataset, "-o", tmp_path / "model" / "config.json"),
    ):
        result = CliRunner().invoke(app, [*map(str, command), "--force"])
        assert result.exit_code == 2, command
        assert "name another output" in result.stderr, command
    assert sorted(path.name for path in dataset.iterdir()) == ["corpus.parquet", "qrels", "queries.parquet"]
    assert Compressor.load(tmp_path / "model").encode(corpus(3)).shape == (3, 8)
