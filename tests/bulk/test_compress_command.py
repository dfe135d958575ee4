"""``smec compress`` prints what was done on stdout, and nothing else there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from compressible import compressor, table, vectors, write_npy
from typer.testing import CliRunner, Result

from smec.cli.compress import compress
from smec.errors import ConfigError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    compressor().save(tmp_path / "model")
    write_npy(tmp_path, table(vectors()))
    return tmp_path / "model"


def run(model: Path, *options: str) -> Result:
    app = typer.Typer()
    app.command()(compress)
    folder = model.parent
    return CliRunner().invoke(
        app, [str(model), str(folder / "in.npy"), "-o", str(folder / "out.npy"), *options]
    )


def test_summary(model: Path) -> None:
    result = run(model, "--dim", "4", "--codec", "float16")
    assert result.exit_code == 0
    assert result.stdout == (
        f"{model.parent / 'out.npy'}: 20 rows of 4 dims (float16), from 16\n"
        "64 -> 8 bytes per vector: 8.0 times smaller\n"
    )
    assert result.stderr == ""
    expected = compressor().encode(vectors(), 4).astype(np.float16)
    assert np.array_equal(np.load(model.parent / "out.npy"), expected)


def test_json(model: Path) -> None:
    result = run(model, "--json")
    assert json.loads(result.stdout) == {
        "rows": 20,
        "input_dim": 16,
        "dim": 8,
        "codec": "float32",
        "input_bytes_per_vector": 64,
        "bytes_per_vector": 32,
        "moved": None,
        "judged": None,
        "output": str(model.parent / "out.npy"),
    }


def test_from_dim_and_force(model: Path) -> None:
    np.save(model.parent / "in.npy", vectors(width=8))
    (model.parent / "out.npy").write_text("old")
    assert run(model, "--from-dim", "8", "--force").exit_code == 0
    assert np.load(model.parent / "out.npy").shape == (20, 2)


def test_refusals_are_left_to_the_program(model: Path) -> None:
    result = run(model, "--codec", "int3")
    assert isinstance(result.exception, ConfigError)
    assert result.stdout == ""
