"""``smec adapt``: a table of what queries gained, stored vectors that stay valid, errors on one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from smec import Compressor, Dataset, train
from smec.cli.main import app
from synthetic_data import SIZES, WIDTH, asked_from_elsewhere, at_random, quick
from training_data import write_dataset

SETTINGS = {
    "optimiser": {"steps": 60, "batch": 32, "negatives": 64},
    "validation": {"every": 20, "folds": 2},
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def prepared(folder: Path, dataset: Dataset) -> Path:
    """Write a dataset, a compressor that was trained on it without labels, and quick settings."""
    write_dataset(folder / "data", dataset)
    train(dataset, config=quick(supervised=False)).save(folder / "model")
    (folder / "quick.json").write_text(json.dumps(SETTINGS), "utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("adapt"), asked_from_elsewhere())


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    return adapted(folder, folder / "better")


def adapted(folder: Path, output: Path, *options: object) -> Result:
    return run(
        "adapt", folder / "model", folder / "data", "-o", output, "--config", folder / "quick.json", *options
    )


def write_log(file: Path, vectors: object) -> Path:
    table = np.asarray(vectors)
    column = pa.FixedSizeListArray.from_arrays(pa.array(table.ravel()), table.shape[1])
    pq.write_table(pa.table({"id": [f"log-{row}" for row in range(len(table))], "vector": column}), file)
    return file


def assert_refused(result: Result, said: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("smec: error: ") and result.stderr.count("\n") == 1
    assert said in result.stderr


def plain(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_it_prints_new_documents_first_and_what_to_do_next(result: Result, folder: Path) -> None:
    assert result.exit_code == 0, result.output
    lines = plain(result.stdout)
    assert lines[0] == "ndcg@10 on new documents (300 held-out train queries)"
    record = Compressor.load(folder / "better").manifest.adaptations[-1]
    for size in record.sizes:
        assert size.new is not None
        start = f"{size.dim} {size.new.full:.3f} {size.new.before:.3f} {size.new.own:.3f} "
        assert any(line.startswith(start) and line.endswith(" own") for line in lines), start
    assert "found: 400 queries, 300 of them judged" in lines
    before = Compressor.load(folder / "model")
    assert f"stored vectors stay valid: fingerprint {before.fingerprint[:12]} as before" in lines
    assert lines[-1] == (
        f"next: smec evaluate {folder / 'data'} --model {folder / 'better'} --model {folder / 'model'}"
    )
    assert all(len(line) <= 80 for line in result.stdout.splitlines() if str(folder) not in line)


def test_stored_vectors_are_searched_with_the_new_queries(result: Result, folder: Path) -> None:
    assert result.exit_code == 0
    before, after = (Compressor.load(folder / name) for name in ("model", "better"))
    corpus = Dataset.open(folder / "data").corpus.vectors
    for dim in SIZES:
        np.testing.assert_array_equal(after.encode(corpus, dim), before.encode(corpus, dim))
    assert after.own_queries == SIZES


def test_inspect_tells_what_a_compressor_was_adapted_to(result: Result, folder: Path) -> None:
    assert result.exit_code == 0
    shown = run("inspect", folder / "better")
    fingerprint = Compressor.load(folder / "model").query_fingerprint[:12]
    assert f"adapted 400 queries, 300 of them judged, from {fingerprint}" in plain(shown.stdout)
    assert "ndcg@10 on new documents (300 held-out train queries)" in shown.stdout
    assert "adapted" not in run("inspect", folder / "model").stdout
    assert json.loads(run("inspect", folder / "better", "--json").stdout)["adaptations"][0]["judged"] == 300


def test_json_has_the_figures(folder: Path, tmp_path: Path) -> None:
    shown = json.loads(adapted(folder, tmp_path / "out", "--json").stdout)
    assert shown["own_queries"] == list(SIZES)
    assert shown["fingerprint"] == Compressor.load(folder / "model").fingerprint
    assert shown["query_fingerprint"] == Compressor.load(tmp_path / "out").query_fingerprint
    assert [size["ships"] for size in shown["adaptation"]["sizes"]] == ["own", "own"]


def test_a_log_teaches_beside_judgements_and_without_them(folder: Path, tmp_path: Path) -> None:
    asked = np.asarray(asked_from_elsewhere().judged("test").vectors)
    log = write_log(tmp_path / "log.parquet", asked + np.float32(0.01))
    with_labels = adapted(folder, tmp_path / "both", "--queries", log)
    assert "found: 500 queries, 300 of them judged" in with_labels.stdout
    without = adapted(folder, tmp_path / "log-only", "--queries", log, "--unsupervised")
    assert without.exit_code == 0, without.output
    assert "found: 500 queries, 0 of them judged" in without.stdout
    assert without.stdout.startswith("overlap@10 on 75 held-out queries, no label read")


def test_what_does_not_gain_is_written_as_it_was_with_a_warning_or_not_at_all(tmp_path: Path) -> None:
    folder = prepared(tmp_path, at_random())
    result = adapted(folder, folder / "out")
    assert result.exit_code == 0, result.output
    assert "warning: queries of 8, 4 stay as they were: " in result.stderr
    before, after = (Compressor.load(folder / name) for name in ("model", "out"))
    assert (after.fingerprint, after.query_fingerprint) == (before.fingerprint, before.query_fingerprint)
    strict = adapted(folder, folder / "strict", "--strict")
    assert strict.exit_code == 3
    assert "sizes that stay as they were: 8, 4; --strict forbids it" in strict.stderr
    assert not (folder / "strict").exists()


def test_unusable_input_is_told_on_one_line_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert_refused(adapted(folder, tmp_path / "there"), "exists already")
    out = tmp_path / "out"
    assert_refused(adapted(folder, out, "--queries", tmp_path / "no.parquet"), "no.parquet")
    narrow = write_log(tmp_path / "narrow.parquet", np.ones((20, WIDTH - 1), np.float32))
    assert_refused(adapted(folder, out, "--queries", narrow), f"the log of queries has {WIDTH - 1} dims")
    assert_refused(adapted(folder, out, "--corpus", "closed"), "corpus")
    assert_refused(run("adapt", folder / "data", folder / "data", "-o", out), "not a compressor folder")
    queries = asked_from_elsewhere(judged=3)
    write_dataset(tmp_path / "few", queries)
    assert_refused(
        run("adapt", folder / "model", tmp_path / "few", "-o", out),
        "judge 4 at least, or train without labels",
    )
    assert not out.exists()


@pytest.mark.parametrize("field", [{"dims": [4]}, {"candidates": ["distilled"]}, {"supervised": False}])
def test_a_field_of_the_file_that_would_have_no_effect_is_refused(
    field: dict[str, object], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.json").write_text(json.dumps(field), "utf-8")
    out = tmp_path / "out"
    result = run("adapt", folder / "model", folder / "data", "-o", out, "--config", tmp_path / "own.json")
    assert_refused(result, f"own.json: {next(iter(field))}: ")
    assert not out.exists()
