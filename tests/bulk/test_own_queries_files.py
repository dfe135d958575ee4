"""Outputs of a compressor stay its own, byte for byte, when its queries get a matrix of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import small_compressor
from feedback_data import IDS, ROWS, queries, write_dataset, write_table
from small_compressor import corpus
from smec import Feedback, compress
from smec.bulk.feedback import update_output
from smec.bulk.sharded import compress_shards
from smec.calibration import calibrate
from smec.cli.main import app
from smec.compressor import Compressor
from smec.own_queries import with_queries

PARENT = calibrate(small_compressor.compressor(), corpus(), ["binary"], dims=[8])
ADAPTED = with_queries(PARENT, {d: small_compressor.own_queries().block(d).query for d in (8, 2)})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "corpus.parquet", IDS, corpus(ROWS))


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("codec", ["float32", "binary"])
def test_files_are_the_same_bytes(table: Path, tmp_path: Path, codec: str) -> None:
    for name, compressor in (("parent", PARENT), ("adapted", ADAPTED)):
        (tmp_path / name).mkdir()
        compress(compressor, table, tmp_path / name / "small.parquet", dim=8, codec=codec)
        compress_shards(compressor, table, tmp_path / name / "shards", dim=8, codec=codec, rows_per_shard=25)
    assert contents(tmp_path / "parent") == contents(tmp_path / "adapted")


def test_a_folder_that_the_parent_began_is_finished_by_the_adapted(tmp_path: Path) -> None:
    source, out = tmp_path / "corpus.npy", tmp_path / "out"
    np.save(source, corpus(ROWS))
    compress_shards(PARENT, source, out, dim=8, rows_per_shard=20)
    before = contents(out)
    (out / "part-00001.parquet").unlink()
    done = compress_shards(ADAPTED, source, out, dim=8, rows_per_shard=20, resume=True)
    assert (done.reused, done.shards) == (2, 3)
    assert contents(out) == before


def test_what_the_parent_stored_is_shrunk_by_the_adapted(table: Path, tmp_path: Path) -> None:
    compress(PARENT, table, tmp_path / "stored.parquet", dim=8)
    for name, compressor in (("parent", PARENT), ("adapted", ADAPTED)):
        compress(compressor, tmp_path / "stored.parquet", tmp_path / f"{name}.parquet", from_dim=8, dim=2)
    assert (tmp_path / "parent.parquet").read_bytes() == (tmp_path / "adapted.parquet").read_bytes()


def test_feedback_moves_documents_of_both_alike_and_no_query(table: Path, tmp_path: Path) -> None:
    judged = Feedback.from_dataset(write_dataset(tmp_path / "data"), weight=2)
    for name, compressor in (("parent", PARENT), ("adapted", ADAPTED)):
        compress(PARENT, table, tmp_path / f"{name}.parquet", dim=8)
        update_output(compressor, judged, tmp_path / "data", tmp_path / f"{name}.parquet")
    assert (tmp_path / "parent.parquet").read_bytes() == (tmp_path / "adapted.parquet").read_bytes()
    vectors = corpus(ROWS)
    moved = ADAPTED.encode(vectors, 4, ids=IDS, feedback=judged)
    np.testing.assert_array_equal(moved, PARENT.encode(vectors, 4, ids=IDS, feedback=judged))
    assert np.abs(moved - ADAPTED.encode(vectors, 4)).max() > 0.1
    asked = ADAPTED.encode_queries(queries(), 4)
    np.testing.assert_array_equal(asked, small_compressor.own_queries().encode_queries(queries(), 4))


def test_the_command_finishes_what_the_parent_began(table: Path, tmp_path: Path) -> None:
    PARENT.save(tmp_path / "model")
    arguments = [
        "compress",
        str(tmp_path / "model"),
        str(table),
        "-o",
        str(tmp_path / "shards"),
        "--dim",
        "8",
    ]
    began = CliRunner().invoke(app, arguments)
    assert began.exit_code == 0 and "as documents" not in began.output
    ADAPTED.save(tmp_path / "model", force=True)
    result = CliRunner().invoke(app, [*arguments, "--resume"])
    assert result.exit_code == 0, result.output
    assert "1 shards, 1 of them from before" in result.output
    said = "as documents; queries have a matrix of their own: `encode_queries` makes them"
    assert result.output.splitlines()[-1] == said
    assert Compressor.load(tmp_path / "model").fingerprint == PARENT.fingerprint
