"""A folder of shards: what is in it, what a broken run leaves, and what is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressible import INPUTS, compressor, lists, table, vectors
from filelock import FileLock
from typer.testing import CliRunner, Result

from smec.bulk.sharded import compress_shards
from smec.cli.main import app
from smec.errors import ConfigError, DataError, OutputError

COMPRESSOR = compressor()
ROWS = 20_000


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def manifest(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "_manifest.json").read_text())
    return found


def shards(folder: Path, count: int = 3, rows: int = 100) -> Path:
    """Parquet files of ``rows`` rows each in row groups of 40."""
    (folder / "in").mkdir()
    for number in range(count):
        ids = [f"d{number}-{row}" for row in range(rows)]
        whole = pa.table({"id": ids, "vector": lists(vectors(rows + number)[:rows]), "n": list(range(rows))})
        pq.write_table(whole, folder / "in" / f"{number}.parquet", row_group_size=40)
    return folder / "in"


@pytest.mark.parametrize(("kind", "workers"), [*((kind, 1) for kind in INPUTS), ("npy", 2)])
def test_all_rows_are_there_in_order_with_their_columns(tmp_path: Path, kind: str, workers: int) -> None:
    whole = table(vectors())
    source = INPUTS[kind](tmp_path, whole)
    done = compress_shards(
        COMPRESSOR, source, tmp_path / "out", dim=4, codec="float16", rows_per_shard=6, workers=workers
    )
    assert (done.rows, done.dim, done.codec, done.bytes_per_vector, done.failures) == (
        20,
        4,
        "float16",
        8,
        (),
    )
    files = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(files) == done.shards and all(pq.ParquetFile(f).metadata.num_rows <= 20 for f in files)
    written = pa.concat_tables(pq.read_table(file) for file in files)
    small = np.array(written["vector"].to_pylist())
    np.testing.assert_allclose(small, COMPRESSOR.encode(vectors(), 4), atol=1e-3)
    assert written["id"].to_pylist() == whole["id"].to_pylist()
    if kind != "npy":  # which has ids alone
        assert written["tags"].to_pylist() == whole["tags"].to_pylist()
    assert manifest(tmp_path / "out")["state"] == "complete"


def test_a_glob_and_a_folder_give_the_same(tmp_path: Path) -> None:
    source = shards(tmp_path)
    by_folder = compress_shards(COMPRESSOR, source, tmp_path / "a", rows_per_shard=80)
    by_glob = compress_shards(COMPRESSOR, source / "*.parquet", tmp_path / "b", rows_per_shard=80)
    assert by_folder.shards == by_glob.shards == 6
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_ids_of_npy_follow_their_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", vectors(50))
    (tmp_path / "in.ids.txt").write_text("".join(f"x{row}\n" for row in range(50)))
    compress_shards(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out", rows_per_shard=20, workers=2)
    assert pq.read_table(tmp_path / "out" / "part-00001.parquet")["id"].to_pylist() == [
        f"x{row}" for row in range(20, 40)
    ]


def test_a_shard_that_cannot_be_read_is_left_out_and_made_when_it_is_repaired(tmp_path: Path) -> None:
    source = shards(tmp_path)
    broken = source / "1.parquet"
    good = broken.read_bytes()
    compress_shards(COMPRESSOR, source, tmp_path / "whole", rows_per_shard=100)
    spoilt = bytearray(good)
    spoilt[4:400] = bytes(396)
    broken.write_bytes(spoilt)
    COMPRESSOR.save(tmp_path / "model")

    run = ("compress", tmp_path / "model", source, "-o", tmp_path / "out", "--rows-per-shard", "100")
    result = invoke(*run)
    assert result.exit_code == 4
    assert "200 rows" in result.stdout and "in 2 shards" in result.stdout
    assert "warning: shard 1: " in result.stderr and "1.parquet" in result.stderr
    assert (
        "1 shards are missing; repair their inputs, with the rows that they had, and finish with --resume"
        in result.stderr
    )
    assert manifest(tmp_path / "out")["state"] == "incomplete"

    as_json = invoke(*run, "--resume", "--json")
    assert as_json.exit_code == 4
    assert [failure["number"] for failure in json.loads(as_json.stdout)["failures"]] == [1]

    broken.write_bytes(good)
    assert invoke(*run, "--resume").exit_code == 0
    assert manifest(tmp_path / "out")["state"] == "complete"


def test_a_row_that_cannot_be_used_is_named_and_its_shard_left_out(tmp_path: Path) -> None:
    matrix = vectors(50)
    matrix[33] = 0
    np.save(tmp_path / "in.npy", matrix)
    done = compress_shards(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out", rows_per_shard=20)
    assert done.rows == 30
    assert [(one.number, "row 33 is a zero vector" in one.error) for one in done.failures] == [(1, True)]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_resuming_makes_what_is_missing_and_verifies_the_rest(tmp_path: Path) -> None:
    source, out = shards(tmp_path), tmp_path / "out"
    compress_shards(COMPRESSOR, source, out, rows_per_shard=80)
    before = contents(out)
    again = compress_shards(COMPRESSOR, source, out, rows_per_shard=80, resume=True)
    assert (again.reused, again.shards) == (6, 6)
    (out / "part-00002.parquet").unlink()
    part = out / "part-00004.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    (out / ".part-00005.parquet.abc").mkdir()  # as a killed run leaves it
    assert compress_shards(COMPRESSOR, source, out, rows_per_shard=80, resume=True).reused == 4
    assert contents(out) == before


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from compressible import compressor
from smec.bulk.sharded import compress_shards
compress_shards(compressor(), sys.argv[2], sys.argv[3], rows_per_shard=1000, workers=2, resume=True)
"""


