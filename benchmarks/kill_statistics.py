"""Kill ``smec compress`` at random moments, resume it, and compare with an unbroken run.

``python -m benchmarks.kill_statistics --kills 60`` writes ``benchmarks/results/kill_statistics.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.markdown import table
from smec.block import Block
from smec.compressor import Compressor
from smec.vectors import normalise

TARGET = Path(__file__).parent / "results" / "kill_statistics.json"

ROWS, WIDTH, DIM = 120_000, 128, 32
SHARDS, WORKERS = 40, 2
MOST = 8
"""New shards after which a run is killed, at most."""

LATER = 0.1
"""Seconds after that, at most: a shard takes less."""

Document = dict[str, Any]


def measure(kills: int, seed: int) -> Document:
    """Break and resume outputs, one after another, until ``kills`` runs were killed."""
    moments = random.Random(seed)
    counted: Document = {
        "kills": 0,
        "before_the_first_shard": 0,
        "resumes": 0,
        "outputs": 0,
        "mismatches": 0,
    }
    with TemporaryDirectory() as place:
        folder = Path(place)
        _write_inputs(folder)
        _wait(_start(folder, folder / "unbroken"))
        expected = _hashes(folder / "unbroken")
        while counted["kills"] < kills:
            output = folder / f"out-{counted['outputs']}"
            broken = False
            while counted["kills"] < kills:
                counted["resumes"] += broken
                broken = _killed(folder, output, moments)
                if not broken:
                    break
                counted["kills"] += 1
                counted["before_the_first_shard"] += not _shards(output)
            if broken:
                counted["resumes"] += 1
                _wait(_start(folder, output))
            counted["outputs"] += 1
            counted["mismatches"] += _hashes(output) != expected
    return {**counted, "rows": ROWS, "shards": SHARDS, "workers": WORKERS, "seed": seed}


def _write_inputs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((ROWS, WIDTH), dtype=np.float32)
    np.save(folder / "in.npy", vectors)
    matrix = np.linalg.qr(rng.standard_normal((WIDTH, DIM)))[0].astype(np.float32)
    manifest = {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
    Compressor.assemble(
        [Block(matrix, (DIM,), "smec")],
        {**manifest, "libraries": {}},
        normalise(vectors[:3]),
        vectors.mean(axis=0),
    ).save(folder / "model")


def _killed(folder: Path, output: Path, moments: random.Random) -> bool:
    """Start or resume a run; whether it was killed before it ended by itself."""
    before, more = _shards(output), moments.randint(0, MOST)
    run = _start(folder, output)
    if more == 0:  # while the folder is looked at, or the workers start
        while run.poll() is None and not output.exists():
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 10 * LATER))
    while run.poll() is None and _shards(output) < before + more:
        time.sleep(0.001)
    time.sleep(moments.uniform(0, LATER))
    if run.poll() is not None:
        _wait(run)
        return False
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return True


def _wait(run: subprocess.Popen[bytes]) -> None:
    if run.wait() != 0:
        raise RuntimeError(f"a run ended with exit code {run.returncode}")


def _shards(output: Path) -> int:
    return len(list(output.glob("part-*")))


def _start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    options = ["--workers", WORKERS, "--rows-per-shard", ROWS // SHARDS, "--resume"]
    call = ["compress", folder / "model", folder / "in.npy", "-o", output, *options]
    program = [sys.executable, "-c", "from smec.cli.main import main; main()", *map(str, call)]
    return subprocess.Popen(program, start_new_session=True, stdout=subprocess.DEVNULL)


def _hashes(output: Path) -> dict[str, str]:
    return {
        str(file.relative_to(output)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(output.rglob("*"))
        if file.is_file()
    }


def lines(document: Document) -> list[str]:
    """The table of the documentation."""
    heads = ("kills", "before_the_first_shard", "resumes", "outputs", "mismatches")
    return table([head.replace("_", " ") for head in heads], [[str(document[head]) for head in heads]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the document and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    document = measure(options.kills, options.seed)
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines(document)))


if __name__ == "__main__":
    main()
