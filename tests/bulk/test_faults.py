"""What breaks around a run into a folder of shards: memory, disk, clock, processes, inputs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressible import compressor, lists, vectors

from smec.bulk.sharded import compress_shards
from smec.bulk.uploads import file_sha256
from smec.errors import OutputError

COMPRESSOR = compressor()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    return found


def program(folder: Path, *options: object) -> list[str]:
    """The command that compresses ``folder / "in"`` into ``folder / "out"``."""
    COMPRESSOR.save(folder / "model", force=True)
    run = ("compress", folder / "model", folder / "in", "-o", folder / "out", *options)
    return [sys.executable, "-c", "from smec.cli.main import main; main()", *map(str, run)]


def write_tables(folder: Path, rows: list[int], texts: list[str]) -> None:
    """A Parquet file for each number of rows, with the same text in each of its rows."""
    (folder / "in").mkdir()
    for number, (count, text) in enumerate(zip(rows, texts, strict=True)):
        ids = pa.array([f"{number}-{row}" for row in range(count)])
        column = pa.array([text] * count)
        whole = pa.table({"id": ids, "vector": lists(vectors(count)), "text": column})
        pq.write_table(whole, folder / "in" / f"{number}.parquet", use_dictionary=["text"])


def test_a_piece_that_does_not_fit_in_memory_is_left_out(tmp_path: Path) -> None:
    write_tables(tmp_path, [30, 2000, 30], ["short", "x" * 1_000_000, "short"])  # 2 GB of text in one block
    limit = 2 << 30  # of each process
    result = subprocess.run(
        program(tmp_path, "--workers", 2),
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 4, result.stderr
    assert "warning: shard 1: " in result.stderr and "out of memory" in result.stderr
    assert "Traceback" not in result.stderr
    assert manifest(tmp_path / "out")["state"] == "incomplete"
    assert [shard["number"] for shard in manifest(tmp_path / "out")["shards"]] == [0, 2]


def workers_of(run: psutil.Process) -> list[psutil.Process]:
    return [child for child in run.children() if "spawn_main" in " ".join(child.cmdline())]


def test_a_piece_that_kills_its_process_each_time_is_left_out(tmp_path: Path) -> None:
    write_tables(tmp_path, [5000, 400_000, 5000, 5000], ["short"] * 4)
    run = psutil.Popen(
        program(tmp_path, "--workers", 2, "--rows-per-shard", 400_000),
        stderr=subprocess.PIPE,
        text=True,
    )
    while run.poll() is None:
        try:
            for worker in workers_of(run):
                if any(file.path.endswith("/1.parquet") for file in worker.open_files()):
                    worker.kill()  # as the kernel does when memory runs out
        except psutil.NoSuchProcess:
            continue
    _, said = run.communicate()
    assert run.returncode == 4
    assert (
        "1.parquet: the 400000 rows from 0 on cannot be made: its process died 2 times: out of memory" in said
    )
    assert [shard["number"] for shard in manifest(tmp_path / "out")["shards"]] == [0, 2, 3]


def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "in.npy", vectors(100_000))
    run = psutil.Popen(program(tmp_path, "--workers", 2, "--rows-per-shard", 500))
    while run.poll() is None and not list((tmp_path / "out").glob("part-*")):
        time.sleep(0.001)
    workers = workers_of(run)
    assert workers
    run.kill()
    run.wait()
    assert psutil.wait_procs(workers, timeout=60)[1] == []


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of this size; yields what makes it another."""
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount")

    def resize(kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_fills_up(tmp_path: Path, workers: int) -> None:
    np.save(tmp_path / "in.npy", vectors(20_000))
    source, whole = tmp_path / "in.npy", tmp_path / "whole"
    compress_shards(COMPRESSOR, source, whole, rows_per_shard=1000)
    with small_disk(tmp_path / "disk", 400) as resize:
        out = tmp_path / "disk" / "out"
        with pytest.raises(OutputError, match=r"cannot be written: .*[Nn]o space left on device"):
            compress_shards(COMPRESSOR, source, out, rows_per_shard=1000, workers=workers)
        finished = list(out.glob("part-*"))
        assert 0 < len(finished) < 20
        for file in finished:
            assert file_sha256(file) == file_sha256(whole / file.name)
        resize(4000)
        done = compress_shards(COMPRESSOR, source, out, rows_per_shard=1000, resume=True)
        assert 0 < done.reused <= len(finished)
        assert contents(out) == contents(whole)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_system_that_refuses_large_files(tmp_path: Path, workers: int) -> None:
    np.save(tmp_path / "in.npy", vectors(4000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot be written: .*File too large"):
            compress_shards(
                COMPRESSOR, tmp_path / "in.npy", tmp_path / "out", rows_per_shard=2000, workers=workers
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "out").glob("part-*"))
    done = compress_shards(
        COMPRESSOR, tmp_path / "in.npy", tmp_path / "out", rows_per_shard=2000, resume=True
    )
    assert (done.rows, done.reused) == (4000, 0)


@pytest.mark.parametrize("now", [1, 4_000_000_000])
def test_clocks_that_jump_change_nothing(tmp_path: Path, now: int) -> None:
    write_tables(tmp_path, [50, 50], ["a", "b"])
    for file in (tmp_path / "in").iterdir():
        os.utime(file, (2_000_000_000, 2_000_000_000))  # of a clock that is years ahead
    out = tmp_path / "out"
    compress_shards(COMPRESSOR, tmp_path / "in", out, rows_per_shard=50)
    before = contents(out)
    (out / "part-00001.parquet").write_bytes(b"damaged")
    for file in [out, *out.iterdir()]:
        os.utime(file, (now, now))  # long before, or long after the inputs
    done = compress_shards(COMPRESSOR, tmp_path / "in", out, rows_per_shard=50, resume=True)
    assert (done.shards, done.reused) == (2, 1)
    assert contents(out) == before


def test_an_input_that_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    write_tables(tmp_path, [50, 50, 50], ["a", "b", "c"])

    def vanish(done: int, rows: int) -> None:
        (tmp_path / "in" / "1.parquet").unlink(missing_ok=True)

    done = compress_shards(COMPRESSOR, tmp_path / "in", tmp_path / "out", rows_per_shard=50, progress=vanish)
    assert done.rows == 100
    assert [(one.number, "No such file" in one.error) for one in done.failures] == [(1, True)]
