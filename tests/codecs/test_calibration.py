"""Codecs of a compressor: calibrated once, kept in the artefact, used by every command."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from smec import Compressor, Dataset, compress, evaluate
from smec.artefact_files import TENSORS_FILE
from smec.baselines import fit_baseline
from smec.block import Block
from smec.calibration import calibrate
from smec.cli.main import app
from smec.coded import coded
from smec.contents import ASSEMBLED
from smec.demo import demo_dataset
from smec.errors import ArtefactError, ConfigError, OutputError

DIMS = (64, 32, 12)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    whole = demo_dataset()
    return Dataset(whole.corpus, whole.queries, whole.qrels, "medquad")


@pytest.fixture(scope="module")
def plain(dataset: Dataset) -> Compressor:
    """PCA as a compressor, which no codec is calibrated for."""
    pca = fit_baseline("pca", dataset, DIMS)
    vectors = dataset.corpus.vectors
    manifest = {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
    return Compressor.assemble(
        [Block(pca.matrix, DIMS, "smec")],  # type: ignore[attr-defined]
        {**manifest, "libraries": {}},
        vectors[:3],
        vectors.mean(axis=0),
    )


@pytest.fixture(scope="module")
def calibrated(plain: Compressor, dataset: Dataset) -> Compressor:
    return calibrate(plain, dataset.corpus.vectors, ["int8", "int4", "binary"])


def test_vectors_stay_valid_and_sizes_that_cannot_be_packed_are_left_out(
    plain: Compressor, calibrated: Compressor
) -> None:
    assert calibrated.fingerprint == plain.fingerprint
    assert calibrated.manifest.tensors_sha256 != plain.manifest.tensors_sha256
    floats = ("float32", "float16")
    assert dict(calibrated.codecs) == {
        64: (*floats, "int8", "int4", "binary"),
        32: (*floats, "int8", "int4", "binary"),
        12: (*floats, "int8", "int4"),
    }


def test_a_calibration_is_replaced_by_name_and_others_stay(calibrated: Compressor, dataset: Dataset) -> None:
    other = calibrate(calibrated, dataset.corpus.vectors[:500], ["int8", "pq4"], dims=[32])
    assert other.codecs[32] == ("float32", "float16", "int4", "binary", "int8", "pq4")
    assert other.codecs[64] == calibrated.codecs[64]
    before, after = (c.codec("int8", 32).tensors()["ranges"] for c in (calibrated, other))
    assert not np.array_equal(before, after)


def test_it_is_in_the_artefact(calibrated: Compressor, dataset: Dataset, tmp_path: Path) -> None:
    calibrated.save(tmp_path / "model")
    loaded = Compressor.load(tmp_path / "model")
    small = loaded.encode(dataset.corpus.vectors[:50], 32)
    for name in calibrated.codecs[32]:
        assert np.array_equal(loaded.codec(name, 32).encode(small), calibrated.codec(name, 32).encode(small))


def test_what_is_not_calibrated_is_refused(plain: Compressor, calibrated: Compressor) -> None:
    with pytest.raises(ConfigError, match=r"size 64 is not calibrated for codec 'int8'; it has float32"):
        plain.codec("int8")
    with pytest.raises(ConfigError, match="size 12 is not calibrated for codec 'binary'"):
        calibrated.codec("binary", 12)
    with pytest.raises(ConfigError, match="size 13 is not served"):
        calibrated.codec("int8", 13)


def test_a_codec_that_packs_no_size_is_refused(plain: Compressor, dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="binary: packs eight dims"):
        calibrate(plain, dataset.corpus.vectors, ["int8", "binary"], dims=[12])


def test_a_missing_tensor_is_told(calibrated: Compressor) -> None:
    tensors = {name: tensor for name, tensor in calibrated.tensors.items() if "int8.ranges" not in name}
    broken = Compressor([calibrated.block(64)], calibrated.manifest, tensors)
    with pytest.raises(ArtefactError, match="the calibration of int8 lacks the tensor 'ranges'"):
        broken.codec("int8", 64)


def test_evaluation_scores_what_the_codes_stand_for(calibrated: Compressor, dataset: Dataset) -> None:
    names = ("float32", "int8", "binary")
    scored = [coded(calibrated, name, dataset.corpus.vectors) for name in names]
    results = {(r.codec, r.dim): r for r in evaluate(dataset, scored).results}
    assert set(results) == {(n, d) for n in names for d in DIMS} - {("binary", 12)}
    assert [results[name, 64].bytes for name in names] == [256, 64, 8]
    gains = [results[name, 64].metrics["nDCG@10"] for name in names]
    assert abs(gains[0] - gains[1]) < 0.01
    assert 0.5 * gains[0] < gains[2] < gains[0]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".npy"])
def test_compressing_to_codes(calibrated: Compressor, dataset: Dataset, tmp_path: Path, suffix: str) -> None:
    vectors = dataset.corpus.vectors[:300]
    np.save(tmp_path / "in.npy", vectors)
    done = compress(calibrated, tmp_path / "in.npy", tmp_path / f"out{suffix}", dim=32, codec="int4")
    assert (done.codec, done.bytes_per_vector) == ("int4", 16)
    codec = calibrated.codec("int4", 32)
    if suffix == ".npy":
        codes = np.load(tmp_path / "out.npy")
    elif suffix == ".parquet":
        table = pq.read_table(tmp_path / "out.parquet")
        note = json.loads(table.schema.metadata[b"smec"])
        assert (note["dim"], note["codec"], note["model"]) == (32, "int4", calibrated.fingerprint)
        assert table.column_names == ["id", "code"] and len(note["calibration"]) == 64
        codes = np.stack(table["code"].to_numpy())
    else:
        import pyarrow as pa

        codes = np.stack(pa.ipc.open_file(tmp_path / "out.arrow").read_all()["code"].to_numpy())
    assert codes.dtype == np.uint8
    assert np.array_equal(codes, codec.encode(calibrated.encode(vectors, 32)))


def test_a_column_that_the_codes_would_replace_is_refused(calibrated: Compressor, tmp_path: Path) -> None:
    import pyarrow as pa

    vectors = pa.array(demo_dataset().corpus.vectors[:2].tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": ["a", "b"], "vector": vectors, "code": [1, 2]}), tmp_path / "in.parquet")
    with pytest.raises(ConfigError, match="has a column 'code', where codec int8 writes; rename it"):
        compress(calibrated, tmp_path / "in.parquet", tmp_path / "out.parquet", codec="int8")
    assert not (tmp_path / "out.parquet").exists()


def test_no_codec_is_refused(plain: Compressor, dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="codec: name at least one of float32"):
        calibrate(plain, dataset.corpus.vectors, [])


def test_the_page_on_codecs_runs_as_written(
    calibrated: Compressor, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "codecs.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 3
    pca = fit_baseline("pca", dataset, (96,))
    manifest = calibrated.manifest.model_dump(exclude=ASSEMBLED)
    block = Block(pca.matrix, (96,), "smec")  # type: ignore[attr-defined]
    corpus = dataset.corpus.vectors
    wide = Compressor.assemble([block], manifest, corpus[:3], corpus.mean(axis=0))
    calibrate(wide, corpus, ["int8"]).save(tmp_path / "MODEL")
    np.save(tmp_path / "corpus.npy", corpus)
    compress(
        Compressor.load(tmp_path / "MODEL"), tmp_path / "corpus.npy", tmp_path / "codes.npy", codec="int8"
    )
    monkeypatch.chdir(tmp_path)
    given = {"vectors": corpus[:5], "corpus_vectors": corpus, "dataset": dataset}
    first: dict[str, Any] = {}
    exec(blocks[0] + blocks[1], first)
    error = np.abs(first["vectors"] - wide.encode(corpus))
    assert np.median(error) < 0.01
    query = wide.encode(corpus[:1])
    assert first["index"].search(query, 1)[1][0, 0] == 0
    exec(blocks[2], given)
    np.testing.assert_array_equal(given["codes"], first["codes"][:5])


def test_what_the_disk_refuses_leaves_nothing(
    calibrated: Compressor, dataset: Dataset, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            calibrate(calibrated, dataset.corpus.vectors, ["itq"], dims=[32]).save(tmp_path / "more")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line(calibrated: Compressor, dataset: Dataset, tmp_path: Path) -> None:
    calibrated.save(tmp_path / "model")
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    for part in ("corpus", "queries"):
        held = getattr(dataset, part)
        np.save(tmp_path / "data" / f"{part}.npy", held.vectors)
        (tmp_path / "data" / f"{part}.ids.txt").write_text("\n".join(held.ids) + "\n")
    lines = [f"{q}\t{d}\t{g}" for q, of in dataset.qrels["test"].items() for d, g in of.items()]
    (tmp_path / "data" / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))

    def run(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, result.stdout, result.stderr

    model, data, more = tmp_path / "model", tmp_path / "data", tmp_path / "more"
    exit_code, out, _ = run("calibrate", model, data, "--codec", "itq,pq8", "--dims", "64,32", "-o", more)
    assert (exit_code, out.splitlines()[0]) == (0, "64: float32, float16, int8, int4, binary, itq, pq8")
    assert "codec.32.pq8.codebooks" in load_file(more / TENSORS_FILE)

    exit_code, out, _ = run("evaluate", data, "-m", more, "--codec", "pq8,itq", "--dims", "32", "--json")
    record = {(r["method"].split(":")[0], r["codec"]): r for r in json.loads(out)["results"]}
    assert {codec for _, codec in record} == {"pq8", "itq"} and record["pca", "itq"]["bytes"] == 4

    refused = [
        (("evaluate", data, "-m", model, "--codec", "pq8"), "is not calibrated for codec 'pq8'"),
        (("evaluate", data, "-m", model, "--codec", "int3"), "codec 'int3' is unknown"),
        (("calibrate", model, data, "--codec", "pq5", "-o", tmp_path / "x"), "do not fall into 5 parts"),
        (
            ("compress", model, data / "corpus.npy", "-o", tmp_path / "x.npy", "--codec", "itq"),
            "not calibrated",
        ),
    ]
    for arguments, message in refused:
        exit_code, out, error = run(*arguments)
        assert (exit_code, out) == (2, "") and message in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.npy").exists()
