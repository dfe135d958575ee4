"""``smec train`` and ``smec inspect``: new documents first, then seen ones, and what was not measured."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smec import Compressor, Dataset
from smec.cli.main import app
from smec.cli.tables import score_cell
from synthetic_data import QUICK, around_a_mean, in_a_chain, learnable, memorable, of_one_document
from training_data import write_dataset

SETTINGS = {**QUICK, "optimiser": {**QUICK["optimiser"], "steps": 20}}
LABELS = {**SETTINGS, "start": "pca", "candidates": ["distilled", "tempered"]}
"""Labels alone, without the map that needs none."""
NEW = "ndcg@10 on new documents (240 held-out train queries)"
SEEN = "ndcg@10 on documents judged in training (60 held-out train queries)"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def trained(dataset: Dataset, folder: Path, *options: object, settings: dict[str, Any] = SETTINGS) -> Result:
    """Write a dataset into ``folder`` and train ``folder / model`` on it by the command."""
    write_dataset(folder / "data", dataset)
    (folder / "quick.json").write_text(json.dumps(settings), "utf-8")
    arguments = ("train", folder / "data", "-o", folder / "model", "--config", folder / "quick.json")
    return run(*arguments, *options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learnable")


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    return trained(learnable(), folder)


def plain(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_new_documents_come_first_then_the_seen_ones(result: Result, folder: Path) -> None:
    assert result.exit_code == 0, result.output
    lines = plain(result.stdout)
    assert lines[0] == NEW
    assert 0 < lines.index(SEEN)
    validation = Compressor.load(folder / "model").manifest.validation
    assert validation is not None
    for title, group in ((NEW, "new"), (SEEN, "seen")):
        place = lines.index(title)
        for size in validation.sizes:
            of = getattr(size, group)
            start = f"{size.dim} {4 * size.dim} {of.full:.3f} {score_cell(of.smec, of.ci)} {of.pca:.3f} "
            assert any(line.startswith(start) for line in lines[place : place + 8]), (title, start)


def test_json_has_the_groups_and_how_the_queries_were_parted(tmp_path: Path) -> None:
    record = json.loads(trained(in_a_chain(), tmp_path, "--json").stdout)["validation"]
    assert (record["corpus"], record["folds"]) == ("growing", 2)
    assert record["candidate"] in ("unlabelled", "distilled", "tempered") and record["removed"] > 0
    for size in record["sizes"]:
        assert size["new"]["queries"] == 80
        assert size["queries"] == record["queries"] == 80 + size["seen"]["queries"]
        for group in (size, size["new"], size["seen"]):
            assert {"full", "smec", "ci", "pca", "pca_centred", "spectemp", "truncate", "shipped"} <= set(
                group
            )


def test_inspect_and_the_card_show_both_groups(result: Result, folder: Path) -> None:
    shown = run("inspect", folder / "model").stdout
    measured = result.stdout.split("saved: ")[0]
    assert shown.endswith(measured)
    card = (folder / "model" / "README.md").read_text("utf-8").splitlines()
    assert card.index(f"{NEW}:") < card.index(f"{SEEN}:")
    record = json.loads(run("inspect", folder / "model", "--json").stdout)["validation"]
    assert [size["new"]["queries"] for size in record["sizes"]] == [240, 240]


ONE_GROUP = "To keep held-out documents out of training, a fold leaves out "
ALL_NEW = "Not measured: documents judged in training. No query shares all its documents with others."
ONE_DOCUMENT = "Not measured: new documents. Every held-out query asks for documents judged in training."


@pytest.mark.parametrize(
    ("make", "said"),
    [(in_a_chain, ONE_GROUP), (around_a_mean, ALL_NEW), (of_one_document, ONE_DOCUMENT)],
    ids=["one group", "all new", "one document"],
)
def test_what_was_not_measured_is_said(make: Callable[[], Dataset], said: str, tmp_path: Path) -> None:
    result = trained(make(), tmp_path)
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    others = {ONE_GROUP, ALL_NEW, ONE_DOCUMENT} - {said}
    assert not any(other in result.stdout for other in others)
    assert said in (tmp_path / "model" / "README.md").read_text("utf-8")
    assert said in run("inspect", tmp_path / "model").stdout


def test_one_document_for_all_queries_ships_baselines_and_strict_refuses_them(tmp_path: Path) -> None:
    result = trained(of_one_document(), tmp_path, settings=LABELS)
    fallbacks = Compressor.load(tmp_path / "model").fallbacks
    assert set(fallbacks) == {8, 4} and "smec" not in fallbacks.values()
    assert "on new documents" not in result.stdout
    assert result.stderr.count("too few held-out queries ask for new documents") == 2
    arguments = ("train", tmp_path / "data", "--config", tmp_path / "quick.json", "--strict")
    assert run(*arguments, "-o", tmp_path / "strict").exit_code == 3


def test_a_size_that_falls_back_says_why(tmp_path: Path) -> None:
    result = trained(memorable(), tmp_path, settings=LABELS)
    validation = Compressor.load(tmp_path / "model").manifest.validation
    assert validation is not None
    told = {
        True: "training is below PCA on held-out new documents",
        False: "training was not significantly better there",
    }
    assert all(size.new is not None and size.method != "smec" for size in validation.sizes)
    below = {size.dim: size.new is not None and size.new.smec < size.new.pca for size in validation.sizes}
    assert any(below.values())
    for size in validation.sizes:
        assert f"warning: size {size.dim} is {size.method}: {told[below[size.dim]]}" in result.stderr
    shown = " ".join(result.stdout.split())
    feedback = Compressor.load(tmp_path / "model").manifest.feedback
    assert feedback is not None and (feedback.queries_seen, feedback.queries_new) == (300, 240)
    assert f"that it moves from {feedback.seen_before:.4f} to {feedback.seen_after:.4f} (300 queries" in shown
    assert f"from {feedback.new_before:.4f} to {feedback.new_after:.4f} with it (240 queries)" in shown


def test_a_fixed_corpus_is_named_and_let_all_queries_decide(tmp_path: Path) -> None:
    result = trained(memorable(), tmp_path, "--corpus", "fixed")
    assert result.exit_code == 0, result.output
    assert "The corpus was declared fixed: queries held out one by one decided." in result.stdout
    validation = Compressor.load(tmp_path / "model").manifest.validation
    assert validation is not None and validation.corpus == "fixed"
    assert {size.method for size in validation.sizes} == {"smec"}
    # What decided comes first, then what that does to new documents.
    decided = f"ndcg@10 on the {validation.queries} held-out train queries that decided"
    lines = plain(result.stdout)
    assert lines[0] == decided
    assert any(line.startswith("ndcg@10 on new documents (") for line in lines[1:])
    refused = run("train", tmp_path / "data", "-o", tmp_path / "none", "--corpus", "shrinking")
    assert refused.exit_code == 2
    assert "corpus: Input should be 'growing' or 'fixed'" in refused.stderr


@pytest.mark.parametrize("make", [in_a_chain, of_one_document])
def test_a_terminal_of_80_columns_shows_every_line_whole(make: Callable[[], Dataset], tmp_path: Path) -> None:
    assert trained(make(), tmp_path, "--codec", "int8").exit_code == 0
    lines = on_a_terminal(80, "inspect", "model", folder=tmp_path)
    measured = lines[next(n for n, line in enumerate(lines) if line.startswith("ndcg@10 on ")) :]
    assert max(map(len, measured)) <= 80
    said = " ".join(" ".join(measured).split())
    for line in plain(run("inspect", tmp_path / "model").stdout)[-10:]:
        assert re.sub(r"─+", "", line) in re.sub(r"─+", "", said)


def on_a_terminal(columns: int, *arguments: str, folder: Path) -> list[str]:
    """Lines of a command on a terminal of so many columns."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-m", "smec", *arguments]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.PIPE, env=environment, cwd=folder
    ) as program:
        os.close(theirs)
        shown = b""
        while block := _read(ours):
            shown += block
    os.close(ours)
    assert program.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        return b""
