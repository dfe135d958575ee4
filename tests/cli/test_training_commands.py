"""``smec train`` and ``smec extend``: the artefact, its JSON, refusals, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from smec import Compressor, Dataset
from smec.card import best_other
from smec.cli.main import app
from smec.cli.tables import score_cell
from smec.demo import demo_dataset

DIMS = (96, 24)
QUICK = {
    "optimiser": {"steps": 20, "batch": 32, "negatives": 64},
    "validation": {"every": 10},
    "memory": {"size": 256},
}
LITTLE = {
    **QUICK,
    "candidates": [],
    "optimiser": {"steps": 1, "learning_rate": 1e-9},
    "distillation": {"learning_rate": 1e-9, "passes": 0},
    "tempering": 0.0,
}
"""Learns nothing, so that no size can be better than PCA."""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def written(file: Path, document: object) -> Path:
    file.write_text(json.dumps(document), "utf-8")
    return file


def save_dataset(folder: Path) -> Path:
    """The first questions of the demo with their answers, as a dataset folder."""
    whole = demo_dataset()
    assert whole.queries is not None
    judged = {split: dict(list(qrels.items())[:150]) for split, qrels in whole.qrels.items()}
    documents = sorted({d for qrels in judged.values() for grades in qrels.values() for d in grades})
    questions = [query for qrels in judged.values() for query in qrels]
    (folder / "qrels").mkdir(parents=True)
    for name, table, ids in (("corpus", whole.corpus, documents), ("queries", whole.queries, questions)):
        np.save(folder / f"{name}.npy", table.vectors[[table.row(id_) for id_ in ids]])
        (folder / f"{name}.ids.txt").write_text("".join(f"{id_}\n" for id_ in ids), "utf-8")
    for split, qrels in judged.items():
        lines = [f"{query}\t{d}\t{grade}\n" for query, grades in qrels.items() for d, grade in grades.items()]
        (folder / "qrels" / f"{split}.tsv").write_text(
            "query-id\tcorpus-id\tscore\n" + "".join(lines), "utf-8"
        )
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dataset(tmp_path_factory.mktemp("data") / "medquad-part")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("config") / "quick.json", QUICK)


@pytest.fixture(scope="module")
def trained(dataset: Path, quick: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    model = tmp_path_factory.mktemp("models") / "model"
    dims = ",".join(map(str, DIMS))
    return model, run("train", dataset, "-o", model, "--dims", dims, "--config", quick, "--seed", 4)


def assert_refused(result: Result, message: str, exit_code: int = 2) -> None:
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert result.stderr.startswith("smec: error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_train_writes_a_compressor_of_the_configuration_given(trained: tuple[Path, Result]) -> None:
    model, result = trained
    assert result.exit_code == 0, result.output
    small = Compressor.load(model)
    assert (small.dims, small.input_dim, small.manifest.supervised) == (DIMS, 384, True)
    assert small.manifest.training["seed"] == 4
    assert small.manifest.training["optimiser"]["steps"] == 20
    assert small.manifest.data["name"] == "medquad-part"
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_train_prints_what_was_measured_and_what_to_do_next(
    trained: tuple[Path, Result], dataset: Path
) -> None:
    model, result = trained
    validation = Compressor.load(model).manifest.validation
    assert validation is not None
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "ndcg@10 on new documents (150 held-out train queries)" in lines
    for size in validation.sizes:
        scores = f"{score_cell(size.smec, size.ci)} {size.pca:.3f} {best_other(size, digits=3)}"
        assert f"{size.dim} {4 * size.dim} {size.full:.3f} {scores} {size.method}" in lines
    assert all(size.new is not None and size.new.smec == size.smec for size in validation.sizes)
    assert any(line.startswith(f"saved: {model} (96, 24 dims") for line in lines)
    assert f"next: smec evaluate {dataset} --model {model}" in lines


def test_the_same_seed_gives_the_same_compressor_and_json_says_what_it_is(
    trained: tuple[Path, Result], dataset: Path, quick: Path, tmp_path: Path
) -> None:
    arguments = ("train", dataset, "--dims", "96,24", "--config", quick, "--json")
    again = run(*arguments, "-o", tmp_path / "again", "--seed", 4)
    record = json.loads(again.stdout)
    same = Compressor.load(tmp_path / "again")
    assert set(record) == {"model", "dims", "validation", "choice", "fallbacks", "seconds"}
    assert (record["model"], record["dims"]) == (str(tmp_path / "again"), [96, 24])
    assert same.manifest.validation is not None
    assert record["validation"] == same.manifest.validation.model_dump(mode="json")
    assert record["fallbacks"] == {str(dim): method for dim, method in same.fallbacks.items()}
    assert record["seconds"] > 0
    assert same.fingerprint == Compressor.load(trained[0]).fingerprint
    run(*arguments, "-o", tmp_path / "other", "--seed", 5)
    assert Compressor.load(tmp_path / "other").fingerprint != same.fingerprint


def test_unsupervised_training_looks_at_no_labels(dataset: Path, quick: Path, tmp_path: Path) -> None:
    bare = without_queries(dataset, tmp_path / "bare")
    result = run(
        "train", bare, "-o", tmp_path / "m", "--unsupervised", "--dims", "24", "--config", quick, "--json"
    )
    record = json.loads(result.stdout)
    assert record["validation"]["metric"] == "overlap@10"
    assert Compressor.load(tmp_path / "m").manifest.supervised is False
    assert_refused(run("train", bare, "-o", tmp_path / "n", "--dims", "24"), "train")


@pytest.fixture(scope="module")
def log(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its train queries and two more copies of each, as they stand in a log."""
    rows = np.tile(np.load(dataset / "queries.npy")[:150], (3, 1))
    return numbered(tmp_path_factory.mktemp("log") / "log.npy", rows)


