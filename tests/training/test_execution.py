"""Device and precision: what is refused, and that bf16 learns as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from smec import Compressor, evaluate, train
from smec.cli.main import app
from smec.errors import ConfigError
from smec.training.execution import alone, together
from training_data import short, small_dataset

BF16_TOLERANCE = 0.02
"""nDCG@10 on the 40 test questions of the small dataset."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def present() -> list[str]:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{number}" for number in range(gpus))] if gpus else []
    return ["auto", "cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "gpu", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    if device in present():
        pytest.skip(f"this machine has {device}")
    with pytest.raises(ConfigError) as refused:
        train(small_dataset(), config=short(), device=device)
    there = ", ".join(present())
    assert str(refused.value) == f"device {device!r} is not on this machine; there are {there}"


def test_auto_is_a_gpu_where_there_is_one() -> None:
    expected = next(name for name in ("cuda", "mps", "cpu") if name in present())
    assert alone().device.type == expected
    with together() as execution:  # torchrun started nothing: this process alone
        assert (execution.device.type, execution.processes.count) == (expected, 1)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision 'float16' is unknown; there are float32 and bf16"):
        alone("cpu", "float16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "tpu"], "device 'tpu' is not on this machine"),
        (["--precision", "int8"], "'int8' is unknown"),
    ],
)
def test_the_command_says_what_is_wrong_on_one_line(options: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path), "-o", str(tmp_path / "model"), *options])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr


def ndcg(compressor: Compressor) -> dict[int, float]:
    return {
        result.dim: result.metrics["nDCG@10"] for result in evaluate(small_dataset(), [compressor]).results
    }


def test_bf16_learns_as_well_as_float32_and_the_artefact_says_so() -> None:
    config = short(
        optimiser={"steps": 60, "batch": 32, "negatives": 128},
        validation={"gate": False, "every": 20, "mixtures": ()},
        distillation={"negatives": 128},
    )
    full = train(small_dataset(), config=config, device="cpu")
    half = train(small_dataset(), config=config, device="cpu", precision="bf16")
    assert full.fingerprint != half.fingerprint
    assert half.block(24).matrix.dtype == "float32"
    assert half.manifest.libraries == {**full.manifest.libraries, "precision": "bf16"}
    assert ndcg(half) == pytest.approx(ndcg(full), abs=BF16_TOLERANCE)


@pytest.mark.parametrize("fields", [{"supervised": False}, {"codec": "pq6"}, {"rank": {"loss": "pairwise"}}])
def test_the_checks_of_every_loss_are_about_the_same_in_bf16(fields: dict[str, Any]) -> None:
    config = short(validation={"gate": False, "patience": 100}, **fields)
    full = train(small_dataset(), config=config, device="cpu")
    half = train(small_dataset(), config=config, device="cpu", precision="bf16")
    assert full.fingerprint != half.fingerprint
    assert checks(half) == pytest.approx(checks(full), abs=2 * BF16_TOLERANCE)


def checks(compressor: Compressor) -> list[float]:
    curves: list[Any] = [stage["validation"] for stage in compressor.manifest.stages]
    return [score for curve in curves for _, score in curve]


def test_ads_trains_in_bf16() -> None:
    """What it selects, noise included, is decided by small differences: no figure is compared."""
    half = train(small_dataset(), config=short("paper"), device="cpu", precision="bf16")
    kept: Any = [stage["kept"] for stage in half.manifest.stages]
    assert [len(set(columns)) for columns in kept] == [48, 24, 12]
