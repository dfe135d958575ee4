"""The demo's questions and answers, most of them without their labels, and a server that judges them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from judging.judging_server import JudgingServer
from smec.cli.main import app
from smec.data import Dataset
from smec.data.qrels import read_qrels
from smec.demo import demo_dataset, demo_folder
from smec.endpoint.client import KEY_VARIABLE

HEADER = "query-id\tcorpus-id\tscore\n"
Labels = dict[str, dict[str, int]]
Run = Callable[..., Result]


@dataclass(frozen=True)
class Hidden:
    """A dataset folder, and the labels that were taken out of its train split."""

    folder: Path
    truth: Labels

    @property
    def train(self) -> Path:
        return self.folder / "qrels" / "train.tsv"

    @property
    def provenance(self) -> Path:
        return self.folder / "qrels" / "train.judged.json"

    def runs(self) -> list[dict[str, Any]]:
        """What the provenance says."""
        runs: list[dict[str, Any]] = json.loads(self.provenance.read_text())["runs"]
        return runs

    def files(self) -> set[str]:
        """Names of what lies in ``qrels/``."""
        return {path.name for path in (self.folder / "qrels").iterdir()}


@pytest.fixture(scope="session")
def demo() -> Dataset:
    return demo_dataset()


@pytest.fixture
def server(demo: Dataset, monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgingServer]:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with JudgingServer(demo.corpus.texts or ()) as running:
        yield running


def labels_of(folder: Path, shown: int, hidden: int) -> tuple[Labels, Labels]:
    """The first ``shown`` train queries with their labels, and the ``hidden`` ones behind them."""
    labels = list(read_qrels(folder / "qrels" / "train.tsv").items())
    return dict(labels[:shown]), dict(labels[shown : shown + hidden])


def write_labels(path: Path, labels: Mapping[str, Mapping[str, int]]) -> None:
    rows = [f"{query}\t{d}\t{grade}\n" for query, judged in labels.items() for d, grade in judged.items()]
    path.write_text(HEADER + "".join(rows), encoding="utf-8")


def hide(target: Path, shown: int, hidden: int) -> Hidden:
    """Copy the demo; all train queries but ``shown`` and ``hidden`` ones go into another split."""
    with demo_folder() as source:
        shutil.copytree(source, target)
    kept, truth = labels_of(target, shown, hidden)
    rest = {
        q: of for q, of in read_qrels(target / "qrels" / "train.tsv").items() if q not in {**kept, **truth}
    }
    write_labels(target / "qrels" / "train.tsv", kept)
    write_labels(target / "qrels" / "dev.tsv", rest)
    return Hidden(target, truth)


@pytest.fixture
def small(tmp_path: Path) -> Hidden:
    """Twelve queries to judge, and none to calibrate on."""
    made = hide(tmp_path / "demo", 0, 12)
    made.train.unlink()
    return made


@pytest.fixture
def run(server: JudgingServer) -> Run:
    """Runs ``smec judge`` on a folder, with the server as endpoint."""

    def judge(folder: Path, *words: object) -> Result:
        given = [folder, "--endpoint", server.url, "--model", "bm25", *words]
        return CliRunner().invoke(app, ["judge", *map(str, given)])

    return judge


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("smec: error: ")
    assert message in line
