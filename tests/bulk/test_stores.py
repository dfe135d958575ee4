"""Inputs and outputs in a store that answers to S3's protocol, and places that fsspec reaches."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from compressible import INPUTS, compressor, read_back, table, vectors, write_npy, write_row_groups
from store import BUCKET, Store, free_port, running
from typer.testing import CliRunner, Result

from smec.bulk import locks
from smec.bulk.compress import compress
from smec.bulk.sharded import compress_shards
from smec.cli.main import app
from smec.data.places import located
from smec.errors import ConfigError, DataError, OutputError

COMPRESSOR = compressor()
SIZES = {"dim": 4, "rows_per_shard": 6}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with running() as started:
        yield started


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.1)


def parts(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("part-*")}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("kind", INPUTS)
def test_from_store_to_store_gives_the_same_bytes(tmp_path: Path, store: Store, kind: str) -> None:
    source = INPUTS[kind](tmp_path, table(vectors()))
    here = compress_shards(COMPRESSOR, source, tmp_path / "out", **SIZES)  # type: ignore[arg-type]
    uri = store.put(source, f"same/{kind}")
    there = compress_shards(COMPRESSOR, uri, f"s3://{BUCKET}/same/{kind}/out/", **SIZES)  # type: ignore[arg-type]
    assert (there.rows, there.shards) == (here.rows, here.shards)
    assert str(there.output) == f"s3://{BUCKET}/same/{kind}/out"
    written = store.contents(f"same/{kind}/out")
    manifest = json.loads(written.pop("_manifest.json"))
    assert written == parts(tmp_path / "out")  # and no lock, no records
    expected = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    for one, other in zip(manifest["inputs"], expected["inputs"], strict=True):
        assert one.pop("path").startswith("s3://") and one.pop("mtime_ns") > 0
        del other["path"], other["mtime_ns"]
    assert manifest == expected


@pytest.mark.parametrize("output", ["out.parquet", "out.arrow", "out.npy"])
def test_a_single_file(tmp_path: Path, store: Store, output: str) -> None:
    uri = store.put(write_npy(tmp_path, table(vectors())), "single")
    compress(COMPRESSOR, uri, tmp_path / output, dim=4)
    compress(COMPRESSOR, uri, f"s3://{BUCKET}/single/{output}", dim=4)
    assert store.read(f"single/{output}") == (tmp_path / output).read_bytes()
    assert read_back(tmp_path / output)[0] == [f"d{row}" for row in range(20)]
    if output == "out.npy":
        assert store.read("single/out.ids.txt") == (tmp_path / "out.ids.txt").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        compress(COMPRESSOR, uri, f"s3://{BUCKET}/single/{output}", dim=2)
    compress(COMPRESSOR, uri, f"s3://{BUCKET}/single/{output}", dim=2, force=True)
    assert store.read(f"single/{output}") != (tmp_path / output).read_bytes()


def test_folders_and_globs(tmp_path: Path, store: Store) -> None:
    source = write_row_groups(tmp_path, table(vectors()))
    for name in ("a b%20.parquet", "c.parquet", "deep/d.parquet", "deep/er/e.parquet", "notes.txt"):
        store.write(f"many/{name}", source.read_bytes())
    for number, (pattern, names) in enumerate(
        {
            "many": ["a b%20.parquet", "c.parquet"],
            "many/*.parquet": ["a b%20.parquet", "c.parquet"],
            "many/[bc].parquet": ["c.parquet"],
            "many/*/*.parquet": ["deep/d.parquet"],
            "many/**/*.parquet": ["a b%20.parquet", "c.parquet", "deep/d.parquet", "deep/er/e.parquet"],
        }.items()
    ):
        compress_shards(COMPRESSOR, f"s3://{BUCKET}/{pattern}", tmp_path / str(number))
        inputs = json.loads((tmp_path / str(number) / "_manifest.json").read_text())["inputs"]
        assert [one["path"] for one in inputs] == [f"s3://{BUCKET}/many/{name}" for name in names]
    with pytest.raises(DataError, match=r"many/\*\.npy: no such file"):
        compress_shards(COMPRESSOR, f"s3://{BUCKET}/many/*.npy", tmp_path / "out")
    with pytest.raises(ConfigError, match="is the input or lies in it"):
        compress_shards(COMPRESSOR, f"s3://{BUCKET}/many", f"s3://{BUCKET}/many/out")


def test_the_query_reaches_workers_and_is_not_written_down(tmp_path: Path, store: Store) -> None:
    uri = store.put(write_npy(tmp_path, table(vectors())), "query")
    way = f"?scheme=http&endpoint_override={store.endpoint.removeprefix('http://')}"
    endpoint = os.environ.pop("AWS_ENDPOINT_URL")
    try:
        done = compress_shards(
            COMPRESSOR, uri + way, f"s3://{BUCKET}/query/out{way}", rows_per_shard=10, workers=2
        )
    finally:
        os.environ["AWS_ENDPOINT_URL"] = endpoint
    assert (done.rows, done.failures) == (20, ())
    assert b"endpoint" not in store.read("query/out/_manifest.json")


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from compressible import compressor
from smec.bulk import locks
from smec.bulk.sharded import compress_shards
locks.BEAT = 0.1
compress_shards(compressor(), sys.argv[2], sys.argv[3], rows_per_shard=500, resume=True)
"""


