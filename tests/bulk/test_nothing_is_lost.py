"""What could be lost or mixed: inputs in the way, changes meanwhile, ids of others, other compressors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressible import compressor, listing, lists, read_back, vectors

from smec.block import Block
from smec.bulk import pieces, plan
from smec.bulk.compress import compress
from smec.bulk.manifest import MANIFEST_FILE
from smec.bulk.sharded import compress_shards
from smec.compressor import Compressor
from smec.data import Dataset
from smec.errors import ConfigError, DataError, OutputError

COMPRESSOR = compressor()


def part(file: Path, rows: int = 20, first: int = 0, **columns: pa.Array) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = pa.table(
        {
            "id": pa.array([f"d{row}" for row in range(first, first + rows)], pa.string()),
            "vector": lists(vectors(rows)),
            **columns,
        }
    )
    pq.write_table(whole, file, row_group_size=10)
    return file


def interrupted(done: int, rows: int) -> None:
    raise KeyboardInterrupt


def begun(source: Path, output: Path) -> None:
    """A run that ends after its first shard."""
    with pytest.raises(KeyboardInterrupt):
        compress_shards(COMPRESSOR, source, output, rows_per_shard=10, progress=interrupted)


@pytest.mark.parametrize("again", ["resume", "force"])
@pytest.mark.parametrize("source", ["part-*.parquet", "part-00000.parquet", "shards", "link/part-*.parquet"])
def test_inputs_in_the_output_are_not_deleted(tmp_path: Path, source: str, again: str) -> None:
    data = tmp_path / "data"
    part(data / "part-00000.parquet")
    part(data / "shards" / "x.parquet")
    (tmp_path / "link").symlink_to(data)
    named = tmp_path / source if source.startswith("link") else data / source
    before = listing(data)
    resume, force = again == "resume", again == "force"
    with pytest.raises(OutputError, match=r"holds the input .*name another output"):
        compress_shards(COMPRESSOR, named, data, resume=resume, force=force)
    with pytest.raises(OutputError, match="holds the input"):
        compress_shards(COMPRESSOR, f"memory:///{_in_memory()}", "memory://here", resume=resume, force=force)
    assert listing(data) == before


def _in_memory() -> str:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe("/here/part-00000.parquet", _bytes())
    return "here/part-00000.parquet"


def _bytes() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["a"], "vector": lists(vectors(1))}), sink)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def test_resume_needs_something_to_go_on_with(tmp_path: Path) -> None:
    source = part(tmp_path / "in.parquet")
    foreign = part(tmp_path / "out" / "part-00007.parquet")
    with pytest.raises(OutputError, match=f"holds shards, but no {MANIFEST_FILE} to go on with"):
        compress_shards(COMPRESSOR, source, tmp_path / "out", resume=True)
    assert foreign.exists()


def test_a_run_that_another_one_overtook_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = part(tmp_path / "one.parquet"), part(tmp_path / "other.parquet", rows=30)
    cut = pieces.cut

    def slow(*arguments: object) -> object:
        monkeypatch.setattr(plan, "cut", cut)
        compress_shards(COMPRESSOR, other, tmp_path / "out")  # begins and ends meanwhile
        return cut(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(plan, "cut", slow)
    with pytest.raises(OutputError, match="another run has been there meanwhile"):
        compress_shards(COMPRESSOR, one, tmp_path / "out")
    assert pq.read_table(tmp_path / "out").num_rows == 30


def test_resume_knows_the_ids_and_the_size_before(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", vectors(20))
    ids = tmp_path / "in.ids.txt"
    ids.write_text("".join(f"a{row}\n" for row in range(20)))
    begun(tmp_path / "in.npy", tmp_path / "out")
    ids.write_text("".join(f"b{row}\n" for row in range(20)))
    with pytest.raises(ConfigError, match=r"in.npy is not as it was"):
        compress_shards(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out", rows_per_shard=10, resume=True)

    square = np.eye(16, dtype=np.float32)
    whole = Compressor.assemble(
        [Block(square, (16, 8), "smec")],
        {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
        | {"libraries": {}},
        canaries=square[:2],
        mean=np.zeros(16),
    )
    source = part(tmp_path / "full.parquet")
    with pytest.raises(KeyboardInterrupt):
        compress_shards(whole, source, tmp_path / "b", dim=8, rows_per_shard=10, progress=interrupted)
    with pytest.raises(ConfigError, match="was begun with another --from-dim"):
        compress_shards(whole, source, tmp_path / "b", dim=8, from_dim=16, rows_per_shard=10, resume=True)


def test_an_input_that_changes_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    source = part(tmp_path / "in.parquet", rows=30)

    def change(done: int, rows: int) -> None:
        if done == 10:
            part(source, rows=30, first=100)

    done = compress_shards(COMPRESSOR, source, tmp_path / "out", rows_per_shard=10, progress=change)
    assert done.rows == 10
    assert [failure.error for failure in done.failures] == [f"{source}: was changed while it was read"] * 2


def test_an_input_is_repaired_and_its_shards_are_made(tmp_path: Path) -> None:
    source = tmp_path / "in"
    part(source / "0.parquet")
    good = part(source / "1.parquet", first=20).read_bytes()
    (source / "1.parquet").write_bytes(good[:4] + bytes(300) + good[304:])
    assert compress_shards(COMPRESSOR, source, tmp_path / "out", rows_per_shard=20).shards == 1
    (source / "1.parquet").write_bytes(good)
    done = compress_shards(COMPRESSOR, source, tmp_path / "out", rows_per_shard=20, resume=True)
    assert (done.shards, done.reused, done.failures) == (2, 1, ())
    assert pq.read_table(tmp_path / "out")["id"].to_pylist() == [f"d{row}" for row in range(40)]
    part(source / "0.parquet", first=100)
    with pytest.raises(ConfigError, match=r"0.parquet is not as it was"):
        compress_shards(COMPRESSOR, source, tmp_path / "out", rows_per_shard=20, resume=True)


def test_a_complete_folder_with_a_damaged_shard_is_running_until_that_is_made(tmp_path: Path) -> None:
    source = part(tmp_path / "in.parquet")
    compress_shards(COMPRESSOR, source, tmp_path / "out", rows_per_shard=10)
    (tmp_path / "out" / "part-00000.parquet").write_bytes(b"damaged")
    with pytest.raises(KeyboardInterrupt):
        compress_shards(
            COMPRESSOR,
            source,
            tmp_path / "out",
            rows_per_shard=10,
            resume=True,
            progress=interrupted,
        )
    manifest = json.loads((tmp_path / "out" / MANIFEST_FILE).read_text())
    assert (manifest["state"], [one["number"] for one in manifest["shards"]]) == ("running", [1])
    assert compress_shards(COMPRESSOR, source, tmp_path / "out", rows_per_shard=10, resume=True).reused == 1


def test_ids_of_others_do_not_stand_beside_an_output(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", vectors(5))
    (tmp_path / "out.ids.txt").write_text("old\n" * 5)
    with pytest.raises(OutputError, match=r"out.ids.txt: exists already and would be taken for the ids"):
        compress(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out.npy")
    compress(COMPRESSOR, tmp_path / "in.npy", tmp_path / "out.npy", force=True)
    assert listing(tmp_path) == ["in.npy", "out.npy"]


def test_row_numbers_go_on_from_file_to_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, rows in enumerate((5, 6)):
        np.save(tmp_path / "in" / f"{number}.npy", vectors(rows))
    compress_shards(COMPRESSOR, tmp_path / "in", tmp_path / "out", rows_per_shard=3)
    assert pq.read_table(tmp_path / "out")["id"].to_pylist() == [str(row) for row in range(11)]
    (tmp_path / "data").mkdir()
    (tmp_path / "out").rename(tmp_path / "data" / "corpus")
    assert len(Dataset.open(tmp_path / "data").corpus) == 11


def test_vectors_of_another_compressor_are_not_shrunk(tmp_path: Path) -> None:
    source = part(tmp_path / "in.parquet")
    compress(COMPRESSOR, source, tmp_path / "eight.parquet", dim=8)
    other = Compressor.assemble(
        [Block(np.eye(16, 8, dtype=np.float32), (8, 4), "smec")],
        {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
        | {"libraries": {}},
        canaries=np.eye(16, dtype=np.float32)[:2],
        mean=np.zeros(16),
    )
    with pytest.raises(DataError, match="was made by another compressor"):
        compress(other, tmp_path / "eight.parquet", tmp_path / "four.parquet", dim=4, from_dim=8)
    done = compress_shards(other, tmp_path / "eight.parquet", tmp_path / "out", dim=4, from_dim=8)
    assert done.rows == 0 and "was made by another compressor" in done.failures[0].error
    compress(COMPRESSOR, tmp_path / "eight.parquet", tmp_path / "four.parquet", dim=4, from_dim=8)
    small = read_back(tmp_path / "four.parquet")[1]
    np.testing.assert_allclose(small, COMPRESSOR.encode(vectors(20), 4), atol=1e-6)


def test_what_would_not_be_one_table_or_no_rows_at_all(tmp_path: Path) -> None:
    part(tmp_path / "in" / "0.parquet")
    part(tmp_path / "in" / "1.parquet", rows=0)
    part(tmp_path / "in" / "._2.parquet")
    (tmp_path / "in" / "3.parquet").mkdir()
    assert compress_shards(COMPRESSOR, tmp_path / "in", tmp_path / "out").rows == 20
    part(tmp_path / "in" / "4.parquet", n=pa.array(range(20)))
    with pytest.raises(DataError, match=r"4.parquet: has the columns .*n \(int64\).*compress them apart"):
        compress_shards(COMPRESSOR, tmp_path / "in", tmp_path / "other")
    with pytest.raises(DataError, match=r"holds no vectors \(0 rows\)"):
        compress_shards(COMPRESSOR, tmp_path / "in" / "1.parquet", tmp_path / "other")
    with pytest.raises(ConfigError, match="raise --rows-per-shard"):
        np.save(tmp_path / "many.npy", np.ones((100_001, 16), dtype=np.float16))
        compress_shards(COMPRESSOR, tmp_path / "many.npy", tmp_path / "other", rows_per_shard=1)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("seconds", [0.0, 0.4, 0.9])
def test_ctrl_c_while_workers_start_is_one_line(tmp_path: Path, seconds: float) -> None:
    np.save(tmp_path / "in.npy", vectors(200_000))
    COMPRESSOR.save(tmp_path / "model")
    command = ["compress", tmp_path / "model", tmp_path / "in.npy", "-o", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "smec", *map(str, command), "--workers", "2", "--rows-per-shard", "100"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "out" / MANIFEST_FILE).exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of its processes
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.count("\n") == 1 and "interrupted" in stderr
