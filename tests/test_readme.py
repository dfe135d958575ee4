"""What the documentation says can be done, can be done."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smec.cli.main import COMMANDS, command

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/cli.md",
    "docs/method.md",
    "docs/architecture.md",
    "docs/scale.md",
    "docs/exports.md",
    "docs/encoders.md",
    "docs/databases.md",
    "docs/feedback.md",
    "docs/judgements.md",
    "docs/walkthrough.md",
    "docs/serving.md",
)


def blocks(language: str) -> list[str]:
    # Those for a running server are run by tests/server/test_serving_docs.py.
    found = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return [code for code in found if "127.0.0.1" not in code]


def commands() -> dict[str, Any]:
    return {name: command(name) for name in COMMANDS}


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_examples_run_as_written(number: int, tmp_path: Path) -> None:
    code = blocks("python")[number]
    arguments = [sys.executable, "-W", "error", "-c", code]
    finished = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    if "print(" in code:
        assert re.match(r"\{96: 0\.\d+, 24: 0\.\d+\}", finished.stdout)
        assert (tmp_path / "my-model" / "config.json").is_file()


def test_every_command_in_the_pages_exists_with_its_options() -> None:
    calls = [
        line.strip().strip("`")
        for page in PAGES
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("smec ")
    ]
    known = commands()
    assert len(calls) >= len(known)
    for call in calls:
        _, name, *words = shlex.split(re.sub(r"\s#.*", "", call))  # not within the URL of a collection
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options, call


def test_every_command_named_in_prose_exists() -> None:
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"`smec ([a-z]+)", text))
    assert named and named <= set(commands())


def test_the_command_reference_is_that_of_the_commands() -> None:
    script = "import make_cli_docs; print(make_cli_docs.reference(), end='')"
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT / "benchmarks", capture_output=True, text=True, check=True
    )
    said = "run: python benchmarks/make_cli_docs.py"
    assert finished.stdout == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), said


def test_links_within_the_project_lead_somewhere() -> None:
    for page in (*PAGES, "CHANGELOG.md", "docs/benchmarks.md", "docs/comparison.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_a_result_stands_before_line_30() -> None:
    assert re.search(r"^ 24 .*16x .* smec$", "\n".join(README.splitlines()[:30]), flags=re.MULTILINE)
