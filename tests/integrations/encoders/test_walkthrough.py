"""docs/walkthrough.md, run from its first line to its last with a real model and a real reranker's server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmarks.walkthrough import PAGE, filled, run_page

from smec import Compressor
from smec.data.qrels import read_qrels

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.timeout(1500)
def test_the_walkthrough_runs_as_it_is_written(tmp_path: Path) -> None:
    runs = []
    for run in run_page(TEXT, tmp_path):
        assert not run.failed, f"{run.code}\n{run.output}"
        runs.append(run)
    assert all(run.code in filled(TEXT, runs) for run in runs)
    support = tmp_path / "SUPPORT"
    made = read_qrels(support / "qrels" / "train.tsv")
    clicked = read_qrels(tmp_path / "TEXTS" / "qrels" / "train.tsv")
    (judged,) = json.loads((support / "qrels" / "train.judged.json").read_text())["runs"]
    assert len(clicked) > 40 and all(made[query] == of for query, of in clicked.items())
    assert judged["rule"]["name"] == "calibrated" and len(made) == len(clicked) + judged["queries"]
    assert np.load(tmp_path / "log.npy").shape == (120, 384)
    small = pq.read_table(tmp_path / "small-2.parquet")
    vectors = pq.read_table(support / "corpus.parquet")["vector"].combine_chunks().flatten()
    full = vectors.to_numpy().reshape(small.num_rows, 384)
    second = Compressor.load(tmp_path / "model-2")
    np.testing.assert_allclose(np.stack(small["vector"].to_numpy()), second.encode(full, 24), atol=1e-6)
    assert second.fingerprint != Compressor.load(tmp_path / "model-1").fingerprint
