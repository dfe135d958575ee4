"""The data that comes with smec, and ``smec demo`` from end to end."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from smec import Compressor, Dataset, evaluate
from smec.baselines import fit_baseline
from smec.cli.main import app, command
from smec.data.readers import read_vectors
from smec.demo import demo_dataset, demo_folder
from smec.evaluation import new_and_seen

ROOT = Path(__file__).resolve().parents[1]


def table(text: str) -> dict[int, list[str]]:
    """Rows of the demo's table: dims -> the other cells, split at blanks."""
    rows = [line.split() for line in text.splitlines() if re.match(r" \d+ ", line)]
    return {int(dim): cells for dim, *cells in rows}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return demo_dataset()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def run(output: Path) -> Result:
    result = CliRunner().invoke(app, ["demo", "--output", str(output)])
    assert result.exit_code == 0, result.output
    return result


def test_the_sample_has_the_questions_and_answers_it_claims(dataset: Dataset) -> None:
    assert dataset.queries is not None and dataset.queries.texts is not None
    assert (len(dataset.corpus), len(dataset.queries), dataset.dim) == (4000, 1500, 384)
    assert dataset.corpus.vectors.dtype == np.float16
    assert {split: len(dataset.judged(split)) for split in dataset.splits} == {"train": 1200, "test": 300}
    assert not set(dataset.qrels["train"]) & set(dataset.qrels["test"])
    assert set(dataset.qrels["train"]) | set(dataset.qrels["test"]) == set(dataset.queries.ids)


def test_the_sample_is_readable_text_of_at_most_240_characters(dataset: Dataset) -> None:
    assert dataset.corpus.texts is not None
    lengths = [len(text) for text in dataset.corpus.texts]
    assert min(lengths) > 0 and max(lengths) <= 240


def test_the_sample_is_small_and_attributed() -> None:
    with demo_folder() as folder:
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        attribution = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert size <= 6 * 2**20
    for said in (
        "MedQuAD",
        "Ben Abacha",
        "Demner-Fushman",
        "CC BY 4.0",
        "all-MiniLM-L6-v2",
        "What was changed",
    ):
        assert said in attribution


def test_the_demo_beats_pca_and_truncation_on_questions_it_never_saw(
    run: Result, output: Path, dataset: Dataset
) -> None:
    baselines = [fit_baseline(name, dataset, (24, 12)) for name in ("pca", "truncate")]
    found = evaluate(dataset, [Compressor.load(output / "model"), *baselines], dims=[24, 12])
    smec, rivals = found.results[:2], found.results[2:]
    for small in smec:
        beaten = [rival for rival in rivals if rival.dim == small.dim]
        assert len(beaten) == 2
        assert small.ci[0] > max(rival.metrics["nDCG@10"] for rival in beaten)


def test_the_demo_prints_what_its_model_scores(run: Result, output: Path, dataset: Dataset) -> None:
    found = evaluate(dataset, [Compressor.load(output / "model")])
    rows = table(run.stdout)
    assert list(rows) == [384, 192, 96, 48, 24, 12]
    assert float(rows[384][1]) == pytest.approx(found.full["nDCG@10"], abs=0.0006)
    for result in found.results:
        assert rows[result.dim][:2] == [str(2 * result.dim), f"{384 // result.dim}x"]
        assert float(rows[result.dim][2]) == pytest.approx(result.metrics["nDCG@10"], abs=0.0006)


def test_the_demo_says_that_no_answer_was_judged_in_training(run: Result, dataset: Dataset) -> None:
    assert new_and_seen(dataset.judged("test"), dataset.qrels["train"]).new.all()
    lines = run.stdout.splitlines()
    assert "new: 300 queries for documents that were never relevant in training" in lines
    assert "no query asks for seen documents only: the score on them could not be measured" in lines


def test_the_readme_shows_the_demo_as_it_is(run: Result) -> None:
    # Processors differ in the last bits, and training makes them a little more.
    readme = table(
        (ROOT / "README.md").read_text(encoding="utf-8").split("demo:begin")[1].split("demo:end")[0]
    )
    printed = table(run.stdout)
    assert readme.keys() == printed.keys()
    for dim, row in readme.items():
        score = 1 if dim == 384 else 2
        assert float(row[score]) == pytest.approx(float(printed[dim][score]), abs=0.03)


def test_the_demo_shows_three_searches_side_by_side_within_100_columns(run: Result) -> None:
    before_the_folder = run.stdout.split("Written to")[0]
    assert before_the_folder.count("Question: ") == 3
    assert before_the_folder.count("✓") >= 3
    assert max(map(len, before_the_folder.splitlines())) <= 100


def test_the_demo_leaves_a_dataset_a_model_and_a_compressed_corpus(
    run: Result, output: Path, dataset: Dataset
) -> None:
    assert sorted(path.name for path in output.iterdir()) == ["corpus-24.parquet", "medquad", "model"]
    assert Dataset.open(output / "medquad").fingerprint("test") == dataset.fingerprint("test")
    compressed = read_vectors(output / "corpus-24.parquet")
    assert list(compressed.ids) == list(dataset.corpus.ids)
    expected = Compressor.load(output / "model").encode(dataset.corpus.vectors, dim=24)
    np.testing.assert_allclose(compressed.vectors, expected, atol=1e-3)


def test_the_demo_names_commands_that_exist_for_own_data(run: Result) -> None:
    calls = re.findall(r"^  smec (\w+)(.*)$", run.stdout, flags=re.MULTILINE)
    assert [name for name, _ in calls] == ["train", "evaluate", "compress"]
    for name, arguments in calls:
        options = {option for parameter in command(name).params for option in parameter.opts}
        assert set(re.findall(r"(?<= )--?[a-z]+", arguments)) <= options


@pytest.mark.parametrize("kind", ["folder with other things", "file"])
def test_the_demo_replaces_nothing_but_its_own_folder(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "mine"
    kept = target if kind == "file" else target / "thesis.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("irreplaceable")
    result = CliRunner().invoke(app, ["demo", "-o", str(target)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"smec: error: {target}: ")
    assert result.stderr.count("\n") == 1
    assert kept.read_text() == "irreplaceable"
