"""``--dry-run``: counts, bytes, memory and time of a run, and nothing that is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from smec.cli.dry_run import size
from smec.cli.guess import guess_reading, guess_training, product_rate
from smec.cli.main import app
from smec.config import build_config
from smec.data.preview import open_preview
from training_data import SHORT, small_dataset, write_dataset

FIELDS = {"dry_run", "rows", "width", "queries", "bytes_in", "bytes_out", "memory", "seconds", "measured"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, a configuration and a compressor."""
    folder = tmp_path_factory.mktemp("dry")
    write_dataset(folder / "data", small_dataset())
    judged = small_dataset().qrels["test"].items()
    lines = [f"{query}\t{document}\t{grade}\n" for query, of in judged for document, grade in of.items()]
    (folder / "data" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    (folder / "short.json").write_text(json.dumps({**SHORT, "optimiser": {"steps": 10, "batch": 16}}))
    trained = run("train", folder / "data", "-o", folder / "model", "--config", folder / "short.json")
    assert trained.exit_code == 0, trained.output
    return folder


def measured(place: Path, *arguments: object) -> dict[str, Any]:
    """The JSON of a dry run; nothing near the data has changed."""
    before = everything(place)
    result = run(*arguments, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    assert everything(place) == before
    ahead: dict[str, Any] = json.loads(result.stdout)
    assert set(ahead) == FIELDS
    assert ahead["dry_run"] is True
    assert ahead["seconds"] > 0
    assert ahead["memory"] is None or ahead["memory"] > 1e6
    return ahead


# Without judgements two questions of the same text are one.
@pytest.mark.parametrize(
    ("options", "queries"), [([], 150), (["--unsupervised"], 149), (["--preset", "paper"], 150)]
)
def test_a_training_says_what_it_reads_and_writes(place: Path, options: list[str], queries: int) -> None:
    out = place / "other"
    config = place / "steps.json"
    config.write_text(json.dumps({"optimiser": {"steps": 12, "batch": 16, "negatives": 32}}))
    ahead = measured(
        place, "train", place / "data", "-o", out, "--dims", "48,24", "--config", config, *options
    )
    dataset = small_dataset()
    assert (ahead["rows"], ahead["width"]) == (len(dataset.corpus), dataset.dim)
    assert ahead["bytes_in"] == bytes_in(place / "data")
    assert ahead["bytes_out"] == 4 * dataset.dim * 48
    assert ahead["queries"] == queries
    assert not out.exists()


def test_a_training_of_few_steps_is_measured_too(place: Path) -> None:
    config = place / "few.json"
    config.write_text(json.dumps({**SHORT, "optimiser": {"steps": 2, "passes": 0.0, "batch": 16}}))
    assert measured(place, "train", place / "data", "-o", place / "other", "--config", config)["rows"] > 0


def test_a_training_that_would_refuse_refuses(place: Path) -> None:
    cases = {
        "no such folder": (place / "none", "-o", place / "other"),
        "exists already": (place / "data", "-o", place / "model"),
        "is not a size": (place / "data", "-o", place / "other", "--dims", "x"),
    }
    for said, arguments in cases.items():
        real, dry = run("train", *arguments), run("train", *arguments, "--dry-run")
        assert (dry.exit_code, dry.stdout) == (2, "")
        assert said in dry.stderr
        assert dry.stderr == real.stderr


def test_an_empty_folder_is_no_dataset(place: Path, tmp_path: Path) -> None:
    for arguments in (
        ("train", tmp_path, "-o", place / "other"),
        ("evaluate", tmp_path, "-m", place / "model"),
        ("report", place / "model", tmp_path, "-o", place / "page.html"),
        ("compress", place / "model", tmp_path, "-o", place / "small"),
    ):
        real, dry = run(*arguments), run(*arguments, "--dry-run")
        assert (dry.exit_code, dry.stdout, dry.stderr) == (2, "", real.stderr)
        assert str(tmp_path) in dry.stderr


def test_a_training_on_a_collection_cannot_be_measured(place: Path) -> None:
    url = f"lancedb://{place}/base#table"
    result = run("train", url, "--unsupervised", "-o", place / "other", "--dry-run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a collection would have to be read whole" in result.stderr


@pytest.mark.parametrize("name", ["small.parquet", "small.npy", "shards"])
def test_a_compression_says_its_bytes(place: Path, name: str) -> None:
    source = place / "data" / "corpus.parquet"
    ahead = measured(
        place, "compress", place / "model", source, "-o", place / name, "--dim", 24, "--codec", "int8"
    )
    rows = len(small_dataset().corpus)
    assert (ahead["rows"], ahead["width"], ahead["queries"]) == (rows, 384, None)
    assert (ahead["bytes_in"], ahead["bytes_out"]) == (source.stat().st_size, 24 * rows)


def test_a_compression_that_would_refuse_refuses(place: Path, tmp_path: Path) -> None:
    source = place / "data" / "corpus.parquet"
    (tmp_path / "there.parquet").write_text("something")
    for arguments in (
        (source, "-o", tmp_path / "there.parquet"),
        (tmp_path / "none.parquet", "-o", tmp_path / "new.parquet"),
        (source, "-o", tmp_path / "new.parquet", "--dim", 7),
        (source, "-o", tmp_path),
    ):
        command = ("compress", place / "model", *arguments)
        real, dry = run(*command), run(*command, "--dry-run")
        assert (dry.exit_code, dry.stderr) == (2, real.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["there.parquet"]


def test_an_evaluation_says_what_it_searches(place: Path) -> None:
    ahead = measured(place, "evaluate", place / "data", "-m", place / "model")
    assert (ahead["rows"], ahead["width"], ahead["queries"]) == (len(small_dataset().corpus), 384, 40)
    assert (ahead["bytes_in"], ahead["bytes_out"]) == (bytes_in(place / "data"), 0)
    assert ahead["measured"] == "searches of a part; 10 in all"  # full, and three sizes of three methods


def test_a_report_counts_its_searches(place: Path) -> None:
    before = everything(place)
    page = place / "page.html"
    result = run("report", place / "model", place / "data", "-o", page, "--dry-run")
    assert result.exit_code == 0, result.output
    assert everything(place) == before
    lines = result.stdout.splitlines()
    assert lines[0] == f"rows: {len(small_dataset().corpus):,} of 384 dims, 40 queries"
    assert lines[1].startswith(f"bytes: {size(bytes_in(place / 'data'))} in, about ")
    assert lines[3].startswith("time: about ")
    # Full, and three methods: three sizes as float32, float16, int8 and int4, two of them as binary.
    assert lines[3].endswith("measured on searches of a part; 43 in all")
    assert lines[4] == "dry run: nothing was written"


def test_a_large_corpus_is_measured_on_its_first_rows(place: Path) -> None:
    whole = small_dataset()
    preview = open_preview(place / "data", 200)
    assert preview.rows == len(whole.corpus)
    assert len(preview.dataset.corpus) == 200
    assert preview.further >= 0
    # All its judgements are there, under the first rows.
    assert len(preview.dataset.judged("train")) == len(whole.judged("train"))
    np.testing.assert_array_equal(preview.dataset.corpus.vectors, whole.corpus.vectors[:200])


def test_a_training_on_a_sample_says_the_rows_of_the_whole(place: Path) -> None:
    config = place / "pool.json"
    config.write_text(json.dumps({**SHORT, "pool": 200}))
    ahead = measured(place, "train", place / "data", "-o", place / "other", "--config", config)
    assert ahead["rows"] == len(small_dataset().corpus)


def test_a_guess_grows_with_the_steps_and_the_sizes(place: Path) -> None:
    def guess(**fields: Any) -> float:
        seconds = guess_training(place / "data", build_config("default", **fields), rate=1e9)
        assert seconds is not None
        return seconds

    assert guess(dims=(96,)) > guess(dims=(24,))
    assert guess(optimiser={"steps": 400}) > guess(optimiser={"steps": 100})
    assert guess() > guess(validation={"folds": 1})
    assert guess_training(place / "none", build_config("default")) is None
    assert guess_reading(place / "data", build_config("default"), rate=1e9) == 0.0
    assert guess_reading(place / "data", build_config("default", pool=200), rate=1e9) > 0.0


def test_the_rate_of_products_is_the_median_of_five() -> None:
    times = iter([0, 9, 10, 11, 20, 22, 30, 31, 40, 42])  # seconds 9, 1, 2, 1, 2
    assert product_rate(lambda: float(next(times))) == 2 * 1024 * 512 * 512 / 2


def test_bytes_are_written_as_a_person_would() -> None:
    assert [size(n) for n in (17, 1500, 22_235_229, 3_072_000_000)] == [
        "17 bytes",
        "1.5 kB",
        "22.2 MB",
        "3.1 GB",
    ]
