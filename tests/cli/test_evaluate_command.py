"""What ``smec evaluate`` prints on new and on seen documents, to a pipe and to a terminal of 80 columns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from small_compressor import compressor, corpus
from smec.cli.main import app

SPLITS = {
    "test": {**{f"q{row}": [row] for row in range(12)}, "q12": [12, 0]},
    "train": {f"t{row}": [row] for row in range(5)},
}
"""Split -> query -> relevant documents: 7 test queries for new documents, 5 for seen ones, 1 for both."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    compressor().save(tmp_path / "my-model")
    return tmp_path / "my-model"


def dataset(folder: Path, splits: Mapping[str, Mapping[str, list[int]]]) -> Path:
    """Documents, and a query beside each document; the train queries have no vectors."""
    (folder / "qrels").mkdir(parents=True)
    vectors = corpus().astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.4, vectors.shape).astype(np.float32)
    for name, rows, prefix in (("corpus", vectors, "d"), ("queries", vectors + noise, "q")):
        np.save(folder / f"{name}.npy", rows)
        (folder / f"{name}.ids.txt").write_text("".join(f"{prefix}{row}\n" for row in range(len(rows))))
    for split, judged in splits.items():
        lines = [f"{query}\td{document}\t1\n" for query, of in judged.items() for document in of]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return folder


def printed(*arguments: object) -> list[str]:
    """Lines on a pipe, blanks joined."""
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert (result.exit_code, result.stderr) == (0, "")
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def on_a_terminal(columns: int, *arguments: object) -> list[str]:
    """Lines on a terminal of so many columns."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-m", "smec", "evaluate", *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs, env=environment) as program:
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


def cell(mean: float, interval: list[float]) -> str:
    low, high = (f"{bound:.3f}".removeprefix("0")[:4] for bound in interval)
    return f"{mean:.3f} [{low}, {high}]"


def change(row: Mapping[str, Any], full: Mapping[str, Any], key: str) -> str:
    return f"{100 * (row[key] / full[key] - 1):+.1f} %"


def test_new_documents_come_first_then_seen_ones_then_all_queries(model: Path, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "axes", SPLITS)
    lines = printed(folder, "--model", model)
    record = json.loads("".join(printed(folder, "--model", model, "--json")))
    assert lines[:4] == [
        "axes: 60 documents, 13 queries of split 'test'",
        "new: 7 queries for documents that were never relevant in training",
        "seen: 5 queries for documents that were all relevant in training",
        "mixed: 1 query for documents of both kinds; counted among all queries only",
    ]
    apart = lines.index("nDCG@10 for new and for seen documents; change is against the full vectors")
    together = lines.index("nDCG@10 over all 13 queries, with further measures")
    assert 3 < apart < together
    full = record["full"]
    assert len(record["results"]) == 12
    for row in record["results"]:
        method = row["method"] + (" (fallback)" if row["fallback"] else "")
        new, seen = (cell(row[f"ndcg@10_{name}"], row[f"ci_{name}"]) for name in ("new", "seen"))
        new, seen = (
            f"{text} {change(row, full, f'ndcg@10_{name}')}" for text, name in ((new, "new"), (seen, "seen"))
        )
        assert f"{method} {row['dim']} {new} {seen}" in lines[apart:together]
        start = f"{method} {row['dim']} {row['bytes']} {cell(row['ndcg@10'], row['ci'])} "
        assert any(line.startswith(start + change(row, full, "ndcg@10")) for line in lines[together:])


@pytest.mark.parametrize("codec", ["float32", "float32,float16"])
def test_a_terminal_of_80_columns_shows_every_line_whole(model: Path, tmp_path: Path, codec: str) -> None:
    folder = dataset(tmp_path / "axes", SPLITS)
    arguments = (folder, "--model", model, "--dims", "8,4" if codec == "float32" else "8", "--codec", codec)
    lines = on_a_terminal(80, *arguments)
    assert max(map(len, lines)) <= 80
    shown = [" ".join(line.split()) for line in lines]
    for entry in json.loads("".join(printed(*arguments, "--json")))["results"]:
        rows = [line for line in shown if f" {entry['dim']} " in line]
        for key, interval in (("ndcg@10_new", "ci_new"), ("ndcg@10_seen", "ci_seen"), ("ndcg@10", "ci")):
            assert any(cell(entry[key], entry[interval]) in row for row in rows), entry["method"]


def test_a_narrower_terminal_cuts_nothing(model: Path, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "axes", SPLITS)
    shown = [" ".join(line.split()) for line in on_a_terminal(40, folder, "--model", model, "--dims", "8")]
    for entry in json.loads("".join(printed(folder, "--model", model, "--dims", "8", "--json")))["results"]:
        assert any(cell(entry["ndcg@10"], entry["ci"]) in line for line in shown)


def header(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("method ")]


@pytest.mark.parametrize(
    ("splits", "said", "headers"),
    [
        (
            {"test": SPLITS["test"]},
            "the dataset has no train qrels: new and seen documents cannot be told apart",
            ["method dim bytes nDCG@10 [95 % CI] change R@100 MRR@10 p"],
        ),
        (
            {"test": SPLITS["test"], "train": {}},
            "the dataset's train qrels name no relevant document: "
            "new and seen documents cannot be told apart",
            ["method dim bytes nDCG@10 [95 % CI] change R@100 MRR@10 p"],
        ),
        (
            {"test": SPLITS["test"], "train": {"t": [50]}},
            "no query asks for seen documents only: the score on them could not be measured",
            ["method dim bytes new [95 % CI] change R@100 MRR@10 p"],
        ),
        (
            {"test": SPLITS["test"], "train": {"t": list(range(20))}},
            "no query asks for new documents only: the score on them could not be measured",
            ["method dim bytes seen [95 % CI] change R@100 MRR@10 p"],
        ),
        (
            {"test": SPLITS["test"], "train": {"t": [12]}},
            "no query asks for seen documents only: the score on them could not be measured",
            [
                "method dim new [95 % CI] change",
                "method dim bytes all [95 % CI] change R@100 MRR@10 p",
            ],
        ),
        (
            {"test": {"q12": [12, 0]}, "train": SPLITS["train"]},
            "no query asks for new documents only: the score on them could not be measured",
            ["method dim bytes all [95 % CI] change R@100 MRR@10 p"],
        ),
    ],
)
def test_what_could_not_be_measured_is_a_sentence_and_no_column(
    tmp_path: Path, splits: dict[str, dict[str, list[int]]], said: str, headers: list[str]
) -> None:
    folder = dataset(tmp_path / "axes", splits)
    lines = printed(folder, "--dims", "4", "--baselines", "pca")
    assert said in lines
    assert header(lines) == headers


def test_the_train_split_is_not_told_apart(tmp_path: Path) -> None:
    splits = {"test": SPLITS["test"], "train": {"q1": [1]}}
    lines = printed(dataset(tmp_path / "axes", splits), "--split", "train", "--baselines", "")
    assert (
        "split 'train' is the one that training learns from: new and seen documents cannot be told apart"
        in lines
    )


def test_without_qrels_the_missing_judgements_are_named(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "axes", {})
    (folder / "qrels").rmdir()
    lines = printed(folder, "--dims", "4", "--baselines", "pca")
    assert "the dataset has no qrels: new and seen documents cannot be told apart" in lines
    assert header(lines) == ["method dim bytes overlap@10 [95 % CI] change p"]
