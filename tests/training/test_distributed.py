"""Training on several processes that torchrun starts: one process' result, errors, resuming."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from smec import Compressor, train
from smec.config import build_config
from smec.data import Dataset, Embeddings
from smec.training import checkpoint as checkpoints
from smec.training.loop import Progress
from training_data import EACH, small_dataset, write_dataset

TESTS = Path(__file__).resolve().parents[1]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
ATOL = 5e-4
"""Sums over the shares of two processes are float32 sums in another order. Gradients that differ by 6e-8 of
the largest one, as such sums do, move a learned rotation by 2e-4 here: AdamW's steps are as long on axes of
little energy, where nearly all of a gradient is rounding."""

QUICK: dict[str, Any] = {
    "dims": [24],
    "optimiser": {"steps": 10, "passes": 0, "batch": 16, "negatives": 32},
    "distillation": {"passes": 0, "negatives": 32},
    "validation": {"every": 5, "folds": 1},
}
LONG = {
    **QUICK,
    "candidates": [],
    "optimiser": {"steps": 2500, "passes": 0, "batch": 16, "negatives": 32},
    "validation": {"every": 20, "folds": 1, "patience": 1000, "gate": False},
}
"""Some seconds: time for the checkpoint to be replaced, which happens every three."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "small", small_dataset())


def written(file: Path, document: object) -> Path:
    file.write_text(json.dumps(document), "utf-8")
    return file


@contextmanager
def started(*command: object) -> Iterator[subprocess.Popen[str]]:
    """A program with one thread per process; it does not outlive the test."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [str(part) for part in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # torchrun ends what it started


def ran(*command: object) -> tuple[int, str, str]:
    with started(*command) as process:
        stdout, stderr = process.communicate(timeout=120)
        return process.returncode, stdout, stderr


def of_smec(stderr: str) -> list[str]:
    """The lines that are not torchrun's."""
    return [line for line in stderr.splitlines() if line.startswith(("smec: ", "interrupted"))]


def largest_difference(one: Compressor, other: Compressor) -> float:
    vectors = small_dataset().corpus.vectors
    return max(float(np.abs(one.encode(vectors, d) - other.encode(vectors, d)).max()) for d in one.dims)


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    code, _, stderr = ran(*TORCHRUN, Path(__file__).with_name("train_each.py"), TESTS, tmp_path)
    assert code == 0, stderr
    moved = {}
    for name, config in EACH.items():
        one, two = train(small_dataset(), config=config, device="cpu"), Compressor.load(tmp_path / name)
        assert one.dims == two.dims
        # A code is a step function: the last bit of a sum, which is made in another order, can change it.
        tolerance = 10 * ATOL if config.codec else ATOL
        assert largest_difference(one, two) < tolerance, name
        # Steps, best steps, what ADS kept and every check.
        assert one.manifest.stages == two.manifest.stages, name
        assert one.fallbacks == two.fallbacks, name
        assert one.manifest.choice == two.manifest.choice, name
        assert two.manifest.libraries == {**one.manifest.libraries, "processes": "2"}
        moved[name] = sum(stage["best_step"] for stage in one.manifest.stages)
    assert all(moved.values()), moved  # none of them only compares its start


def test_an_error_is_told_once_and_every_process_exits_with_2(tmp_path: Path) -> None:
    code, stdout, stderr = ran(*TORCHRUN, "-m", "smec", "train", tmp_path / "none", "-o", tmp_path / "model")
    assert code != 0
    assert stdout == ""
    assert of_smec(stderr) == [f"smec: error: {tmp_path / 'none'}: no such folder"]
    codes = [line.split(":")[1].split()[0] for line in stderr.splitlines() if "exitcode  :" in line]
    assert "2" in codes and set(codes) <= {"2", "-15"}  # torchrun ends who has not ended yet
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_one_process_ends_the_others_in_silence(dataset: Path, tmp_path: Path) -> None:
    """The second process finds another corpus, or none."""
    script = (
        "import os, sys\n"
        "if os.environ['RANK'] == '1': sys.argv[2] = sys.argv.pop()\n"
        "else: sys.argv.pop()\n"
        "from smec.cli.main import main; main()\n"
    )
    program = tmp_path / "program.py"
    program.write_text(script)
    small = small_dataset()
    turned = Embeddings(small.corpus.ids, -np.asarray(small.corpus.vectors))
    other = write_dataset(tmp_path / "other", Dataset(turned, small.queries, small.qrels))
    for second, message in ((tmp_path / "none", "no such folder"), (other, "different data")):
        code, stdout, stderr = ran(*TORCHRUN, program, "train", dataset, "-o", tmp_path / "model", second)
        assert (code != 0, stdout) == (True, "")
        (line,) = of_smec(stderr)
        assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "program.py"]


def test_a_killed_process_ends_the_run_and_another_number_of_processes_resumes(
    dataset: Path, tmp_path: Path
) -> None:
    model, config = tmp_path / "model", written(tmp_path / "long.json", LONG)
    checkpoint = tmp_path / "model.training"
    command = ("-m", "smec", "train", dataset, "-o", model, "--config", config, "--device", "cpu")
    with started(*TORCHRUN, *command) as process:
        first = None
        while process.poll() is None and first in (None, inode(checkpoint)):
            first = first or inode(checkpoint)
            time.sleep(0.05)
        (second,) = [
            child for child in psutil.Process(process.pid).children() if child.environ().get("RANK") == "1"
        ]
        second.send_signal(signal.SIGKILL)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "(SIGKILL)" in stderr
    assert len(of_smec(stderr)) <= 1  # torchrun may end the other process before it says so
    assert checkpoint.exists() and not model.exists()
    opened, settings = Dataset.open(dataset), build_config(file=config)
    seen: list[Progress] = []
    resumed = train(
        opened, config=settings, checkpoint=checkpoint, resume=True, progress=seen.append, device="cpu"
    )
    assert seen[0].step > 20
    assert largest_difference(resumed, train(opened, config=settings, device="cpu")) < ATOL


def inode(file: Path) -> int | None:
    return file.stat().st_ino if file.exists() else None


class Stopped(Exception):
    pass


def test_two_processes_resume_what_one_began_write_it_once_and_print_once(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)

    def stop(progress: Progress) -> None:
        if (progress.stage, progress.step) == (2, 8):
            raise Stopped

    config = written(tmp_path / "quick.json", QUICK)
    opened, settings, checkpoint = (
        Dataset.open(dataset),
        build_config(file=config),
        tmp_path / "model.training",
    )
    with pytest.raises(Stopped):
        train(opened, config=settings, checkpoint=checkpoint, progress=stop, device="cpu")
    assert checkpoint.exists()
    command = ("train", dataset, "-o", tmp_path / "model", "--config", config, "--device", "cpu")
    code, stdout, stderr = ran(*TORCHRUN, "-m", "smec", *command, "--resume", "--json")
    assert code == 0, stderr
    assert json.loads(stdout)["dims"] == [24]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "quick.json"]
    whole, resumed = train(opened, config=settings, device="cpu"), Compressor.load(tmp_path / "model")
    assert largest_difference(whole, resumed) < ATOL
    assert whole.manifest.stages == resumed.manifest.stages
