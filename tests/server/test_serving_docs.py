"""What the README and docs/serving.md say about serving is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.make_serving_docs import filled

from server.test_upstream_faults import LASTING
from smec.server.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080/v1"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = [
    code
    for page in (README, PAGE)
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    if ADDRESS in code
]
PRINTED = [
    "96\n",
    "['all-MiniLM-L6-v2']\n48\n",
    "(3, 48)\n",
    "1000 fixed_size_list<item: float>[48]\n",
    "96\n",
]


@pytest.mark.parametrize("number", range(5))
def test_snippets_run_as_written(url: str, number: int) -> None:
    code = SNIPPETS[number].replace(ADDRESS, url)
    # The recorded encoder knows the questions that it was recorded with.
    code = code.replace("What is asthma?", "How to diagnose Adult Acute Lymphoblastic Leukemia ?")
    finished = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (finished.stdout, finished.returncode) == (PRINTED[number], 0), finished.stderr


def test_all_snippets_are_run() -> None:
    assert len(SNIPPETS) == len(PRINTED)


def test_the_settings_and_figures_are_those_of_the_code_and_the_last_measurement() -> None:
    assert filled(PAGE) == PAGE, "run: python -m benchmarks.make_serving_docs"


def test_the_examples_of_a_file_are_accepted(tmp_path: Path) -> None:
    examples = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    file = tmp_path / "serve.json"
    read = []
    for example in examples:
        file.write_text(example)
        read.append(load_settings(file, {}))
        assert list(read[-1].models) == list(json.loads(example)["models"])
    sides, several = read
    assert {name: model.input_type for name, model in sides.models.items()} == {
        "documents": "document",
        "queries": "query",
    }
    assert several.upstream_of("questions").url == "http://127.0.0.1:11434/v1"


def test_the_fault_matrix_is_that_of_the_tests() -> None:
    rows = re.findall(r"^\| (.+?) \| (\d+) `(\w+)` \| (\d) \|$", PAGE, flags=re.MULTILINE)
    assert {fault: (int(status), code, int(tries)) for fault, status, code, tries in rows} == LASTING
