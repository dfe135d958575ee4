"""Time of a process' start, and of bulk compression with it: ``python -m benchmarks.start``.

`smec compress` of 200,000 rows is timed as people call it, start of the process included, against a process
with the loop that one would write without smec.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.file_to_file import DIM
from benchmarks.scale import model_of, write_npy

ROWS = 200_000
ROUNDS = 6

BARE = f"""
import sys
import numpy as np
from safetensors.numpy import load_file
model, source, output = sys.argv[1:]
matrix = load_file(model + "/compressor.safetensors")["block.0"]
vectors = np.load(source, mmap_mode="r")
small = np.lib.format.open_memmap(output, mode="w+", dtype=np.float16, shape=(len(vectors), {DIM}))
for start in range(0, len(vectors), 8192):
    block = vectors[start : start + 8192] @ matrix
    block /= np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
    small[start : start + len(block)] = block
small.flush()
"""


def calls(folder: Path) -> dict[str, list[str]]:
    """Programs by name: arguments of the interpreter."""
    model, source = str(folder / "model"), str(folder / "rows.npy")
    files = [source, "-o", str(folder / "smec.npy")]
    compress = ["compress", model, *files, "--dim", str(DIM), "--codec", "float16", "--force"]
    return {
        "bare loop": ["-c", BARE, model, source, str(folder / "bare.npy")],
        "smec compress": ["-m", "smec", *compress],
        "smec --help": ["-m", "smec", "--help"],
        "import smec": ["-c", "import smec"],
        "from smec import Compressor": ["-c", "from smec import Compressor"],
    }


def seconds(arguments: list[str]) -> float:
    """Wall time of a process, from its start to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Time all programs in turn, and print the medians as JSON."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with TemporaryDirectory() as place:
        folder = Path(place)
        model_of(write_npy(folder / "rows.npy", ROWS), DIM).save(folder / "model")
        taken: dict[str, list[float]] = {name: [] for name in calls(folder)}
        for round_ in range(ROUNDS + 1):
            for name, arguments in calls(folder).items():
                if round_:  # the first one fills the page cache
                    taken[name].append(seconds(arguments))
                else:
                    seconds(arguments)
    ratios = [bare / ours for bare, ours in zip(taken["bare loop"], taken["smec compress"], strict=True)]
    print(json.dumps({name: round(median(times), 3) for name, times in taken.items()}, indent=2))
    print(f"smec compress, throughput as a share of the bare loop's: {median(ratios):.2f}")


if __name__ == "__main__":
    main()