def test_killed_at_any_moment_it_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", vectors(ROWS))
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path / "in.npy")]
    subprocess.run([*command, str(tmp_path / "unbroken")], check=True)
    expected = contents(tmp_path / "unbroken")
    assert len(expected) == ROWS // 1000 + 2  # shards, manifest, lock
    moments = random.Random(5)
    kills = 0
    for number in range(2):
        out = tmp_path / f"killed-{number}"
        for shards_before in sorted(moments.sample(range(19), 3)):
            run = subprocess.Popen([*command, str(out)], start_new_session=True)
            while run.poll() is None and len(list(out.glob("part-*"))) <= shards_before:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.05))
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                kills += 1
            run.wait()
        subprocess.run([*command, str(out)], check=True)
        assert contents(out) == expected
    assert kills >= 3


def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", vectors(ROWS))
    out = tmp_path / "out"
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path / "in.npy")]
    subprocess.run([*command, str(tmp_path / "unbroken")], check=True)
    run = subprocess.Popen([*command, str(out)])
    while run.poll() is None and not list(out.glob("part-*")):
        time.sleep(0.001)
    workers = [
        child for child in psutil.Process(run.pid).children() if "spawn_main" in " ".join(child.cmdline())
    ]
    assert workers
    workers[0].kill()
    assert run.wait() == 0
    assert contents(out) == contents(tmp_path / "unbroken")


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    source = shards(tmp_path)
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(OutputError, match="another run is at work"):
        compress_shards(COMPRESSOR, source, tmp_path / "out", resume=True)


def test_another_compressor_input_or_setting_is_not_resumed(tmp_path: Path) -> None:
    source, out = shards(tmp_path), tmp_path / "out"
    compress_shards(COMPRESSOR, source, out, rows_per_shard=80)
    before = contents(out)
    for options, message in (
        ({"rows_per_shard": 90}, "was begun with 80 rows per shard, not 90"),
        ({"dim": 4}, "was begun for 8 dims, not 4"),
        ({"codec": "float16"}, "was begun with codec float32, not float16"),
    ):
        with pytest.raises(ConfigError, match=message):
            compress_shards(COMPRESSOR, source, out, resume=True, **{"rows_per_shard": 80, **options})  # type: ignore[arg-type]
    os.utime(source / "1.parquet", (1, 1))
    with pytest.raises(ConfigError, match=r"the input .*1\.parquet is not as it was"):
        compress_shards(COMPRESSOR, source, out, resume=True, rows_per_shard=80)
    (source / "2.parquet").unlink()
    with pytest.raises(ConfigError, match="is not as it was"):
        compress_shards(COMPRESSOR, source, out, resume=True, rows_per_shard=80)
    assert contents(out) == before


def test_what_is_not_ours_is_not_touched(tmp_path: Path) -> None:
    source, out = shards(tmp_path), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for options in ({"force": True}, {"resume": True}):
        with pytest.raises(OutputError, match=r"holds thesis\.tex, which is not of a compression"):
            compress_shards(COMPRESSOR, source, out, **options)  # type: ignore[arg-type]
    assert (out / "thesis.tex").read_text() == "years of work"
    with pytest.raises(OutputError, match="exists already; finish it with --resume"):
        compress_shards(COMPRESSOR, source, out)


def test_inputs_that_cannot_be_used(tmp_path: Path) -> None:
    source = shards(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        compress_shards(COMPRESSOR, tmp_path / "none-*.parquet", tmp_path / "out")
    np.save(source / "more.npy", vectors())
    with pytest.raises(DataError, match=r"different kinds, \.npy, \.parquet"):
        compress_shards(COMPRESSOR, source, tmp_path / "out")
    with pytest.raises(ConfigError, match="is the input or lies in it"):
        compress_shards(COMPRESSOR, source, source / "out")
    assert not (tmp_path / "out").exists()


def test_options_of_folders_are_refused_for_files(tmp_path: Path) -> None:
    COMPRESSOR.save(tmp_path / "model")
    np.save(tmp_path / "in.npy", vectors())
    for option, value in (("--workers", "2"), ("--engine", "ray")):
        result = invoke(
            "compress", tmp_path / "model", tmp_path / "in.npy", "-o", tmp_path / "o.npy", option, value
        )
        assert result.exit_code == 2
        assert "are for a folder of shards; name one" in result.stderr
