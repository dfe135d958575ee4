"""The Ray engine on a cluster of two node processes: the same bytes, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import pytest
import ray
from compressible import compressor, vectors
from ray_nodes import Cluster, Node
from typer.testing import CliRunner

from smec.bulk.sharded import compress_shards
from smec.cli.main import app
from smec.errors import ConfigError, MissingExtraError, OutputError

COMPRESSOR = compressor()
ROWS, ROWS_PER_SHARD = 30_000, 500
SHARDS = ROWS // ROWS_PER_SHARD
PROGRAM = (sys.executable, "-c", "from smec.cli.main import main; main()")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    started = Cluster()
    try:
        yield started.start()
    finally:
        started.stop()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An input, the model, and what the local engine makes of them."""
    folder = tmp_path_factory.mktemp("large")
    np.save(folder / "in.npy", vectors(ROWS))
    COMPRESSOR.save(folder / "model")
    compress_shards(COMPRESSOR, folder / "in.npy", folder / "expected", rows_per_shard=ROWS_PER_SHARD)
    return folder


@pytest.fixture
def driver(cluster: Cluster, large: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command on the cluster; it writes to ``out``."""
    begun: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        model, source, out = str(large / "model"), str(large / "in.npy"), str(tmp_path / "out")
        command = ["compress", model, source, "-o", out, "--engine", "ray", "--workers", "2", "--json"]
        shards = ["--rows-per-shard", str(ROWS_PER_SHARD)]
        begun.append(
            subprocess.Popen(
                [*PROGRAM, *command, *shards, *options],
                env=os.environ | {"RAY_ADDRESS": cluster.address},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def shards(folder: Path) -> int:
    return len(list(folder.glob("part-*")))


def a_worker_at_work(nodes: list[Node]) -> psutil.Process:
    while True:
        for node in nodes:
            if workers := node.workers():
                return workers[0]


def test_it_makes_the_bytes_of_the_local_engine_on_all_nodes(
    cluster: Cluster, large: Path, tmp_path: Path, driver: Callable[..., subprocess.Popen[str]]
) -> None:
    said, _ = driver().communicate()
    assert json.loads(said)["shards"] == SHARDS
    assert contents(tmp_path / "out") == contents(large / "expected")
    opened = [node.log.read_text().count("in.npy") for node in cluster.nodes]
    assert sum(opened) >= SHARDS and min(opened) > 0


def test_a_worker_that_is_killed_costs_nothing(
    cluster: Cluster, large: Path, tmp_path: Path, driver: Callable[..., subprocess.Popen[str]]
) -> None:
    run = driver()
    for shards_before in (3, 12, 21):
        while shards(tmp_path / "out") <= shards_before:
            time.sleep(0.001)
        a_worker_at_work(cluster.nodes).kill()
    said, noise = run.communicate()
    assert json.loads(said)["failures"] == [], noise
    assert "A worker died or was killed" in noise
    assert contents(tmp_path / "out") == contents(large / "expected")


def test_a_node_that_loses_its_power_costs_nothing(
    cluster: Cluster, large: Path, tmp_path: Path, driver: Callable[..., subprocess.Popen[str]]
) -> None:
    node = cluster.add_node()
    run = driver("--workers", "3")
    while not node.log.exists() or shards(tmp_path / "out") < SHARDS // 4:
        time.sleep(0.001)
    a_worker_at_work([node])
    node.lose_power()
    said, noise = run.communicate()
    assert json.loads(said)["failures"] == [], noise
    assert contents(tmp_path / "out") == contents(large / "expected")


def test_a_killed_driver_is_resumed(
    large: Path, tmp_path: Path, driver: Callable[..., subprocess.Popen[str]]
) -> None:
    run = driver()
    while shards(tmp_path / "out") < SHARDS // 3:
        time.sleep(0.001)
    run.kill()
    run.wait()
    assert shards(tmp_path / "out") < SHARDS
    said, noise = driver("--resume").communicate()
    assert json.loads(said)["reused"] >= SHARDS // 3 - 2, noise
    assert contents(tmp_path / "out") == contents(large / "expected")


@pytest.fixture
def connected(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    return cluster


def test_what_cannot_be_made_is_left_out(connected: Cluster, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "deadly", "zero"):
        matrix = vectors(40)
        matrix[33] *= name != "zero"
        np.save(tmp_path / "in" / f"{name}.npy", matrix)
    COMPRESSOR.save(tmp_path / "model")
    command = ["compress", tmp_path / "model", tmp_path / "in", "-o", tmp_path / "out", "--engine", "ray"]
    options = ["--workers", 2, "--rows-per-shard", 20, "--json"]
    result = CliRunner().invoke(app, [str(word) for word in (*command, *options)])
    assert result.exit_code == 4
    done = json.loads(result.stdout)
    said = {failure["number"]: failure["error"] for failure in done["failures"]}
    assert done["rows"] == 60 and sorted(said) == [2, 3, 5]
    assert said[2].endswith(
        "deadly.npy: the 20 rows from 0 on cannot be made: its process died 2 times: out of memory? "
        "Use fewer workers"
    )
    assert "row 33 is a zero vector" in said[5]
    assert not ray.is_initialized()


def test_a_folder_that_a_node_does_not_see_ends_the_run(
    connected: Cluster, large: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def hide(done: int, rows: int) -> None:
        if out.exists():
            out.rename(tmp_path / "elsewhere")

    with pytest.raises(OutputError, match=r"out: node .* does not see this folder; name one of a filesystem"):
        compress_shards(
            COMPRESSOR, large / "in.npy", out, rows_per_shard=ROWS_PER_SHARD, engine="ray", progress=hide
        )
    assert not out.exists()


def test_an_input_that_goes_away_is_a_failure(connected: Cluster, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        np.save(tmp_path / "in" / f"{name}.npy", vectors(40))
    source, out = tmp_path / "in", tmp_path / "out"
    done = compress_shards(
        COMPRESSOR,
        source,
        out,
        rows_per_shard=20,
        engine="ray",
        progress=lambda done, rows: (source / "b.npy").unlink(missing_ok=True),
    )
    assert done.rows + 20 * len(done.failures) == 80 and done.failures
    assert all("the file is gone" in failure.error for failure in done.failures)


def test_a_node_without_smec_ends_the_run(connected: Cluster, large: Path, tmp_path: Path) -> None:
    node = connected.add_node(lacks="smec")
    with pytest.raises(ConfigError, match="a node of the cluster has another smec than the driver, or none"):
        compress_shards(
            COMPRESSOR,
            large / "in.npy",
            tmp_path / "out",
            rows_per_shard=ROWS_PER_SHARD,
            engine="ray",
            workers=3,
        )
    node.lose_power()


def test_without_ray_or_a_cluster_nothing_is_begun(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (COMPRESSOR, large / "in.npy", tmp_path / "out")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.2:1")
    with pytest.raises(ConfigError, match=r"RAY_ADDRESS=127\.0\.0\.2:1: no Ray cluster answers there"):
        compress_shards(*run, engine="ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'smec\[ray\]'"):
        compress_shards(*run, engine="ray")
    with pytest.raises(ConfigError, match="unknown engine 'dask'; there are local, ray"):
        compress_shards(*run, engine="dask")
    assert not (tmp_path / "out").exists()


def test_where_no_cluster_runs_one_is_started_and_ended(large: Path, tmp_path: Path) -> None:
    command = ["compress", large / "model", large / "in.npy", "-o", tmp_path / "out", "--engine", "ray"]
    with TemporaryDirectory(prefix="ray-") as folder:  # short, for sockets; and Ray leaves a token at home
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        run = subprocess.run(
            [*PROGRAM, *map(str, command), "--rows-per-shard", str(ROWS_PER_SHARD)],
            env=environment | {"RAY_TMPDIR": folder, "HOME": folder},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"in {SHARDS} shards" in run.stdout
        of_ray = [one for one in psutil.process_iter(["cmdline"]) if folder in str(one.info["cmdline"])]
        assert psutil.wait_procs(of_ray, timeout=10)[1] == []
    assert contents(tmp_path / "out") == contents(large / "expected")