def numbered(file: Path, rows: np.ndarray) -> Path:
    """A .npy file, and the numbers of its rows as ids beside it."""
    np.save(file, rows)
    file.with_name(f"{file.stem}.ids.txt").write_text("".join(f"{n}\n" for n in range(len(rows))), "utf-8")
    return file


def without_queries(dataset: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("corpus.npy", "corpus.ids.txt"):
        shutil.copy(dataset / name, folder)
    return folder


def test_a_log_of_queries_teaches_without_labels(
    dataset: Path, log: Path, quick: Path, tmp_path: Path
) -> None:
    bare = without_queries(dataset, tmp_path / "bare")
    result = run(
        *("train", bare, "-o", tmp_path / "m", "--unsupervised", "--dims", "24", "--config", quick),
        *("--queries", log),
    )
    assert result.exit_code == 0, result.output
    assert "overlap@10 on 30 held-out queries" in result.stdout
    assert "found: 150 queries, 0 of them judged; " in result.stdout
    assert "log" in Compressor.load(tmp_path / "m").manifest.data


def test_a_log_in_shards_and_one_without_ids_teach_the_same(
    dataset: Path, log: Path, quick: Path, tmp_path: Path
) -> None:
    bare = without_queries(dataset, tmp_path / "bare")
    rows = np.load(log)
    np.save(tmp_path / "bare.npy", rows)
    shards = tmp_path / "shards"
    shards.mkdir()
    for name, part in (("a", rows[:200]), ("b", rows[200:])):
        pq.write_table(pa.table({"vector": list(part)}), shards / f"{name}.parquet")
    words = ("train", bare, "--unsupervised", "--dims", "24", "--config", quick)
    made = []
    for number, file in enumerate((log, tmp_path / "bare.npy", shards)):
        result = run(*words, "-o", tmp_path / f"m{number}", "--queries", file)
        assert result.exit_code == 0, result.output
        made.append(Compressor.load(tmp_path / f"m{number}"))
    assert len({model.fingerprint for model in made}) == 1
    assert len({model.manifest.data["log"] for model in made}) == 1


def test_a_log_that_cannot_be_learned_from_is_refused_in_one_line(
    dataset: Path, log: Path, tmp_path: Path
) -> None:
    bare = without_queries(dataset, tmp_path / "bare")
    wide = numbered(tmp_path / "wide.npy", np.ones((9, 5), dtype=np.float32))
    rows = np.array(np.load(log))
    one = numbered(tmp_path / "one.npy", np.repeat(rows[:1], 30, axis=0))
    cut = numbered(tmp_path / "cut.npy", rows)
    cut.write_bytes(cut.read_bytes()[:-100])
    rows[3, 2] = np.nan
    broken = numbered(tmp_path / "broken.npy", rows)
    for file, message in (
        (tmp_path / "none.npy", "none.npy: no such file"),
        (bare, "holds a dataset, not the shards of a log; name the file of its queries"),
        (one, "one.npy: only 1 different queries without judgements, in 30 rows"),
        (wide, "the log of queries has 5 dims, but the corpus 384"),
        (broken, "row 3"),
        (cut, "cut.npy"),
    ):
        refused = run("train", bare, "-o", tmp_path / "m", "--unsupervised", "--queries", file)
        assert_refused(refused, message)
    refused = run("train", dataset, "-o", tmp_path / "m", "--queries", log, "--preset", "paper")
    assert_refused(refused, "does not learn from queries without judgements: leave the log out")
    assert not (tmp_path / "m").exists()


def test_strict_writes_nothing_where_a_size_falls_back(dataset: Path, tmp_path: Path) -> None:
    little = written(tmp_path / "little.json", LITTLE)
    arguments = ("train", dataset, "--dims", "24", "--config", little, "-o")
    result = run(*arguments, tmp_path / "model")
    assert result.exit_code == 0
    (method,) = Compressor.load(tmp_path / "model").fallbacks.values()
    assert f"warning: size 24 is {method}" in result.stderr
    assert_refused(run(*arguments, tmp_path / "strict", "--strict"), f"24 ({method})", exit_code=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["little.json", "model"]


def test_train_refuses_before_it_reads_anything(
    trained: tuple[Path, Result], dataset: Path, tmp_path: Path
) -> None:
    assert_refused(run("train", tmp_path / "none", "-o", trained[0]), "exists already")
    out = ("-o", tmp_path / "out")
    assert_refused(run("train", tmp_path / "none", *out), "none")
    assert_refused(run("train", dataset, *out, "--preset", "fast"), "preset 'fast' is unknown")
    assert_refused(run("train", dataset, *out, "--dims", "24,x"), "'x' is not a size")
    assert_refused(run("train", dataset, *out, "--dims", "24,96"), "sizes must descend")
    assert_refused(run("train", dataset, *out, "--dims", "999"), "between 1 and the embeddings' 384")
    assert_refused(run("train", dataset, *out, "--config", tmp_path / "no.json"), "no.json: cannot be read")
    assert list(tmp_path.iterdir()) == []


def test_force_replaces_the_output(dataset: Path, quick: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old.txt").write_text("old")
    arguments = ("train", dataset, "-o", tmp_path / "model", "--dims", "24", "--config", quick)
    assert_refused(run(*arguments), "exists already")
    assert run(*arguments, "--force").exit_code == 0
    assert Compressor.load(tmp_path / "model").dims == (24,)
    assert not (tmp_path / "model" / "old.txt").exists()


def test_extend_adds_a_size_and_changes_no_other(
    trained: tuple[Path, Result], dataset: Path, quick: Path, tmp_path: Path
) -> None:
    model = trained[0]
    arguments = ("extend", model, dataset, "--dim", 12, "--config", quick)
    result = run(*arguments, "-o", tmp_path / "new", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["dims"] == [96, 24, 12]
    before, after = Compressor.load(model), Compressor.load(tmp_path / "new")
    rows = Dataset.open(dataset).corpus.vectors[:50]
    for dim in DIMS:
        np.testing.assert_array_equal(after.encode(rows, dim), before.encode(rows, dim))
    shrunk = after.shrink(before.encode(rows, 24), 12)
    np.testing.assert_allclose(shrunk, after.encode(rows, 12), atol=1e-5)
    assert_refused(run(*arguments, "-o", tmp_path / "new"), "exists already")
    assert_refused(run("extend", model, dataset, "--dim", 48, "-o", tmp_path / "bad"), "48")


@pytest.mark.parametrize("pool", [100_000, 250])
def test_an_interrupted_training_says_how_to_continue_and_does(
    pool: int, dataset: Path, tmp_path: Path
) -> None:
    long = {
        "pool": pool,
        "candidates": [],
        "optimiser": {**QUICK["optimiser"], "steps": 1500},
        "validation": {"every": 50, "patience": 30, "folds": 1},
    }
    config = written(tmp_path / "long.json", {**QUICK, **long})
    arguments = ["train", str(dataset), "--dims", "24", "--config", str(config), "--resume", "-o"]
    command = [sys.executable, "-c", "from smec.cli.main import main; main()", *arguments]
    checkpoint = tmp_path / "model.training"
    with subprocess.Popen(
        [*command, str(tmp_path / "model")], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        while not checkpoint.exists() and process.poll() is None:
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    said = [line for line in stderr.splitlines() if not line.startswith("[")]  # but for how far it was
    assert (process.returncode, stdout, said) == (130, "", ["interrupted; continue with --resume"])
    assert checkpoint.exists()
    kept = tmp_path / "model.training-read"
    assert kept.exists() == (pool == 250)  # what was read of a corpus of more rows
    assert not (tmp_path / "model").exists()
    for name in ("model", "uninterrupted"):
        assert run(*arguments, tmp_path / name).exit_code == 0
    assert not checkpoint.exists() and not kept.exists()
    continued, whole = (Compressor.load(tmp_path / name) for name in ("model", "uninterrupted"))
    assert continued.fingerprint == whole.fingerprint
