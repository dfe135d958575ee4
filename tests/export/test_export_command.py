"""``smec export``, and what its files say of themselves."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from exportable import READ, centred, compressor, vectors
from smec.cli.main import app


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compressor") / "model"
    compressor().save(folder)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *(str(argument) for argument in arguments)])


def test_the_command_tells_what_it_has_written(model: Path, tmp_path: Path) -> None:
    result = run(model, "--to", "torchscript", "-o", tmp_path / "small.pt", "--dim", 48, "--codec", "int8")
    assert result.exit_code == 0, result.output
    first, *_, last = result.stdout.splitlines()
    assert first.endswith("384 dims -> 48 dims of unit length, stored as int8")
    assert last == f"saved: {tmp_path / 'small.pt'}"
    with zipfile.ZipFile(tmp_path / "small.pt") as archive:
        stamp = json.loads(archive.read("archive/extra/smec.json"))
    assert stamp["smec_fingerprint"] == compressor().fingerprint and stamp["codec"] == "int8"


def test_errors_are_one_line(model: Path, tmp_path: Path) -> None:
    for arguments in (
        ("--to", "keras"),
        ("--to", "numpy", "--dim", "7"),
        ("--to", "onnx", "--input-type", "x"),
    ):
        result = run(model, *arguments, "-o", tmp_path / "out")
        assert result.exit_code == 2
        assert result.stderr.startswith("smec: error: ") and result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_numpy_module_serves_the_prefixes(model: Path, tmp_path: Path) -> None:
    assert run(model, "--to", "numpy", "-o", tmp_path / "out").exit_code == 0
    text = (tmp_path / "out" / "encode.py").read_text("utf-8")
    assert "dim=96" in text and "dim = 48, 24" in text and "12 (pca)" in text
    space: dict[str, object] = {"__file__": str(tmp_path / "out" / "encode.py")}
    exec(text, space)
    encoded = space["encode"](vectors(), 24)  # type: ignore[operator]
    assert np.abs(encoded - compressor().encode(vectors(), 24)).max() <= 1e-5


def test_the_numpy_module_of_a_size_with_a_bias_serves_the_prefixes(tmp_path: Path) -> None:
    centred().save(tmp_path / "model")
    assert run(tmp_path / "model", "--to", "numpy", "-o", tmp_path / "out").exit_code == 0
    space: dict[str, object] = {"__file__": str(tmp_path / "out" / "encode.py")}
    exec((tmp_path / "out" / "encode.py").read_text("utf-8"), space)
    encoded = space["encode"](vectors(), 24)  # type: ignore[operator]
    assert np.abs(encoded - centred().encode(vectors(), 24)).max() <= 1e-5


def test_torchscript_takes_float16(model: Path, tmp_path: Path) -> None:
    assert run(model, "--to", "torchscript", "-o", tmp_path / "small.pt").exit_code == 0
    half = vectors().astype(np.float16)
    found = READ["torchscript"](tmp_path / "small.pt", half)  # type: ignore[arg-type]
    assert np.abs(found - compressor().encode(half)).max() <= 1e-5


@pytest.mark.parametrize("target", ["numpy", "torchscript", "faiss"])
def test_a_full_disk_is_one_line_and_leaves_nothing(model: Path, tmp_path: Path, target: str) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "smec", "export", str(model), "--to", target, "-o", str(out)]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith(f"smec: error: {out}: cannot be written: ") and run.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_an_export_needs_is_not_replaced(model: Path) -> None:
    for output in (model, model.parent):
        result = run(model, "--to", "numpy", "-o", output, "--force")
        assert result.exit_code == 2
        assert f"is or holds {model}, which is needed" in result.stderr
    assert (model / "config.json").exists()