def command(source: str, output: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), source, output]


@pytest.mark.usefixtures("quick")
def test_killed_at_any_moment_it_ends_as_an_unbroken_run(tmp_path: Path, store: Store) -> None:
    np.save(tmp_path / "in.npy", vectors(10_000))
    uri = store.put(tmp_path / "in.npy", "killed")
    compress_shards(COMPRESSOR, uri, f"s3://{BUCKET}/killed/unbroken", rows_per_shard=500)
    expected = store.contents("killed/unbroken")
    assert len(expected) == 21
    moments, kills = random.Random(7), 0
    for shards_before in (2, 8):
        run = subprocess.Popen(command(uri, f"s3://{BUCKET}/killed/out"), start_new_session=True)
        while run.poll() is None and len(store.names("killed/out")) <= shards_before:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            kills += 1
        run.wait()
    assert kills == 2
    assert ".lock" in store.names("killed/out")
    compress_shards(COMPRESSOR, uri, f"s3://{BUCKET}/killed/out", rows_per_shard=500, resume=True)
    assert store.contents("killed/out") == expected


def test_the_commands_of_the_page(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    lines = page.splitlines()
    commands = [line for line in lines if line.startswith("smec compress my-model") and "s3://" in line]
    assert commands
    COMPRESSOR.save(tmp_path / "my-model")
    store.write("embeddings/0.parquet", write_row_groups(tmp_path, table(vectors())).read_bytes())
    monkeypatch.chdir(tmp_path)
    for line in commands:
        result = invoke(*shlex.split(line)[1:])
        assert (result.exit_code, "20 rows" in result.stdout) == (0, True), (line, result.output)
    summary = json.loads(invoke(*shlex.split(commands[-1])[1:], "--force", "--json").stdout)
    assert summary["output"] == f"s3://{BUCKET}/small.parquet"
    assert store.read("small/part-00000.parquet") == store.read("small.parquet")
    assert parts(tmp_path / "small-shards") == {"part-00000.parquet": store.read("small.parquet")}


def test_leftovers_are_removed_and_damaged_shards_made_again(tmp_path: Path, store: Store) -> None:
    uri = store.put(write_row_groups(tmp_path, table(vectors())), "again")
    out = f"s3://{BUCKET}/again/out"
    compress_shards(COMPRESSOR, uri, out, **SIZES)  # type: ignore[arg-type]
    before = store.contents("again/out")
    shard = bytearray(before["part-00002.parquet"])
    shard[len(shard) // 2] ^= 1
    store.write("again/out/part-00002.parquet", bytes(shard))
    store.write("again/out/part-00077.parquet", b"of an older plan")
    store.write("again/out/shards/00001.json", b"{")
    done = compress_shards(COMPRESSOR, uri, out, resume=True, **SIZES)  # type: ignore[arg-type]
    assert (done.reused, done.shards) == (3, 4)
    assert store.contents("again/out") == before
    store.write("again/out/thesis.tex", b"years of work")
    with pytest.raises(OutputError, match=r"holds thesis\.tex"):
        compress_shards(COMPRESSOR, uri, out, force=True)


@pytest.mark.usefixtures("quick")
def test_a_second_run_is_refused_while_the_first_lives(tmp_path: Path, store: Store) -> None:
    uri = store.put(write_npy(tmp_path, table(vectors())), "second")
    out = located(f"s3://{BUCKET}/second/out")
    with locks.locked(out) as check:
        with pytest.raises(OutputError, match="another run is at work there"):
            compress_shards(COMPRESSOR, uri, out, resume=True)
        check()
    assert store.names("second/out") == []


@pytest.mark.usefixtures("quick")
def test_the_lease_of_a_dead_run_is_taken_over(tmp_path: Path, store: Store) -> None:
    uri = store.put(write_npy(tmp_path, table(vectors())), "stale")
    store.write("stale/out/.lock", b"of the dead 17")
    done = compress_shards(COMPRESSOR, uri, f"s3://{BUCKET}/stale/out", resume=True)
    assert done.rows == 20
    assert store.names("stale/out") == ["_manifest.json", "part-00000.parquet"]


def test_a_run_whose_lease_was_taken_over_ends(tmp_path: Path, store: Store) -> None:
    uri = store.put(write_npy(tmp_path, table(vectors())), "lost")

    def take_over(done: int, rows: int) -> None:
        store.write("lost/out/.lock", b"another 0")

    with pytest.raises(OutputError, match="another run has taken over"):
        compress_shards(COMPRESSOR, uri, f"s3://{BUCKET}/lost/out", rows_per_shard=6, progress=take_over)
    assert store.read("lost/out/.lock") == b"another 0"
    assert json.loads(store.read("lost/out/_manifest.json"))["state"] == "running"


def test_a_damaged_object_is_left_out_and_the_rest_goes_on(tmp_path: Path, store: Store) -> None:
    COMPRESSOR.save(tmp_path / "model")
    content = bytearray(write_row_groups(tmp_path, table(vectors())).read_bytes())
    store.write("damaged/in/0.parquet", bytes(content))
    content[4:400] = bytes(396)
    store.write("damaged/in/1.parquet", bytes(content))
    run = (tmp_path / "model", f"s3://{BUCKET}/damaged/in", "-o", f"s3://{BUCKET}/damaged/out")
    result = invoke("compress", *run, "--rows-per-shard", 20)
    assert result.exit_code == 4
    assert f"warning: shard 1: s3://{BUCKET}/damaged/in/1.parquet" in result.stderr
    assert store.names("damaged/out") == ["_manifest.json", "part-00000.parquet"]
    assert pq.ParquetFile(store.filesystem.open_input_file(f"{BUCKET}/damaged/out/part-00000.parquet"))


@pytest.mark.timeout(60)  # not minutes of attempts
@pytest.mark.parametrize(
    ("trouble", "output"),
    [
        ("bucket", "here"),
        ("bucket", "s3://nowhere/out"),
        ("keys", "here"),
        ("keys", "s3://nowhere/out"),
        ("endpoint", "s3://nowhere/out"),
    ],
)
def test_a_store_that_refuses(
    tmp_path: Path, store: Store, trouble: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    COMPRESSOR.save(tmp_path / "model")
    np.save(tmp_path / "in.npy", vectors())
    source = str(tmp_path / "in.npy") if "://" in output else "s3://nowhere/in.npy"
    run = ("compress", tmp_path / "model", source, "-o", output if "://" in output else tmp_path / output)
    if trouble == "endpoint":
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    if trouble == "keys":
        with store.strict():
            result = invoke(*run)
    else:
        result = invoke(*run)
    assert result.exit_code == 2
    named, said = "s3://nowhere/", {"keys": "ACCESS_DENIED", "endpoint": "NETWORK_CONNECTION"}
    assert result.stderr.startswith(f"smec: error: {named}") and result.stderr.count("\n") == 1
    if trouble == "bucket":
        assert ("NO_SUCH_BUCKET" if "://" in output else "no such file") in result.stderr
    else:
        assert said[trouble] in result.stderr
    assert not (tmp_path / "here").exists()


def test_arrays_that_cannot_be_read_by_rows(tmp_path: Path, store: Store) -> None:
    np.save(tmp_path / "in.npy", np.asfortranarray(vectors()))
    with pytest.raises(DataError, match="is in Fortran order"):
        compress_shards(COMPRESSOR, store.put(tmp_path / "in.npy", "fortran"), tmp_path / "out")
    whole = (tmp_path / "in.npy").read_bytes()
    for content, words in (
        (whole.replace(b"True", b"False")[:-9], "shorter than its header says"),
        (b"no array", "cannot be read as"),
        (b"", "cannot be read as"),
    ):
        store.write("fortran/in.npy", content)
        with pytest.raises(DataError, match=words):
            compress_shards(COMPRESSOR, f"s3://{BUCKET}/fortran/in.npy", tmp_path / "out")
    np.save(tmp_path / "line.npy", np.ones(5))
    with pytest.raises(DataError, match="must be a table"):
        compress_shards(COMPRESSOR, store.put(tmp_path / "line.npy", "fortran"), tmp_path / "out")


def test_what_fsspec_reaches(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    source = write_npy(tmp_path, table(vectors()))
    compress_shards(COMPRESSOR, source, tmp_path / "out", **SIZES)  # type: ignore[arg-type]
    compress_shards(COMPRESSOR, source.as_uri(), "memory://folder/out", **SIZES)  # type: ignore[arg-type]
    out = located("memory://folder/out")
    assert {file.name: file.open().read() for file in out.glob("part-*")} == parts(tmp_path / "out")
    again = compress_shards(COMPRESSOR, source, out, resume=True, **SIZES)  # type: ignore[arg-type]
    assert again.reused == again.shards == 4


def test_uris_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing://x: cannot be reached"):
        located("nothing://x")
    with pytest.raises(ConfigError, match=r"s3://\.\.\.@bucket: has a password in it") as caught:
        located("s3://key:secret@bucket/in.npy")
    assert "secret" not in str(caught.value)
