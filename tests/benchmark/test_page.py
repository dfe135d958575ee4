"""The benchmark's page says what the committed JSON says, and a check of that can fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS, DOCS = ROOT / "benchmarks" / "results", ROOT / "docs"


def check(results: Path, docs: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.check_page", str(results), str(docs)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_committed_page_agrees_with_the_committed_figures() -> None:
    checked = check(RESULTS, DOCS)
    assert checked.returncode == 0, checked.stderr
    assert int(checked.stdout.split()[0]) > 300


def test_the_committed_page_is_what_the_committed_results_give(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--page", "--docs", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert page == (DOCS / "benchmarks.md").read_text(encoding="utf-8"), "run: python -m benchmarks --page"
    drawn = {file.name for file in (tmp_path / "benchmarks").iterdir()}
    assert drawn == {file.name for file in (DOCS / "benchmarks").iterdir()}


@pytest.mark.parametrize("place", ["ndcg", "ci"])
def test_a_figure_that_was_changed_by_hand_is_found(tmp_path: Path, place: str) -> None:
    shutil.copy(DOCS / "benchmarks.md", tmp_path)
    document = json.loads((RESULTS / "main.json").read_text(encoding="utf-8"))
    row = document["tables"][0]["methods"][0]
    row[place][2] = [0.1, 0.9] if place == "ci" else row[place][2] + 0.01
    (tmp_path / "main.json").write_text(json.dumps(document))
    checked = check(tmp_path, tmp_path)
    assert checked.returncode == 1
    assert row["method"] in checked.stderr and str(document["tables"][0]["dims"][2]) in checked.stderr
