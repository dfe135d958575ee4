"""The commands that only read: what they print, and that nothing else is on stdout."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from small_compressor import compressor, corpus
from smec import Compressor, Dataset, __version__
from smec.baselines import fit_baseline
from smec.cli.main import app
from smec.cli.options import parse_dims
from smec.errors import ConfigError
from smec.evaluation import evaluate
from smec.vectors import FloatArray

COMMANDS = (
    *("demo", "embed", "judge", "train", "extend", "calibrate", "compress", "export", "migrate", "serve"),
    *("evaluate", "report", "inspect", "verify", "canaries"),
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def save_rows(file: Path, rows: FloatArray, prefix: str = "row") -> None:
    np.save(file, rows.astype(np.float32))
    file.with_suffix(".ids.txt").write_text("".join(f"{prefix}{row}\n" for row in range(len(rows))))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    compressor().save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Documents, and queries beside their own document."""
    folder = tmp_path / "axes"
    (folder / "qrels").mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 0.4, (20, 16))
    save_rows(folder / "corpus.npy", corpus(), "d")
    save_rows(folder / "queries.npy", corpus()[:20] + noise, "d")
    judged = "".join(f"d{row}\td{row}\t1\n" for row in range(20))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("smec: error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_the_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"smec {__version__}\n")


def test_help_names_every_command_with_its_purpose() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        (line,) = [line for line in result.stdout.splitlines() if line.split()[:1] == [command]]
        assert len(line.split()) > 4
    assert "Usage: " in run().output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_explained(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    options = result.stdout.split("Options:")[1]
    # Every option has words after its names and type, on its line or on the next one.
    for option in ("\n" + options).split("\n  -")[1:]:
        assert len(option.split()) > 3, option


def test_usage_errors_exit_with_2() -> None:
    for arguments in (("nonsense",), ("train",), ("inspect", "a", "--loud"), ("extend", "a", "b", "-o", "c")):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Error: " in result.stderr


def test_dims_are_read_from_commas() -> None:
    assert parse_dims("384,192, 96") == (384, 192, 96)
    for junk in ("", "384,", "a", "12.5", "-3", "0", "384;192", "²"):
        with pytest.raises(ConfigError, match="is not a size"):
            parse_dims(junk)


def test_inspect_tells_what_the_compressor_is(model: Path) -> None:
    result = run("inspect", model)
    assert (result.exit_code, result.stderr) == (
        0,
        "warning: size 1 is pca: training was not significantly better there\n",
    )
    text = " ".join(result.stdout.split())
    for fact in (
        "dims 16 -> 8, 4, 2, 1",
        "bytes 64 -> 32, 16, 8, 4 (float32)",
        "sizes 8, 4: smec, each a prefix of the larger ones",
        "sizes 2: smec, made from stored vectors of 4",
        "sizes 1: pca",
        "preset default, with labels, seed 5",
        "model all-test-v1",
        "data.corpus c0ffee",
        "canaries d0, d1, d2",
        "codecs 8: float32, float16",
        f"fingerprint {compressor().fingerprint}",
        f"sha256 {compressor().manifest.tensors_sha256}",
        "ndcg@10 on 40 held-out train queries",
        "8 32 0.800 0.700 [.600, .800] 0.613 truncate 0.432 smec",
        "1 4 0.800 0.525 [.425, .625] 0.613 truncate 0.432 pca",
    ):
        assert fact in text, fact


def test_inspect_as_json_is_the_manifest(model: Path) -> None:
    record = json.loads(run("inspect", model, "--json").stdout)
    assert (record.pop("model"), record.pop("fallbacks")) == (str(model), {"1": "pca"})
    hashes = record.pop("fingerprint"), record.pop("query_fingerprint")
    assert hashes == (compressor().fingerprint, compressor().fingerprint)
    assert record == json.loads((model / "config.json").read_text("utf-8"))


def test_inspect_refuses_what_is_no_compressor(tmp_path: Path) -> None:
    assert_refused(run("inspect", tmp_path / "none"), "not a compressor folder")


def test_verify_prints_every_check(model: Path, dataset: Path) -> None:
    result = run("verify", model, "--data", dataset / "corpus.npy")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    names = ["hash", "canaries", "embedding model", "rows"]
    assert [line.split(":")[0] for line in lines] == [f"ok    {name}" for name in names]
    assert "3 canary ids found" in lines[2]
    assert lines[3] == "ok    rows: all 60 rows were read and can be used"


def test_verify_says_how_many_rows_it_read_of_a_folder(model: Path, tmp_path: Path) -> None:
    many = np.random.default_rng(0).permuted(np.tile(corpus(), (40, 1)), axis=0)
    (tmp_path / "shards").mkdir()
    for shard in range(12):
        rows = many[200 * shard : 200 * (shard + 1)].astype(np.float32)
        ids = [f"d{row}" for row in range(200 * shard, 200 * (shard + 1))]
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 16)
        pq.write_table(pa.table({"id": ids, "vector": vectors}), tmp_path / "shards" / f"{shard:02}.parquet")
    sampled, whole = (run("verify", model, "--data", tmp_path / "shards", *more) for more in ((), ("--all",)))
    assert sampled.exit_code == whole.exit_code == 2  # the canaries' ids have other embeddings
    assert "FAIL  embedding model: 3 canary ids found" in sampled.stdout
    said = re.search(r"ok    rows: ([\d,]+) of 2,400 rows in (\d+) of 12 files were read", sampled.stdout)
    assert said is not None
    assert 8 <= int(said[2]) < 12 and int(said[1].replace(",", "")) == 200 * int(said[2])
    assert "ok    rows: all 2,400 rows in 12 of 12 files were read and can be used" in whole.stdout


def test_verify_has_all_for_data_only(model: Path) -> None:
    assert_refused(run("verify", model, "--all"), "--all is for --data")


def test_verify_exits_with_2_for_the_embeddings_of_another_model(model: Path, tmp_path: Path) -> None:
    save_rows(tmp_path / "other.npy", np.random.default_rng(0).standard_normal((90, 16)))
    result = run("verify", model, "--data", tmp_path / "other.npy")
    assert result.exit_code == 2
    assert "ok    canaries" in result.stdout
    assert "FAIL  embedding model" in result.stdout
    assert result.stderr.startswith(f"smec: error: {model}: embedding model: ")
    assert result.stderr.count("\n") == 1


def test_verify_refuses_a_file_that_is_not_there(model: Path, tmp_path: Path) -> None:
    assert_refused(run("verify", model, "--data", tmp_path / "none.npy"), "no such file")


def score(mean: float, interval: list[float]) -> str:
    """As the tables print it: three decimals, for the interval without the zero before the point."""
    low, high = (f"{bound:.3f}".removeprefix("0")[:4] for bound in interval)
    return f"{mean:.3f} [{low}, {high}]"


def test_evaluate_as_json_is_the_evaluation(model: Path, dataset: Path) -> None:
    result = run("evaluate", dataset, "--model", model, "--json")
    opened = Dataset.open(dataset)
    baselines = [fit_baseline(name, opened, (8, 4, 2, 1)) for name in ("truncate", "pca")]
    expected = evaluate(opened, [Compressor.load(model), *baselines])
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == json.loads(json.dumps(expected.to_json()))


def test_a_sample_is_searched_with_all_judged_documents_and_scores_no_lower(
    model: Path, dataset: Path
) -> None:
    arguments = ("evaluate", dataset, "--model", model)
    whole, sample = (
        json.loads(run(*arguments, "--json", *more).stdout) for more in ((), ("--sample", "25"))
    )
    assert (whole["documents"], whole["all_documents"], whole["sample"]) == (60, 60, None)
    assert (sample["documents"], sample["all_documents"], sample["queries"]) == (25, 60, 20)
    assert sample["sample"].startswith("a sample: 25 of 60 documents were searched, all judged ones among them")
    pairs = zip([whole["full"], *whole["results"]], [sample["full"], *sample["results"]], strict=True)
    gains = [(few["ndcg@10"] - all_["ndcg@10"]) for all_, few in pairs]
    assert min(gains) > -1e-12 and max(gains) > 0  # what competes no more was never relevant
    shown = run(*arguments, "--sample", "25")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "axes: 60 documents, 20 queries of split 'test'"
    assert lines[1] == f"{sample['sample']}"
    assert "all scores are too high" in lines[1]


def test_a_sample_as_large_as_the_corpus_is_the_corpus(model: Path, dataset: Path) -> None:
    arguments = ("evaluate", dataset, "--model", model, "--json")
    assert run(*arguments, "--sample", "60").stdout == run(*arguments).stdout


def test_a_sample_of_no_documents_is_refused(model: Path, dataset: Path) -> None:
    assert run("evaluate", dataset, "--model", model, "--sample", "0").exit_code == 2


def test_evaluate_prints_a_row_for_every_method_and_size(model: Path, dataset: Path) -> None:
    result = run("evaluate", dataset, "--model", model, "--baselines", "pca,random")
    assert result.exit_code == 0
    record = json.loads(
        run("evaluate", dataset, "--model", model, "--baselines", "pca,random", "--json").stdout
    )
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "axes: 60 documents, 20 queries of split 'test'"
    full = record["full"]
    for row in record["results"]:
        mark = " (fallback)" if row["fallback"] else ""
        change = 100 * (row["ndcg@10"] / full["ndcg@10"] - 1)
        assert (
            f"{row['method']}{mark} {row['dim']} {row['bytes']} {score(row['ndcg@10'], row['ci'])} "
            f"{change:+.1f} % {row['recall@100']:.3f} {row['mrr@10']:.3f} {row['p_vs_full']:.4f}"
        ) in lines
    assert [row["dim"] for row in record["results"] if row["fallback"]] == [1]
    assert any(line.startswith(f"full 16 64 {score(full['ndcg@10'], full['ci'])} ") for line in lines)


def test_evaluate_scores_the_sizes_asked_for(dataset: Path) -> None:
    record = json.loads(run("evaluate", dataset, "--dims", "5,3", "--baselines", "pca", "--json").stdout)
    assert [(row["method"], row["dim"]) for row in record["results"]] == [("pca", 5), ("pca", 3)]
    record = json.loads(run("evaluate", dataset, "--baselines", "truncate", "--json").stdout)
    assert [row["dim"] for row in record["results"]] == [8, 4, 2, 1]
    assert json.loads(run("evaluate", dataset, "--baselines", "", "--json").stdout)["results"] == []


def test_evaluate_without_judgements_shows_the_neighbours_kept(model: Path, dataset: Path) -> None:
    for file in (dataset / "qrels" / "test.tsv", dataset / "queries.npy", dataset / "queries.ids.txt"):
        file.unlink()
    (dataset / "qrels").rmdir()
    result = run("evaluate", dataset, "--model", model)
    assert result.exit_code == 0
    assert "60 sampled corpus rows" in result.stdout
    assert "overlap@10 [95 % CI]" in result.stdout


def test_evaluate_refuses_in_one_line(model: Path, dataset: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    wide.mkdir()
    save_rows(wide / "corpus.npy", np.random.default_rng(0).standard_normal((9, 4)))
    assert_refused(run("evaluate", wide, "--model", model), "takes embeddings of 16 dims, but wide has 4")
    assert_refused(run("evaluate", dataset, "--model", model, "--dims", "5"), "size 5 is not served")
    assert_refused(run("evaluate", dataset, "--dims", "5,x"), "'x' is not a size")
    assert_refused(run("evaluate", dataset, "--dims", "32"), "between 1 and the embeddings' 16")
    assert_refused(run("evaluate", dataset, "--baselines", "pac"), "baseline 'pac' is not known")
    assert_refused(run("evaluate", dataset, "--split", "dev"), "'dev'")
    assert_refused(run("evaluate", tmp_path / "none"), "none")


def test_compress_is_a_command_of_the_program(model: Path, dataset: Path, tmp_path: Path) -> None:
    arguments = ("compress", model, dataset / "corpus.npy", "-o", tmp_path / "out.npy", "--dim", 4)
    assert run(*arguments).exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), compressor().encode(corpus(), 4), atol=1e-6)
    assert_refused(run(*arguments), "exists already")
