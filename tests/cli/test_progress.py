"""What a terminal shows during a training, and that nothing is shown elsewhere."""

from __future__ import annotations

import io
import math
import subprocess
import sys

import pytest
from rich.console import Console

from smec.cli.progress import describe, training_progress
from smec.training.loop import Progress

START = Progress(1, 3, (384, 192), 0, 200, math.nan, None, "ndcg@10")
LATER = Progress(2, 3, (192, 96), 50, 200, 0.12345, 0.71, "ndcg@10")


def test_a_step_is_described_by_stage_sizes_loss_and_score() -> None:
    assert describe(LATER) == "stage 2/3 (dims 192,96)  loss 0.1235  ndcg@10 0.7100"
    assert describe(START) == "stage 1/3 (dims 384,192)  loss nan"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_for_terminals_only(terminal: bool) -> None:
    shown = io.StringIO()
    with training_progress(Console(file=shown, force_terminal=terminal, width=120)) as bar:
        bar.training(START)
        bar.training(LATER)
    assert ("stage 2/3 (dims 192,96)" in shown.getvalue()) == terminal
    assert (shown.getvalue() == "") != terminal


def test_training_without_torch_is_one_line() -> None:
    code = "import sys; sys.modules['torch'] = None; from smec.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "d", "-o", "m"], capture_output=True, text=True
    )
    message = "smec: error: training needs torch, which is not installed: pip install 'smec[train]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


def test_a_reader_that_stops_early_is_no_error() -> None:
    code = "from smec.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == ""
